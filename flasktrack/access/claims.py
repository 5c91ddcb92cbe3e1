"""What an identity provider says of a person (the claims of an OpenID Connect ID token), and what follows from it.

    [flasktrack]                       # in .streamlit/secrets.toml, beside [auth]
    user_claim = "sub"                 # who it is; the default
    name_claim = "name"
    role_claim = "groups"              # a list of texts; "realm_access.roles" looks inside
    [flasktrack.roles]
    "lab-quality" = ["northwind-labs:qa-lead", "northwind-labs:compliance-reviewer"]

Streamlit has checked the token's signature, issuer, audience and nonce before its claims come here (OpenID Connect Core
1.0, section 3.1.3.7). Where roles are mapped, the provider decides on the organizations that the table names: at each
sign-in their memberships become what the claims say, and each change is a record. In between, and in all other
organizations, the database alone decides.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Engine

from flasktrack.access.accounts import account_id, is_foreign_id
from flasktrack.access.acting import operator_scope
from flasktrack.access.members import add_member, change_roles, principal_for, remove_member
from flasktrack.access.roles import Role
from flasktrack.core.record import MAX_NAME, is_organization_id
from flasktrack.errors import ChainBroken, ClaimRefused, MemberRefused, SettingsError, UnknownOrganization

PROVIDER = "system:sign-in"
"""Who changes memberships as an identity provider's claims say."""
FRESH = timedelta(minutes=10)
"""How old a token may be when a session begins by it: it comes straight from the provider."""

_PER_USE = frozenset({"tokens", "is_logged_in", "origin", "provider"})  # what Streamlit adds to the claims
_log = logging.getLogger(__name__)


class Vouched(NamedTuple):
    """Somebody for whom a provider vouches. `token_hash` stands for this one sign-in; `roles` are by organization, for
    each one that the table of roles names."""

    id: str
    name: str
    token_hash: bytes
    issued: datetime
    expires: datetime
    roles: Mapping[str, frozenset[Role]]


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Which claim says what."""

    user_claim: str = "sub"
    name_claim: str = "name"
    role_claim: str | None = None
    roles: Mapping[str, frozenset[tuple[str, Role]]] = field(default_factory=dict)

    @classmethod
    def from_secrets(cls, section: Mapping[str, Any]) -> ClaimRules:
        """The rules of the section [flasktrack] of secrets.toml. Raises SettingsError."""
        unknown = set(section) - {"user_claim", "name_claim", "role_claim", "roles"}
        if unknown:
            raise _bad(f"[flasktrack] has {min(unknown)!r}, which means nothing.")
        texts = {name: section.get(name) for name in ("user_claim", "name_claim", "role_claim")}
        if any(value is not None and not (isinstance(value, str) and value) for value in texts.values()):
            raise _bad("In [flasktrack], a claim's name is no text.")
        table = section.get("roles", {})
        if not isinstance(table, Mapping) or (table and texts["role_claim"] is None):
            raise _bad("[flasktrack.roles] is no table, or there is no role_claim for it.")
        roles = {str(value): frozenset(_role(entry) for entry in _list(entries)) for value, entries in table.items()}
        return cls(texts["user_claim"] or "sub", texts["name_claim"] or "name", texts["role_claim"], roles)

    def read(self, claims: Mapping[str, Any], now: datetime) -> Vouched:
        """Who it is. Raises ClaimRefused where the claims don't say, or their time is over."""
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if expires <= now:
            raise ClaimRefused("The sign-in's time is over.", "Sign in again.")
        id_ = claims.get(self.user_claim)
        if not isinstance(id_, str) or not id_:
            raise ClaimRefused(f"The identity provider says no {self.user_claim} of you.", "Ask an administrator.")
        if self.user_claim == "email" and claims.get("email_verified") is not True:
            raise ClaimRefused("The identity provider has not verified your e-mail address.", "Verify it there.")
        if self.user_claim != "sub":  # which alone tells upper from lower case (OpenID Connect Core 1.0, section 2)
            id_ = account_id(id_)
        if not is_foreign_id(id_):
            raise ClaimRefused("The identity provider's name for you can't be used here.", "Ask an administrator.")
        name = claims.get(self.name_claim)
        shown = "".join(c for c in name if c.isprintable())[:MAX_NAME] if isinstance(name, str) else ""
        said = {key: value for key, value in claims.items() if key not in _PER_USE}
        token_hash = hashlib.sha256(b"oidc\0" + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()
        return Vouched(id_, shown.strip() or id_, token_hash, issued, expires, self._roles(claims))

    def _roles(self, claims: Mapping[str, Any]) -> dict[str, frozenset[Role]]:
        value: Any = claims
        for part in (self.role_claim or "").split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        held = {value} if isinstance(value, str) else set(map(str, value)) if isinstance(value, list) else set()
        found: dict[str, set[Role]] = {
            organization: set() for entry in self.roles.values() for organization, _ in entry
        }
        for group in held & set(self.roles):
            for organization, role in self.roles[group]:
                found[organization].add(role)
        return {organization: frozenset(roles) for organization, roles in found.items()}


def apply_roles(engine: Engine, vouched: Vouched) -> None:
    """Make memberships what the claims say, in the organizations that the table of roles names; each change a record.

    What can't be changed (an organization that there is not, the last administrator) stays, and the log says so.
    """
    subject = f"user:{vouched.id}"
    person = principal_for(engine, subject, how="sign-in")
    former = {} if person is None else person.memberships
    reason = "As the identity provider says at the sign-in."
    for organization, roles in sorted(vouched.roles.items()):
        scope, before = operator_scope(organization, PROVIDER), former.get(organization, frozenset())
        try:
            if roles and not before:
                add_member(engine, scope, subject, vouched.name, roles, reason=reason)
            elif roles and roles != before:
                change_roles(engine, scope, subject, roles, reason=reason)
            elif before and not roles:
                remove_member(engine, scope, subject, reason=reason)
        except (MemberRefused, UnknownOrganization, ChainBroken) as problem:
            _log.warning("The roles of %s in %s stay as they are: %s", subject, organization, problem)


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    """A claim that is a time, in seconds since 1970 (RFC 7519, section 2)."""
    value = claims.get(name)
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise ClaimRefused(f"The identity provider says no {name}.", "Ask an administrator.") from None


def _list(entries: Any) -> list[Any]:
    return entries if isinstance(entries, list) else [entries]


def _role(entry: Any) -> tuple[str, Role]:
    organization, _, role = str(entry).partition(":")
    if not is_organization_id(organization) or role not in list(Role):
        raise _bad(f"[flasktrack.roles] has {str(entry)[:80]!r}.")
    return organization, Role(role)


def _bad(what: str) -> SettingsError:
    return SettingsError(
        f"In .streamlit/secrets.toml: {what}", f"docs/signing-in.md has an example; roles are {', '.join(Role)}."
    )
