"""What FlaskTrack reads back and believes: its settings, members, keys and accounts, and what was erased or verified.

A program with an API key can't record these. All else is a laboratory's own, sign-ins and exports included: whoever
wants FlaskTrack's own ones alone looks at the credential, which no record has that FlaskTrack makes of itself.
"""

from __future__ import annotations

import re

from flasktrack.core import erasure
from flasktrack.errors import InvalidRecord

KEY_ID = re.compile(r"ftk_[0-9a-f]{16}")
"""What an API key's id looks like."""
SETTINGS = frozenset({"attention", "profile"})
"""Ids of FlaskTrack's own settings of an organization."""


def check_not_own_act(organization_id: str, action: str, entity_type: str, entity_id: str) -> None:
    """Raise InvalidRecord for what a program can't record in an organization, since FlaskTrack believes it."""
    own = {
        "organization": action in (erasure.ACTION, "verify") and entity_id == organization_id,
        "organization_setting": entity_id in SETTINGS,
        "member": entity_id.startswith("user:"),
        "api_key": KEY_ID.fullmatch(entity_id) is not None,
        "service_account": True,
    }
    if not own.get(entity_type):
        return
    said = f"{action[:60]!r} on {entity_type}:{entity_id[:60]} is reserved for what FlaskTrack records of itself"
    if entity_type == "organization":
        raise InvalidRecord("action", said)
    raise InvalidRecord("entity", f"{said}; name another type, such as lims_{entity_type}")
