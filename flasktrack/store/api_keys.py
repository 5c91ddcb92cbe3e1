"""API keys: what a program shows to be let in, instead of a person's sign-in.

    with writing(engine) as connection:
        issued = issue_api_key(connection, scope, name="LIMS", actions=["create", "update"], reason="SOP-12")
    issued.token            ftk_<16 hex digits>_<64 hex digits>, shown this once: id and secret

A key belongs to one organization, may record certain actions, and may read where it is allowed to. It is an actor of
its own (`api_key`), or the credential of a service account. It expires, and can be revoked; nothing else of it changes.

What is stored is SHA-256 of the token. A slow hash makes guessing dear where people choose passwords; a secret of 256
random bits can't be guessed at any price, and a slow hash would only cost each request its time.

Each row names the record that tells of its state, and that record's `after` is the row, but for the hash, of which it
has a fingerprint. So a row that somebody inserted, revived or widened past FlaskTrack is told from a true one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, Row, Select, and_, bindparam, insert, select, update

from flasktrack.core.body import encode_body, name_problem
from flasktrack.core.record import Record
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ApiKeyError, InvalidRecord
from flasktrack.store.acts import append_act
from flasktrack.store.organizations import get_organization
from flasktrack.store.own_acts import KEY_ID
from flasktrack.store.reader import newest_of_entity, tells_state
from flasktrack.store.schema import api_key, service_account
from flasktrack.store.scope import Permission, Scope

ENTITY_TYPE = "api_key"
ANY_ACTION = "*"
DEFAULT_LIFETIME = timedelta(days=90)
MAX_LIFETIME = timedelta(days=366)
MAX_NAME = 80
MAX_ACTIONS = 100

ACTIVE, EXPIRED, REVOKED, ALTERED = "active", "expired", "revoked", "altered"

_TOKEN = re.compile(rf"({KEY_ID.pattern})_[0-9a-f]{{64}}")
ACCOUNT_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""What a service account's id looks like."""
_ACTION = re.compile(r"[a-z0-9_]{1,255}")
_row = api_key.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without its secret. Times are the spec's text.

    `actions` are those that it may record; ("*",) is any. `may_name_users` lets an application say for which of its own
    users it records. `seq` is the record that tells of its state; `altered` where that record says otherwise, so that
    the row can't be relied on.
    """

    id: str
    organization_id: str
    name: str
    service_account_id: str | None
    service_account_name: str | None
    actions: tuple[str, ...]
    may_read: bool
    may_name_users: bool
    created_at: str
    expires_at: str
    revoked_at: str | None
    seq: int
    fingerprint: str
    altered: bool = False

    def status(self, now: datetime | None = None) -> str:
        """`active`, `expired`, `revoked` or `altered`; only an active key lets anybody in."""
        if self.altered:
            return ALTERED
        if self.revoked_at is not None:
            return REVOKED
        return EXPIRED if self.expires_at <= format_time(now or utc_now()) else ACTIVE

    def may_record(self, action: str) -> bool:
        """Whether the key may record this action."""
        return ANY_ACTION in self.actions or action in self.actions

    @property
    def actor(self) -> tuple[str, str, str | None]:
        """Type, id and name of who acts with it: its service account, or the key itself."""
        if self.service_account_id is not None:
            return "service_account", self.service_account_id, self.service_account_name
        return ENTITY_TYPE, self.id, self.name

    def as_told(self) -> dict[str, Any]:
        """The state as its record tells it: no secret, and not the hash either."""
        return {
            "name": self.name,
            "service_account_id": self.service_account_id,
            "actions": list(self.actions),
            "may_read": self.may_read,
            "may_name_users": self.may_name_users,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
            "fingerprint": self.fingerprint,
        }


class IssuedKey(NamedTuple):
    """A key and its token, which is kept nowhere else."""

    key: ApiKey
    token: str


def issue_api_key(
    connection: Connection,
    scope: Scope,
    *,
    name: str,
    reason: str,
    actions: Iterable[str] = (),
    may_read: bool = False,
    may_name_users: bool = False,
    service_account_id: str | None = None,
    lifetime: timedelta = DEFAULT_LIFETIME,
    clock: Callable[[], datetime] = utc_now,
) -> IssuedKey:
    """Make a key in the caller's write transaction, with a record of who did.

    Raises NotPermitted, ApiKeyError for what no key can be, and what `append` raises; the caller must then roll back.
    """
    scope.check(Permission.MANAGE_KEYS)
    allowed = _check_actions(actions, may_read)
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        raise ApiKeyError(f"A key is good for {MAX_LIFETIME.days} days at most.", "Give a shorter time.")
    account_name = None
    if service_account_id is not None:
        account_name = _account_name(connection, scope, service_account_id)
    id_ = f"ftk_{secrets.token_hex(8)}"
    token = f"{id_}_{secrets.token_hex(32)}"
    hash_ = token_hash(token)
    now = clock()
    made = ApiKey(
        id=id_,
        organization_id=scope.organization_id,
        name=check_name(name),
        service_account_id=service_account_id,
        service_account_name=account_name,
        actions=allowed,
        may_read=may_read,
        may_name_users=may_name_users,
        created_at=format_time(now),
        expires_at=format_time(now + lifetime),
        revoked_at=None,
        seq=0,
        fingerprint=_fingerprint(hash_),
    )
    entity = ENTITY_TYPE, id_, made.name
    record = tell(connection, scope, entity, "create", None, made.as_told(), reason, now, _accounts(made))
    connection.execute(
        insert(api_key).values(
            id=id_,
            organization_id=scope.organization_id,
            secret_hash=hash_,
            actions=orjson.dumps(allowed).decode(),
            seq=record.seq,
            **{column: getattr(made, column) for column in _AS_THEY_ARE},
        )
    )
    return IssuedKey(replace(made, seq=record.seq), token)


def revoke_api_key(
    connection: Connection,
    scope: Scope,
    key_id: str,
    *,
    reason: str,
    clock: Callable[[], datetime] = utc_now,
) -> ApiKey:
    """Revoke a key in the caller's write transaction, with a record of who did, and return it as it is then.

    From the commit on nothing is recorded through it. Raises NotPermitted, ApiKeyError where there is no such key, or
    it is revoked already, and what `append` raises; the caller must then roll back.
    """
    scope.check(Permission.MANAGE_KEYS)
    key = find_api_key(connection, scope.organization_id, key_id, lock=True)
    if key is None:
        raise ApiKeyError(f"{scope.organization_id} has no API key {key_id[:60]!r}.", "List them to see their ids.")
    if key.revoked_at is not None:
        raise ApiKeyError(f"The key {key.id} was revoked at {key.revoked_at} already.", "Nothing was changed.")
    now = clock()
    revoked = replace(key, revoked_at=format_time(now))
    entity = ENTITY_TYPE, key.id, key.name
    told = key.as_told(), revoked.as_told()
    record = tell(connection, scope, entity, "revoke", *told, reason, now, _accounts(key))
    connection.execute(update(api_key).where(_row.id == key.id).values(revoked_at=revoked.revoked_at, seq=record.seq))
    return replace(revoked, seq=record.seq)


def list_api_keys(engine: Engine, scope: Scope) -> list[ApiKey]:
    """An organization's keys, the newest first, each held against the record that tells of it.

    Raises NotPermitted, UnknownOrganization.
    """
    scope.check(Permission.MANAGE_KEYS)
    get_organization(engine, scope.organization_id)
    with engine.connect() as connection:
        mine = _select().where(_row.organization_id == scope.organization_id)
        rows = connection.execute(mine.order_by(_row.created_at.desc(), _row.id)).all()
        return [checked_key(connection, _key(row)) for row in rows]


def find_api_key(connection: Connection, organization_id: str, key_id: str, *, lock: bool = False) -> ApiKey | None:
    """An organization's key of that id, as its row says; `lock` keeps others from changing it meanwhile."""
    if not KEY_ID.fullmatch(key_id):  # it may be text that no database takes
        return None
    row = connection.execute(_BY_ID.with_for_update(of=api_key) if lock else _BY_ID, {"key_id": key_id}).first()
    return None if row is None or row.organization_id != organization_id else _key(row)


