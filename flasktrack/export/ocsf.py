"""JSON Lines in the words of the Open Cybersecurity Schema Framework, which SIEMs read (docs/exporting.md).

An event is of the class Entity Management (3004), schema version 1.8.0, with the profile `datetime`. `entity` is what
was acted on, with the state before as its `data`; `entity_result` is the state after. What the schema has no field for
stands under `unmapped`, so that nothing is lost but the salts: to check hashes, export `jsonl` or evidence.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

import orjson

from flasktrack.core.finding import ERROR
from flasktrack.core.record import Section
from flasktrack.core.times import parse_time
from flasktrack.export.columns import finding_codes
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.store.reader import CheckedRecord

VERSION: Final = "1.8.0"
CLASS_UID: Final = 3004
ACTIVITIES: Final = {
    "create": (1, "Create"),
    "read": (2, "Read"),
    "view": (2, "Read"),
    "download": (2, "Read"),
    "update": (3, "Update"),
    "delete": (4, "Delete"),
    "move": (5, "Move"),
    "enroll": (6, "Enroll"),
    "unenroll": (7, "Unenroll"),
    "enable": (8, "Enable"),
    "disable": (9, "Disable"),
    "activate": (10, "Activate"),
    "deactivate": (11, "Deactivate"),
    "suspend": (12, "Suspend"),
    "resume": (13, "Resume"),
}
"""Actions that the class has a number for; every other one is 99, Other, under its own name."""

_OTHER = 99
_USER_TYPES = {"user": 1, "system": 3, "service_account": 4, "automation": 4, "api_key": 4}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def write(selection: Selection, _options: ExportOptions, file: NewFile) -> None:
    """Write the selection, an event a line. Raises ExportFailed."""
    for checked in selection.records():
        file.write(orjson.dumps(ocsf_event(checked), default=_plain, option=orjson.OPT_APPEND_NEWLINE))


def ocsf_event(checked: CheckedRecord) -> dict[str, Any]:
    """A record as an event of the class. Time texts that somebody altered give 1970, and stand under `unmapped`."""
    record = checked.record
    activity, name = ACTIVITIES.get(record.action, (_OTHER, _text(record.action)))
    broken = any(finding.severity == ERROR for finding in checked.findings)
    context = _parsed(checked.context)
    entity = {"uid": _text(record.entity_id), "type": _text(record.entity_type), "type_id": _OTHER}
    if record.entity_name is not None:
        entity["name"] = _text(record.entity_name)
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "class_uid": CLASS_UID,
        "class_name": "Entity Management",
        "type_uid": CLASS_UID * 100 + activity,
        "type_name": f"Entity Management: {name if activity != _OTHER else 'Other'}",
        "severity_id": 4 if broken else 1,
        "severity": "High" if broken else "Informational",
        **_moment("time", record.occurred_at),
        "status_id": 1 if record.outcome == "success" else 2,
        "status": "Success" if record.outcome == "success" else "Failure",
        "status_detail": _text(record.outcome),
        "message": f"{record.actor_name or record.actor_id} {record.action} {record.entity_type} {record.entity_id}",
        "actor": {"user": _user(checked)},
        "entity": entity | _data(checked.before),
        "metadata": {
            "version": VERSION,
            "profiles": ["datetime"],
            "product": {"name": "FlaskTrack", "vendor_name": "FlaskTrack"},
            "tenant_uid": _text(record.organization_id),
            "uid": _text(record.record_id),
            "sequence": record.seq,
            "event_code": _text(record.action),
            "original_time": _text(record.occurred_at),
            **_moment("logged_time", record.recorded_at),
        },
        "unmapped": {
            "actor_type": record.actor_type,
            "actor_role": record.actor_role,
            "actor_seq": record.actor_seq,
            "on_behalf_of": record.on_behalf_of,
            "entity_seq": record.entity_seq,
            "related": [{"type": type_, "id": id_} for type_, id_ in record.related],
            "recorded_at": record.recorded_at,
            "context": context,
            "before_digest": record.before_digest,
            "after_digest": record.after_digest,
            "context_digest": record.context_digest,
            "prev_hash": record.prev_hash,
            "hash": record.hash,
            "findings": finding_codes(checked),
        },
    }
    if checked.after is not None:
        event["entity_result"] = entity | _data(checked.after)
    if record.reason is not None:
        event["comment"] = _text(record.reason)
    if record.correlation_id is not None:
        event["metadata"]["correlation_uid"] = _text(record.correlation_id)
    return event | _request(context)


def _user(checked: CheckedRecord) -> dict[str, Any]:
    record = checked.record
    user: dict[str, Any] = {
        "uid": _text(record.actor_id),
        "type": _text(record.actor_type),
        "type_id": _USER_TYPES.get(record.actor_type, _OTHER),
    }
    if record.actor_name is not None:
        user["name"] = _text(record.actor_name)
    if record.credential_id is not None:
        user["credential_uid"] = _text(record.credential_id)
    return user


def _request(context: Any) -> dict[str, Any]:
    """What the schema has a place for in the request context: the address, the browser and the method."""
    if not isinstance(context, dict):
        return {}
    found: dict[str, Any] = {}
    address, browser, method = (context.get(name) for name in ("ip", "user_agent", "method"))
    if isinstance(address, str) and _is_address(address):
        found["src_endpoint"] = {"ip": address}
    request = {"user_agent": browser, "http_method": method}
    if request := {name: value for name, value in request.items() if isinstance(value, str)}:
        found["http_request"] = request
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone of this machine's


def _data(section: Section | None) -> dict[str, Any]:
    return {} if section is None else {"data": _parsed(section)}


def _parsed(section: Section | None) -> Any:
    """A section's value; the text itself where somebody turned it into what is no JSON."""
    if section is None:
        return None
    try:
        return orjson.loads(section.body)
    except (orjson.JSONDecodeError, TypeError):
        return _text(section.body)


def _moment(name: str, stored: Any) -> dict[str, Any]:
    """A time in milliseconds, and as text with microseconds (the profile `datetime`)."""
    try:
        moment = parse_time(stored)
    except (ValueError, TypeError):
        moment = _EPOCH
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    return {name: milliseconds, f"{name}_dt": moment.isoformat(timespec="microseconds").replace("+00:00", "Z")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    """Hashes and digests in hex, and whatever else somebody may have put into a stored row."""
    return value.hex() if isinstance(value, bytes) else str(value)
