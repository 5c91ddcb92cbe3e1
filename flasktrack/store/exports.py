"""Exports as rows: what is being written, what was, by whom it was asked for, and where the file is.

A row is a convenience: it lets a page follow an export that another process writes, and offers the file for a while.
That an export was made is on record in the chain, where nobody can take it back (`append_export_act`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from flasktrack.core.record import Record
from flasktrack.core.times import format_time, parse_time, utc_now
from flasktrack.errors import ExportFailed
from flasktrack.store.acts import append_act
from flasktrack.store.engine import writing
from flasktrack.store.row_security import of_organization
from flasktrack.store.saved_filters import read_params
from flasktrack.store.schema import export
from flasktrack.store.scope import Permission, Scope

RUNNING, CANCELLING, DONE, FAILED, CANCELLED = "running", "cancelling", "done", "failed", "cancelled"
UNDER_WAY = (RUNNING, CANCELLING)
ENTITY_TYPE = "export"
MOST_AT_ONCE = 4
"""Exports that are written at the same time for all who ask: each keeps a processor busy."""

_SILENT = timedelta(seconds=90)  # without a word from the process that writes it, an export is taken for ended


@dataclass(frozen=True, slots=True)
class Export:
    """An export: `params` are the filter's, with its upper end; `options` are columns, time_zone and withheld.

    `records` were announced, `written` are written so far. `seq` is the position of the record of it. The file can be
    downloaded until `expires_at`, where there is one. `problem` is why it failed, or what was not done beside.
    """

    id: str
    organization_id: str
    requested_at: str
    requested_by: str
    format: str
    params: Mapping[str, list[str]]
    options: Mapping[str, Any]
    records: int
    status: str
    written: int
    updated_at: str
    file: str
    bytes: int | None = None
    sha256: str | None = None
    seq: int | None = None
    expires_at: str | None = None
    problem: str | None = None

    @property
    def downloadable(self) -> bool:
        """Whether the file is kept still."""
        return self.status == DONE and self.expires_at is not None and self.expires_at > format_time(utc_now())


def new_export_id() -> str:
    """An id that nobody guesses."""
    return secrets.token_hex(16)


def begin_export(engine: Engine, asked: Export) -> None:
    """Keep a row of an export that is about to be written. Raises ExportFailed where too many are being written."""
    with writing(of_organization(engine, asked.organization_id)) as connection:
        fresh = format_time(utc_now() - _SILENT)
        busy = select(func.count()).where(export.c.status.in_(UNDER_WAY), export.c.updated_at >= fresh)
        if connection.execute(busy).scalar_one() >= MOST_AT_ONCE:
            raise ExportFailed(
                f"{MOST_AT_ONCE} exports are being made now.", "Nothing was begun: try again when one has ended."
            )
        keep_export(connection, asked)


def keep_export(connection: Connection, kept: Export) -> None:
    """Insert a row, in the caller's write transaction."""
    values = {name: getattr(kept, name) for name in Export.__slots__ if name not in ("params", "options")}
    values |= {"filter": _json(kept.params), "options": _json(kept.options)}
    connection.execute(insert(export).values(**values))


def report_written(engine: Engine, export_id: str, written: int) -> bool:
    """Say how far an export has come; whether it is to go on. Raises DatabaseError."""
    with writing(engine) as connection:
        row = connection.execute(
            update(export)
            .where(export.c.id == export_id, export.c.status.in_(UNDER_WAY))
            .values(written=written, updated_at=format_time(utc_now()))
            .returning(export.c.status)
        ).first()
    return row is not None and row.status == RUNNING


def settle_export(connection: Connection, export_id: str, status: str, **values: Any) -> bool:
    """How an export ended, in the caller's write transaction; False where it had ended already, and stays as it is."""
    settled = connection.execute(
        update(export)
        .where(export.c.id == export_id, export.c.status.in_(UNDER_WAY))
        .values(status=status, updated_at=format_time(utc_now()), **values)
    )
    return settled.rowcount == 1