def find_by_token(connection: Connection, token: str) -> ApiKey | None:
    """The key that a token is of, whatever has become of it; None for any other text."""
    match = _TOKEN.fullmatch(token)
    row = None if match is None else connection.execute(_BY_ID, {"key_id": match[1]}).first()
    if row is None or not isinstance(row.secret_hash, bytes):
        return None
    return _key(row) if secrets.compare_digest(row.secret_hash, token_hash(token)) else None


def checked_key(connection: Connection, key: ApiKey) -> ApiKey:
    """The key, marked as altered where the newest record of it is not sound, or tells otherwise."""
    told = newest_of_entity(connection, key.organization_id, ENTITY_TYPE, key.id, tells_state())
    try:
        body = encode_body("after", key.as_told())
    except InvalidRecord:  # no record could tell this
        return replace(key, altered=True)
    if told is None or told.findings or told.after is None:
        return replace(key, altered=True)
    return key if (told.record.seq, told.after.body) == (key.seq, body) else replace(key, altered=True)


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return sha256(token.encode()).digest()


def tell(
    connection: Connection,
    scope: Scope,
    entity: tuple[str, str, str],
    action: str,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    reason: str,
    now: datetime,
    related: Iterable[tuple[str, str]] = (),
) -> Record:
    """Append the record of a change of a key or service account. Raises ApiKeyError where it has no reason."""
    if not reason.strip():
        raise ApiKeyError("A change of keys or service accounts needs a reason.", "Say why; it stands in the record.")
    return append_act(
        connection, scope, action, entity, reason=reason.strip(), related=list(related), before=before, after=after,
        occurred_at=now,
    )  # fmt: skip


