"""JSON Lines for programs, and for checking: one object a record, with all that its hash rests on (docs/exporting.md).

The fields are spec section 1's, `actor`, `entity` and `related` in the shape that `import` takes. A section is its
stored body, byte for byte, since a body that was parsed and written again need not be the one that was hashed:

    {..., "before":{"volume":0.5}, "before_salt":"<base64>", "before_digest":"<hex>", ..., "hash":"<hex>", ...}

A body that somebody turned into something that no line of JSON can carry stands in `before_text` as text instead.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

from flasktrack.core.record import SECTIONS, Section
from flasktrack.export.columns import finding_codes
from flasktrack.export.new_file import NewFile
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.store.reader import CheckedRecord


def write(selection: Selection, _options: ExportOptions, file: NewFile) -> None:
    """Write the selection, a line a record. Raises ExportFailed."""
    for checked in selection.records():
        file.write(jsonl_line(checked))


def jsonl_line(checked: CheckedRecord) -> bytes:
    """A record's line."""
    record = checked.record
    line: dict[str, Any] = {
        "organization_id": record.organization_id,
        "seq": record.seq,
        "record_id": record.record_id,
        "occurred_at": record.occurred_at,
        "recorded_at": record.recorded_at,
        "actor": {
            "type": record.actor_type,
            "id": record.actor_id,
            "name": record.actor_name,
            "role": record.actor_role,
        },
        "actor_seq": record.actor_seq,
        "credential_id": record.credential_id,
        "on_behalf_of": record.on_behalf_of,
        "action": record.action,
        "outcome": record.outcome,
        "entity": {"type": record.entity_type, "id": record.entity_id, "name": record.entity_name},
        "entity_seq": record.entity_seq,
        "related": [{"type": type_, "id": id_} for type_, id_ in record.related],
        "reason": record.reason,
        "correlation_id": record.correlation_id,
    }
    for name in SECTIONS:
        line |= _section(name, getattr(checked, name))
        line[f"{name}_digest"] = getattr(record, f"{name}_digest")
    line["prev_hash"] = record.prev_hash
    line["hash"] = record.hash
    line["findings"] = finding_codes(checked)
    return orjson.dumps(line, default=_plain, option=orjson.OPT_APPEND_NEWLINE)


def _section(name: str, section: Section | None) -> dict[str, Any]:
    if section is None:
        return {name: None, f"{name}_salt": None}
    salt, body = section
    written = {name: orjson.Fragment(body)} if _fits_a_line(body) else {name: None, f"{name}_text": body}
    return {**written, f"{name}_salt": base64.b64encode(salt).decode() if isinstance(salt, bytes) else salt}


def _fits_a_line(body: Any) -> bool:
    """Whether a stored body can stand in a line as it is. `null` can't: that is a section that was never there."""
    if not isinstance(body, str) or "\n" in body or "\r" in body:
        return False
    try:
        return orjson.loads(body) is not None
    except orjson.JSONDecodeError:
        return False


def _plain(value: Any) -> str:
    """Hashes and digests in hex, and whatever else somebody may have put into a stored row."""
    return value.hex() if isinstance(value, bytes) else str(value)