def cancel_export(engine: Engine, scope: Scope, export_id: str) -> None:
    """Ask the process that writes an export to stop. Raises NotPermitted."""
    scope.check(Permission.EXPORT)
    with writing(of_organization(engine, scope.organization_id)) as connection:
        connection.execute(
            update(export).where(_is(scope, export_id), export.c.status == RUNNING).values(status=CANCELLING)
        )


def find_export(engine: Engine, scope: Scope, export_id: str) -> Export | None:
    """An organization's export of that id. Raises NotPermitted."""
    scope.check(Permission.EXPORT)
    with of_organization(engine, scope.organization_id).connect() as connection:
        row = connection.execute(select(export).where(_is(scope, export_id))).first()
    return None if row is None else _export(row)


def list_exports(engine: Engine, scope: Scope, limit: int = 100) -> list[Export]:
    """An organization's exports, the newest first. One whose process has been silent for long has failed.

    Raises NotPermitted.
    """
    scope.check(Permission.EXPORT)
    statement = select(export).where(export.c.organization_id == scope.organization_id)
    with of_organization(engine, scope.organization_id).connect() as connection:
        rows = connection.execute(statement.order_by(export.c.requested_at.desc(), export.c.id).limit(limit)).all()
    return [_export(row) for row in rows]


def append_export_act(
    connection: Connection,
    scope: Scope,
    action: str,
    about: Export,
    *,
    occurred_at: datetime | None = None,
    context: Mapping[str, Any] | None = None,
) -> Record:
    """Record that somebody exported or downloaded, in the caller's write transaction.

    Raises NotPermitted, and what `append` raises.
    """
    scope.check(Permission.EXPORT)
    told = {
        "file": about.file.replace("\\", "/").rpartition("/")[2],
        "format": about.format,
        "filter": dict(about.params),
        "records": about.records,
        **about.options,
        "bytes": about.bytes,
        "sha256": about.sha256,
    }
    entity = ENTITY_TYPE, about.id, None
    return append_act(connection, scope, action, entity, after=told, context=context, occurred_at=occurred_at)


def append_proof_taken(connection: Connection, scope: Scope, seq: int, proof: str) -> Record:
    """Record that somebody took a record's proof, in the caller's write transaction.

    Raises NotPermitted, and what `append` raises.
    """
    scope.check(Permission.EXPORT)
    told = {"format": "tlog-proof", "bytes": len(proof.encode()), "sha256": sha256(proof.encode()).hexdigest()}
    return append_act(connection, scope, "download", ("record", str(seq), None), after=told)


def _is(scope: Scope, export_id: str) -> Any:
    return (export.c.organization_id == scope.organization_id) & (export.c.id == export_id)


def _export(row: Row[Any]) -> Export:
    """A row as it is; what somebody altered to no filter, options or number gives none, and says so."""
    values = row._asdict()
    stored, options = values.pop("filter"), values.pop("options")
    params, chosen = read_params(stored), _object(options)
    numbers = all(isinstance(values[name], int) for name in ("records", "written"))
    if params is None or chosen is None or not numbers:
        values |= {} if numbers else {"records": 0, "written": 0}
        values |= {"status": FAILED, "problem": "This export's row was altered: what it selected can't be read."}
    elif values["status"] in UNDER_WAY and _silent(values["updated_at"]):
        values |= {"status": FAILED, "problem": "The process that wrote it ended without a word. Nothing was kept."}
    return Export(**values, params=params or {}, options=chosen or {})


def _silent(updated_at: Any) -> bool:
    try:
        return utc_now() - parse_time(updated_at) > _SILENT
    except (TypeError, ValueError):
        return True


def _object(text: Any) -> dict[str, Any] | None:
    try:
        found = orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        return None
    known = isinstance(found, dict) and all(
        isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
        for value in found.values()
    )
    return found if known else None


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS).decode()