def check_name(name: str) -> str:
    """The name of a key or service account, without spaces around it. Raises ApiKeyError."""
    name = name.strip()
    if (problem := name_problem(name, MAX_NAME)) is not None:
        raise ApiKeyError(problem, "Give another name.")
    return name


_AS_THEY_ARE = (
    "name", "service_account_id", "may_read", "may_name_users", "created_at", "expires_at", "revoked_at",
)  # fmt: skip


def _check_actions(actions: Iterable[str], may_read: bool) -> tuple[str, ...]:
    allowed = tuple(sorted(set(actions)))
    if ANY_ACTION in allowed:
        return (ANY_ACTION,)
    for action in allowed:
        if not _ACTION.fullmatch(action):
            raise ApiKeyError(f"{action[:60]!r} is not an action.", "An action is a verb in lower case: a-z, 0-9, _.")
    if len(allowed) > MAX_ACTIONS:
        raise ApiKeyError(f"A key names at most {MAX_ACTIONS} actions.", "Let it record any action, or fewer.")
    if not allowed and not may_read:
        raise ApiKeyError("This key could neither record nor read.", "Name the actions that it may record.")
    return allowed


def _account_name(connection: Connection, scope: Scope, account_id: str) -> str:
    """The name of an account that is in use, which nobody retires meanwhile."""
    mine = service_account.c.organization_id == scope.organization_id, service_account.c.id == account_id
    account = None
    if ACCOUNT_ID.fullmatch(account_id):  # it may be text that no database takes
        account = connection.execute(select(service_account).where(*mine).with_for_update()).first()
    if account is None:
        raise ApiKeyError(f"{scope.organization_id} has no service account {account_id[:60]!r}.", "Add it first.")
    if account.retired_at is not None:
        raise ApiKeyError(f"The service account {account_id} is retired.", "Add another one.")
    return str(account.name)


def _accounts(key: ApiKey) -> list[tuple[str, str]]:
    return [] if key.service_account_id is None else [("service_account", key.service_account_id)]


def _fingerprint(hash_: bytes) -> str:
    """What ties a record to the stored hash without telling it."""
    return sha256(hash_).hexdigest()


def _select() -> Select[Any]:
    owner = and_(
        service_account.c.organization_id == _row.organization_id, service_account.c.id == _row.service_account_id
    )
    return select(api_key, service_account.c.name.label("account_name")).outerjoin_from(api_key, service_account, owner)


_BY_ID = _select().where(_row.id == bindparam("key_id"))


def _key(row: Row[Any]) -> ApiKey:
    """A row as it is; what somebody altered to no hash or list gives none, and then no record agrees with it."""
    hash_ = row.secret_hash if isinstance(row.secret_hash, bytes) else b""
    try:
        actions = orjson.loads(row.actions)
    except (orjson.JSONDecodeError, TypeError):
        actions = []
    known = isinstance(actions, list) and all(isinstance(action, str) for action in actions)
    return ApiKey(
        id=row.id,
        organization_id=row.organization_id,
        service_account_name=row.account_name,
        actions=tuple(actions) if known else (),
        seq=row.seq,
        fingerprint=_fingerprint(hash_),
        **{column: getattr(row, column) for column in _AS_THEY_ARE},
    )
