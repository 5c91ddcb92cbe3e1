"""The HTTP interface described for programs (OpenAPI 3.1): what is sent, what is answered, and every error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flasktrack.core.record import ACTOR_TYPES, MAX_ID, MAX_NAME, MAX_POSITION, MAX_REASON, MAX_RELATED, OUTCOMES
from flasktrack.http_api.events import MAX_RECORDS
from flasktrack.http_api.limits import MAX_BODY_BYTES
from flasktrack.http_api.problems import KINDS, MEDIA_TYPE
from flasktrack.http_api.reading import DEFAULT_LIMIT, LAST_AFTER, MAX_CHECKPOINTS, MAX_LIMIT
from flasktrack.insight.filter import PARAMETERS

Schema = dict[str, Any]

_NO_NUL = r"^[^\u0000\ud800-\udfff]*$"
_ADMISSION = ("not-authenticated", "too-many-requests", "internal-error", "unavailable")
_FILTERS = {
    "from": "occurred at or after this time: ISO 8601; without a zone, in the organization's",
    "to": "occurred before this time",
    "actor": "`type:id` of who acted",
    "actor_type": "type of actor",
    "action": "the action",
    "entity": "`type:id` of what was touched",
    "entity_type": "type of entity",
    "outcome": "the outcome",
    "credential": "id of the key or token",
    "on_behalf_of": "`type:id` of the actor for whom a machine acted",
    "ip": "network address of the context",
    "hours": "hours of the week by the organization's clocks, such as `mon-fri:8-18`",
    "with_related": "`1`: records that relate to `entity`, too",
    "seq": "positions: `10-20`, `10-`, `-20` or `10`",
    "positions": "positions one by one: `3,7,12-14`",
    "text": "words that all stand in the record",
}
_FILTER_KINDS: Schema = {
    "actor_type": {"enum": list(ACTOR_TYPES)},
    "outcome": {"enum": list(OUTCOMES)},
    "with_related": {"enum": ["0", "1"]},
}
_SINGLE = {"from", "to", "with_related", "seq", "positions", "text"}


def openapi_document() -> Schema:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FlaskTrack",
            "version": "1",
            "description": "Record what is done in a laboratory into a history that nobody alters unseen, and read it.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {
            "/v1/records": {"post": _post_records(), "get": _get_records()},
            "/v1/records/{seq}/proof": {"get": _get_proof()},
            "/v1/checkpoints": {"get": _get_checkpoints()},
        },
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key of one organization: `ftk_...`"}
            },
            "schemas": {
                "Event": _event(),
                "Receipt": _receipt(),
                "Record": _record(),
                "Checkpoint": _checkpoint(),
                "Problem": _problem(),
            },
        },
    }


def _post_records() -> Schema:
    return {
        "operationId": "record",
        "summary": "Record: one or many, all or none",
        "description": "Answered once the records are on the disk. A `record_id` makes it safe to send again: the same "
        "record is recorded once, and answered with its position as often as it is sent. "
        f"A body has at most {MAX_BODY_BYTES:,} bytes.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _object(
                        {"records": _list({"$ref": "#/components/schemas/Event"}, minItems=1, maxItems=MAX_RECORDS)}
                    ),
                    "example": {"records": [_EXAMPLE]},
                }
            },
        },
        "responses": {
            "200": _answer(
                "The records' positions and hashes, in the order sent",
                _object({"records": _list({"$ref": "#/components/schemas/Receipt"})}),
            ),
            **_problems(
                *_ADMISSION, "malformed", "not-allowed", "timeout", "conflict", "too-large", "unsupported-media-type",
                "invalid-record", "chain-broken",
            ),
        },
    }  # fmt: skip


def _get_records() -> Schema:
    return {
        "operationId": "listRecords",
        "summary": "Records that a filter selects, in pages",
        "description": "Values of one parameter are alternatives; parameters narrow each other. Every record is "
        "hash-checked as it is read: `findings` says what is wrong with it. A page holds up to `limit` records and "
        "about 4 MiB.",
        "parameters": [
            *(_filter(name) for name in PARAMETERS),
            _parameter("after", "the position after which the page begins; `next` names it", _position(LAST_AFTER)),
            _parameter("limit", f"records in a page; {DEFAULT_LIMIT} unless given", _position(MAX_LIMIT)),
            _parameter("order", "by position: `asc`, or `desc` for the newest first", {"enum": ["asc", "desc"]}),
        ],
        "responses": {
            "200": _answer(
                "A page",
                _object({"records": _list({"$ref": "#/components/schemas/Record"}), "next": _next()}),
            ),
            **_problems(*_ADMISSION, "invalid-query", "search-too-long", "not-allowed"),
        },
    }


def _get_proof() -> Schema:
    return {
        "operationId": "getProof",
        "summary": "A record's proof, as C2SP tlog-proof",
        "description": "It holds the record's header, its inclusion proof and the signed checkpoint, and is checked "
        "with the organization's public keys alone.",
        "parameters": [
            {
                "name": "seq",
                "in": "path",
                "required": True,
                "description": "the record's position",
                "schema": _position(),
            }
        ],
        "responses": {
            "200": {
                "description": "The proof",
                "content": {"text/plain": {"schema": {"type": "string", "pattern": r"^c2sp\.org/tlog-proof@v1\n"}}},
            },
            **_problems(*_ADMISSION, "search-too-long", "not-allowed", "not-found", "unsealed", "not-sound"),
        },
    }


def _get_checkpoints() -> Schema:
    return {
        "operationId": "listCheckpoints",
        "summary": "Signed checkpoints by size, in pages",
        "description": "Notes as C2SP tlog-checkpoint writes them. None is vouched for here: check its signatures.",
        "parameters": [
            _parameter("after", "the size after which the page begins; `next` names it", _position(LAST_AFTER)),
            _parameter("limit", "checkpoints in a page", _position(MAX_CHECKPOINTS)),
        ],
        "responses": {
            "200": _answer(
                "A page",
                _object({"checkpoints": _list({"$ref": "#/components/schemas/Checkpoint"}), "next": _next()}),
            ),
            **_problems(*_ADMISSION, "invalid-query", "search-too-long", "not-allowed"),
        },
    }


def _event() -> Schema:
    """What is sent: spec section 6, but that the actor may be left out."""
    user = _object(
        {
            "type": {"enum": list(ACTOR_TYPES)},
            "id": _text(MAX_ID),
            "name": _or_null(_text(MAX_NAME)),
            "role": _or_null(_text(MAX_ID)),
        },
        optional=("name", "role"),
        description="Who acted; left out, it is the key's own actor. Only a key that may name users can state one.",
    )
    section = {"description": "any JSON, at most 1 MiB of it"}
    optional: Schema = {
        "actor": _or_null(user),
        "record_id": _or_null({"type": "string", "pattern": _UUID, "description": "makes it safe to send again"}),
        "outcome": _or_null({"enum": list(OUTCOMES), "description": "success unless given"}),
        "credential_id": _or_null(_text(MAX_ID, description="is this key's; leave it out")),
        "on_behalf_of": _or_null(
            {
                "type": "string",
                "pattern": rf"^({'|'.join(ACTOR_TYPES)}):[^\u0000\ud800-\udfff]{{1,{MAX_ID}}}$",
                "description": "`user:id` for whom the machine acts; only with a key that may name users",
            }
        ),
        "related": _or_null(_list(_object({"type": _text(MAX_ID), "id": _text(MAX_ID)}), maxItems=MAX_RELATED)),
        "reason": _or_null(_text(MAX_REASON, 0)),
        "correlation_id": _or_null(_text(MAX_ID)),
        "before": section,
        "after": section,
        "context": section,
    }
    return _object(
        {
            "action": {"type": "string", "pattern": "^[a-z0-9_]{1,255}$"},
            "entity": _object(
                {"type": _text(MAX_ID), "id": _text(MAX_ID), "name": _or_null(_text(MAX_NAME))}, optional=("name",)
            ),
            "occurred_at": {"type": "string", "format": "date-time", "description": "ISO 8601, with a zone"},
            **optional,
        },
        optional=tuple(optional),
    )


_EXAMPLE = {
    "action": "update",
    "entity": {"type": "sample", "id": "S-104", "name": "Serum 104"},
    "occurred_at": "2026-11-24T05:06:07+01:00",
    "record_id": "0190c0de-0000-7000-8000-000000000001",
    "before": {"volume_ml": 2.5},
    "after": {"volume_ml": 2.0},
    "reason": "aliquot taken",
}
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def _receipt() -> Schema:
    return _object({"seq": _position(), "record_id": {"type": "string"}, "recorded_at": _TIME, "hash": _HEX})


_TIME: Schema = {"type": "string", "format": "date-time"}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _record() -> Schema:
    """What is read: spec section 1, as the export JSON Lines has it (docs/exporting.md)."""
    text: Schema = {"type": "string"}
    sections: Schema = {}
    for name in ("before", "after", "context"):
        sections |= {name: {}, f"{name}_salt": _or_null(text), f"{name}_digest": _or_null(_HEX)}
    return {
        "type": "object",
        "properties": {
            "organization_id": text, "seq": _position(), "record_id": text, "occurred_at": text, "recorded_at": text,
            "actor": {"type": "object"}, "actor_seq": {"type": "integer"}, "credential_id": _or_null(text),
            "on_behalf_of": _or_null(text), "action": text, "outcome": text, "entity": {"type": "object"},
            "entity_seq": {"type": "integer"}, "related": {"type": "array"}, "reason": _or_null(text),
            "correlation_id": _or_null(text), **sections, "prev_hash": text, "hash": text,
            "findings": {"description": "what is wrong with it: codes; empty where it is sound"},
        },
        "required": ["organization_id", "seq", "record_id", "hash", "findings"],
    }  # fmt: skip


def _checkpoint() -> Schema:
    return _object({
        "size": {"type": "integer", "description": "how many records it covers"},
        "root": {"type": "string", "description": "base64"},
        "note": {"type": "string"},
        "created_at": {"type": "string"},
    })  # fmt: skip


def _problem() -> Schema:
    error = _object({"pointer": {"type": "string"}, "detail": {"type": "string"}})
    return {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": {"enum": [f"/docs#{name}" for name in KINDS]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": _list(error),
        },
        "required": ["type", "title", "status", "detail"],
    }


def _problems(*names: str) -> Schema:
    by_status: dict[int, list[str]] = {}
    for name in names:
        by_status.setdefault(KINDS[name].status, []).append(name)
    return {
        str(status): {
            "description": "; or: ".join(KINDS[name].title for name in named),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, named in sorted(by_status.items())
    }


def _filter(name: str) -> Schema:
    kind: Schema = _FILTER_KINDS.get(name, {"type": "string", "minLength": 1})
    return _parameter(name, _FILTERS[name], kind if name in _SINGLE else _list(kind))


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(properties: Schema, *, optional: Iterable[str] = (), **more: Any) -> Schema:
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _text(longest: int, shortest: int = 1, **more: Any) -> Schema:
    return {"type": "string", "minLength": shortest, "maxLength": longest, "pattern": _NO_NUL, **more}


def _position(largest: int = MAX_POSITION) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": largest}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


def _next() -> Schema:
    return {"type": ["string", "null"], "description": "the address of the next page; null where this is the last"}
