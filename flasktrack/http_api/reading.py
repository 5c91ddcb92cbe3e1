"""What is read over HTTP: pages of records, pages of checkpoints, and a record's proof.

    GET /v1/records?entity=sample:S-104&order=desc&limit=50    {"records": [...], "next": "/v1/records?...&after=812"}

Pages follow each other by position (a keyset), so that none costs more than the one before it, and records that come
meanwhile move nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from sqlalchemy import Engine

from flasktrack.core.record import MAX_POSITION
from flasktrack.errors import ExportFailed, InvalidFilter, Unsealed
from flasktrack.export.json_lines import jsonl_line
from flasktrack.export.sealed import record_proof
from flasktrack.http_api.problems import Problem
from flasktrack.insight.filter import PARAMETERS, RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.organizations import check_time_zone
from flasktrack.store.reader import Ledger
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import Permission, Scope
from flasktrack.store.time_limit import check_time
from flasktrack.trust.checkpoints import checkpoints_above
from flasktrack.trust.keyring import Keyring

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
MAX_PAGE_BYTES = 4 * 1024 * 1024
"""A page of records ends where it has as many; one record may have a little more."""
MAX_CHECKPOINTS = 100
LAST_AFTER = MAX_POSITION - 1
"""The last position that a page can come after: one more is still an integer of the databases."""
ASCENDING, DESCENDING = "asc", "desc"

Parameters = Mapping[str, Sequence[str]]

_POSITION = re.compile(r"[1-9][0-9]{0,18}")


def records_page(engine: Engine, scope: Scope, parameters: Parameters) -> bytes:
    """A page of the records that a filter selects, as JSON. Raises Problem, NotPermitted, DatabaseError."""
    scope.check(Permission.SEARCH_RECORDS)
    _check_names(parameters, {*PARAMETERS, "after", "limit", "order"})
    order = _single(parameters, "order") or ASCENDING
    if order not in (ASCENDING, DESCENDING):
        raise _bad("order", f"{order[:20]!r} is neither {ASCENDING} nor {DESCENDING}")
    limit = _number(parameters, "limit", MAX_LIMIT) or DEFAULT_LIMIT
    after = _number(parameters, "after", LAST_AFTER)
    ledger = Ledger(engine, scope)
    try:
        chosen = RecordFilter.from_params(parameters, check_time_zone(ledger.organization.time_zone))
    except InvalidFilter as problem:
        raise Problem("invalid-query", str(problem)) from None
    descending = order == DESCENDING
    bounds = {} if after is None else {"last": after - 1} if descending else {"first": after + 1}
    lines: list[bytes] = []
    size = last = 0
    more = False
    for checked in ledger.stream(*chosen.conditions(), **bounds, descending=descending, limit=limit + 1):
        if len(lines) == limit or size >= MAX_PAGE_BYTES:
            more = True
            break
        check_time(engine)
        line = jsonl_line(checked).rstrip()
        lines.append(line)
        size += len(line)
        last = checked.record.seq
    following = _next("/v1/records", parameters, last) if more else None
    return b'{"records":[' + b",".join(lines) + b'],"next":' + orjson.dumps(following) + b"}"


def checkpoints_page(engine: Engine, scope: Scope, parameters: Parameters) -> bytes:
    """A page of an organization's checkpoints by size, as JSON: their notes are for the reader to check.

    Raises Problem, NotPermitted, DatabaseError.
    """
    scope.check(Permission.SEE_INTEGRITY)
    _check_names(parameters, {"after", "limit"})
    limit = _number(parameters, "limit", MAX_CHECKPOINTS) or MAX_CHECKPOINTS
    above = _number(parameters, "after", LAST_AFTER) or 0
    with of_organization(engine, scope.organization_id).connect() as connection:
        found = checkpoints_above(connection, scope, above, limit + 1)
    shown = [
        {
            "size": one.size,
            "root": base64.b64encode(one.root).decode(),
            "note": one.note,
            "created_at": one.created_at,
        }
        for one in found[:limit]
    ]
    following = _next("/v1/checkpoints", parameters, found[limit - 1].size) if len(found) > limit else None
    return orjson.dumps({"checkpoints": shown, "next": following})


def proof_text(engine: Engine, scope: Scope, position: str) -> str:
    """A record's proof, as C2SP tlog-proof writes it. Raises Problem, NotPermitted, KeyringError, DatabaseError."""
    ledger = Ledger(engine, scope)
    seq = int(position) if _POSITION.fullmatch(position) else 0
    if ledger.get(seq) is None:
        raise Problem("not-found", f"There is no record at position {position[:20]}.")
    try:
        return record_proof(ledger, Keyring.from_settings(Settings.from_environment()), seq)
    except Unsealed:
        raise Problem("unsealed", f"No checkpoint covers record {seq:,} yet.") from None
    except ExportFailed as problem:
        raise Problem("not-sound", problem.what) from None


def _check_names(parameters: Parameters, known: Iterable[str]) -> None:
    """An unknown parameter would otherwise select everything in silence."""
    names = sorted(known)
    for name in parameters:
        if name not in names:
            raise _bad(name[:60], f"is no parameter; the parameters are {', '.join(names)}")


def _single(parameters: Parameters, name: str) -> str | None:
    values = parameters.get(name, ())
    if len(values) > 1:
        raise _bad(name, "is given more than once")
    return values[0] if values else None


def _number(parameters: Parameters, name: str, largest: int) -> int | None:
    value = _single(parameters, name)
    if value is None:
        return None
    if not _POSITION.fullmatch(value) or int(value) > largest:
        raise _bad(name, f"{value[:20]!r} is no number from 1 to {largest:,}")
    return int(value)


def _next(path: str, parameters: Parameters, after: int) -> str:
    kept: dict[str, Any] = {name: values for name, values in parameters.items() if name != "after"}
    return f"{path}?{urlencode({**kept, 'after': after}, doseq=True)}"


def _bad(name: str, problem: str) -> Problem:
    return Problem("invalid-query", f"{name}: {problem}.")
