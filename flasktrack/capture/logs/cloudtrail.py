"""AWS CloudTrail's log files: `{"Records": [...]}`, as they lie in S3 (user guide, "record contents", "userIdentity").

A record is a call of an AWS API. Who made it is told in `userIdentity`, in a form that its type decides; `invokedBy` is
the AWS service that made it in that identity's name.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from flasktrack.capture.logs.entry import Entry, few, required, shortened, verb
from flasktrack.core.record import Event
from flasktrack.errors import InvalidRecord

LOG: Final = "cloudtrail"
WRAPPERS: Final = (("Records",),)

_PEOPLE: Final = (
    "Root", "IAMUser", "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "Directory",
)  # fmt: skip
_PERSONAL_ROLE: Final = "AWSReservedSSO_"
"""Roles that IAM Identity Center makes for people: the session bears the name of the one who signed in."""
_DENIALS: Final = ("AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden", "AuthFailure")


class _Identity(NamedTuple):
    """Whose permissions were used; where the entry has their name and role."""

    type: str
    id: str
    name: tuple[str, ...] | None = None
    role: tuple[str, ...] | None = None


def event_of(value: dict[str, Any]) -> Event:
    """The event of a CloudTrail record. Raises InvalidRecord, which names the field."""
    if "digestS3Object" in value or "previousDigestS3Bucket" in value:
        raise InvalidRecord("digestS3Object", "is of a digest and not of a log; import the folder CloudTrail beside it")
    entry = Entry(value)
    record_id = entry.record_id(LOG, "eventID")
    outcome = _outcome(entry)
    name = required("eventName", entry.text("eventName"))
    credential = entry.id("userIdentity", "accessKeyId") or entry.id("userIdentity", "credentialId")
    actor, on_behalf_of = _actors(entry)
    kind, id_, related = _entity(entry)
    return Event(
        occurred_at=required("eventTime", entry.time("eventTime")),
        actor_type=actor.type,
        actor_id=actor.id,
        actor_name=None if actor.name is None else entry.name(*actor.name),
        actor_role=None if actor.role is None else entry.id(*actor.role),
        credential_id=credential,
        on_behalf_of=on_behalf_of,
        action="sign_in" if name == "ConsoleLogin" else verb("eventName", name),
        outcome=outcome,
        entity_type=kind,
        entity_id=id_,
        related=related,
        correlation_id=entry.id("sharedEventID"),
        record_id=record_id,
        context=entry.context(
            LOG,
            ip=entry.address("sourceIPAddress"),
            user_agent=entry.plain("userAgent"),
            request_id=entry.plain("requestID"),
        ),
    )


def _actors(entry: Entry) -> tuple[_Identity, str | None]:
    """Who acted, and in whose name: a service acts for an identity, a role for its `sourceIdentity`."""
    kind = entry.text("userIdentity", "type")
    service = entry.id("userIdentity", "invokedBy")
    person = entry.id("userIdentity", "onBehalfOf", "userId")
    if person is not None and kind == "IdentityCenterUser" and service is None:
        return _Identity("user", person, name=("userIdentity", "userName")), None
    person = person or entry.id("userIdentity", "sessionContext", "sourceIdentity")
    if service is not None:
        identity = None if person is not None or kind == "AWSService" else _identity(entry, kind)
        person_or_role = f"user:{person}" if person else f"{identity.type}:{identity.id}" if identity else None
        return _Identity("system", service), person_or_role
    identity = _identity(entry, kind)
    if identity is None:  # as in an event that CloudTrail itself made of others
        identity = _Identity("system", shortened(required("userIdentity", entry.text("eventSource"))))
    return identity, None if person is None else f"user:{person}"


def _identity(entry: Entry, kind: str | None) -> _Identity | None:
    """The identity that is named; None where none is."""
    if kind in ("AssumedRole", "Role"):
        return _role(entry)
    keys = ("arn", "principalId", "userName") if kind is None else ("arn", "principalId", "userName", "accountId")
    id_ = next((found for key in keys if (found := entry.id("userIdentity", key)) is not None), None)
    if id_ is None:
        return None
    type_ = "user" if kind in _PEOPLE else "system" if kind in ("AWSService", "Unknown", None) else "service_account"
    return _Identity(type_, id_, name=("userIdentity", "userName"))


def _role(entry: Entry) -> _Identity | None:
    """A role by its ARN, whosever session it is; a person, where it is one of IAM Identity Center's."""
    issuer = ("userIdentity", "sessionContext", "sessionIssuer")
    session = (entry.text("userIdentity", "arn") or "").rpartition("/")[2]
    if (entry.text(*issuer, "userName") or "").startswith(_PERSONAL_ROLE) and session:
        return _Identity("user", shortened(session), role=(*issuer, "userName"))
    id_ = entry.id(*issuer, "arn") or entry.id("userIdentity", "arn") or entry.id("userIdentity", "principalId")
    return None if id_ is None else _Identity("service_account", id_, name=(*issuer, "userName"))


def _outcome(entry: Entry) -> str:
    code = entry.look("errorCode")
    if isinstance(code, str) and any(word in code for word in _DENIALS):
        return "denied"
    sign_in = entry.look("responseElements", "ConsoleLogin") if entry.look("eventName") == "ConsoleLogin" else None
    failed = code is not None or entry.look("errorMessage") is not None or sign_in == "Failure"
    return "failure" if failed else "success"


def _entity(entry: Entry) -> tuple[str, str, list[tuple[str, str]]]:
    """The first of the resources and the other ones; the service that was called, where none is named."""
    listed = entry.look("resources")
    found = []
    for resource in listed if isinstance(listed, list) else ():
        if isinstance(resource, dict):
            kind, arn = resource.get("type"), resource.get("ARN") or resource.get("ARNPrefix")
            if isinstance(arn, str) and arn:
                found.append((shortened(kind) if isinstance(kind, str) and kind else "aws_resource", shortened(arn)))
    if found:
        return *found[0], few(found[1:])
    return "aws_service", shortened(required("eventSource", entry.text("eventSource"))), []
