"""What FlaskTrack says of itself: that somebody signed in, looked, exported or verified, or changed a member or a key.

Readers believe these records, so nobody else may make one: neither a program with an API key nor a file that is
imported. What is reserved is told by the type of the entity and the action, as below. A laboratory's own exports,
sessions or pages are recorded under a type of another name, such as `lims_session`.
"""

from __future__ import annotations

import re

from flasktrack.core import erasure
from flasktrack.errors import InvalidRecord

KEY_ID = re.compile(r"ftk_[0-9a-f]{16}")
"""What an API key's id looks like."""

_ANY: frozenset[str] = frozenset()
_OWN: dict[str, frozenset[str]] = {
    "account": frozenset({"disable", "enable", "end_sessions", "reset_password"}),
    "api_key": _ANY,  # of an id such as FlaskTrack gives
    "database_trigger": _ANY,
    "export": frozenset({"download", "export"}),
    "member": _ANY,  # of an id such as user:anna
    "organization": frozenset({erasure.ACTION, "verify"}),  # of the very one
    "organization_setting": _ANY,
    "page": frozenset({"search", "view"}),
    "record": frozenset({"download"}),
    "saved_filter": _ANY,
    "service_account": frozenset({"create", "retire"}),
    "session": frozenset({"change_password", "sign_in", "sign_out"}),
}


def is_own_act(organization_id: str, action: str, entity_type: str, entity_id: str) -> bool:
    """Whether FlaskTrack alone records this in an organization."""
    actions = _OWN.get(entity_type)
    if actions is None or not (actions is _ANY or action in actions):
        return False
    if entity_type == "api_key":
        return KEY_ID.fullmatch(entity_id) is not None
    if entity_type == "member":
        return entity_id.startswith("user:")
    return entity_type != "organization" or entity_id == organization_id


def check_not_own_act(organization_id: str, action: str, entity_type: str, entity_id: str) -> None:
    """Raise InvalidRecord for what comes from outside, and only FlaskTrack itself may record."""
    if not is_own_act(organization_id, action, entity_type, entity_id):
        return
    said = f"{action[:60]!r} on {entity_type}:{entity_id[:60]} is reserved for what FlaskTrack records of itself"
    if entity_type == "organization":
        raise InvalidRecord("action", said)
    raise InvalidRecord("entity", f"{said}; name another type, such as lims_{entity_type}")
