"""An export that somebody asked for, with its row and its record: written by a process that a page may leave alone.

    asked = ask_for_export(engine, scope, counted, 512, "csv", options, settings)    # the row, at once
    run_export(engine, "northwind-labs", asked.id, settings, trust)                  # in a process beside

The file lies in the export directory, in a folder of its own, for as long as the settings say.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ChainBroken, DatabaseError, DatabaseReadOnly, ExportFailed, FlaskTrackError
from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.formats import format_named
from flasktrack.export.new_file import remove_unfinished
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.exports import (
    CANCELLED,
    DONE,
    FAILED,
    RUNNING,
    Export,
    append_export_act,
    begin_export,
    find_export,
    keep_export,
    new_export_id,
    report_written,
    settle_export,
)
from flasktrack.store.organizations import check_time_zone
from flasktrack.store.profile import read_profile
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import Permission, Scope, machine_scope
from flasktrack.verify.runner import Trust

NOT_RECORDED = "It is not on record in the chain: {}"
_EVERY = 1.0  # seconds between two reports to the row
_ID = re.compile(r"[0-9a-f]{32}")  # of an export, and the name of its file's folder


class ExportCancelled(ExportFailed):
    """An export that somebody stopped; nothing half-written is left behind."""


def ask_for_export(
    engine: Engine,
    scope: Scope,
    counted: RecordFilter,
    records: int,
    format_: str,
    options: ExportOptions,
    settings: Settings,
) -> Export:
    """Keep what is asked for, and make the file's folder; files whose time is over go.

    `counted` is the filter with its upper end, `records` how many were announced. Raises NotPermitted, ExportFailed.
    """
    scope.check(Permission.EXPORT)
    organization_id = scope.organization_id
    options = replace(options, requested_by=scope.actor.subject)
    chosen = format_named(format_)
    chosen.check(options)
    now = utc_now()
    export_id = new_export_id()
    stamp = now.astimezone(options.zone).strftime("%Y-%m-%d-%H%M%S")
    file = settings.export_dir / export_id / f"{organization_id}-{stamp}.{chosen.suffix}"
    asked = _export(export_id, organization_id, counted, records, format_, options, file, now)
    try:
        settings.export_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_expired(settings)
        file.parent.mkdir(mode=0o700)
    except OSError as problem:
        raise ExportFailed(
            f"There is no place for the file: {problem.strerror or problem}.", "Free some space, or ask who can."
        ) from None
    try:
        begin_export(engine, asked)
    except BaseException:
        shutil.rmtree(file.parent, ignore_errors=True)
        raise
    return asked


def run_export(
    engine: Engine,
    organization_id: str,
    export_id: str,
    settings: Settings,
    trust: Trust,
    *,
    request: Mapping[str, str] | None = None,
) -> ExportResult:
    """Write an export that was asked for, tell its row how far it is, and record it in the chain.

    `request` is what the record says of the request in which it was asked for.

    Raises ExportFailed (ExportCancelled where somebody stopped it), and NotPermitted where who asked may export no
    more; the row says so, too.
    """
    engine = of_organization(engine, organization_id)
    asked = find_export(engine, machine_scope(organization_id), export_id)
    if asked is None or asked.status != RUNNING:
        raise ExportFailed(f"There is no export {export_id[:40]!r} to be made.", "It may have ended: look at the page.")
    file = kept_file(asked, settings)
    if file is None:
        raise ExportFailed(f"The row of the export {export_id[:40]!r} was altered.", "Ask for the export again.")
    options = ExportOptions(
        zone=check_time_zone(asked.options["time_zone"]),
        columns=tuple(asked.options["columns"]),
        withheld=tuple(asked.options["withheld"]),
        requested_by=asked.requested_by,
        trust=trust,
    )
    try:
        scope = acting(engine, organization_id, asked.requested_by, Permission.EXPORT, request)
        with _Follower(engine, asked) as follower:
            return export_records(
                engine, scope, RecordFilter.from_params(asked.params), asked.format, file,
                options=options, announced=asked.records, progress=follower.progress,
                keep=partial(_complete, engine, scope, asked, settings),
            )  # fmt: skip
    except BaseException as problem:
        status = CANCELLED if isinstance(problem, (ExportCancelled, KeyboardInterrupt)) else FAILED
        said = str(problem) if isinstance(problem, FlaskTrackError) else f"It was stopped ({type(problem).__name__})."
        failed = False
        with suppress(DatabaseError), writing(engine) as connection:
            failed = settle_export(connection, export_id, status, problem=said)
        if failed:  # or another process has made the file
            shutil.rmtree(file.parent, ignore_errors=True)
        raise


def record_export(
    engine: Engine, scope: Scope, format_: str, options: ExportOptions, result: ExportResult
) -> str | None:
    """Record an export that is written to a place of the asker's own, and keep a row of it. The record's context says
    which user of this computer (`login`) runs the process that writes it.

    Returns why there is no record of it, where the database can't be written or its chain is broken: of all databases,
    a copy in an inspector's hands and one that was altered must be possible to export.
    """
    options = replace(options, requested_by=scope.actor.subject)
    now, id_, records = utc_now(), new_export_id(), result.records
    row = _export(id_, scope.organization_id, result.counted, records, format_, options, result.path, now)
    row = replace(row, status=DONE, written=records, bytes=result.bytes, sha256=result.sha256)
    try:
        with writing(engine) as connection:
            login = {"login": _login()}
            record = append_export_act(connection, scope, "export", row, occurred_at=now, context=login)
            keep_export(connection, replace(row, seq=record.seq))
    except DatabaseReadOnly as problem:
        return NOT_RECORDED.format(problem.what)
    except ChainBroken as problem:
        said = NOT_RECORDED.format(problem)
        with writing(engine) as connection:
            keep_export(connection, replace(row, problem=said))
        return said
    return None


def _login() -> str:
    """The name of the user whose process this is; the number where the user has none."""
    if os.name != "posix":
        return getpass.getuser()
    import pwd

    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name  # not from the environment, which says what one likes
    except KeyError:
        name = ""
    return name if name.isprintable() and name else str(number)


def kept_file(about: Export, settings: Settings) -> Path | None:
    """Where the file of an export is that the page was asked for; None where its row names no such place.

    Only in the export directory, in the folder of its own: who can write to the database could name a key's file.
    """
    name = about.file.replace("\\", "/").rpartition("/")[2]
    if not _ID.fullmatch(about.id) or not name or name.startswith(".") or "\0" in name:
        return None
    return settings.export_dir / about.id / name


def remove_expired(settings: Settings) -> None:
    """Remove files that have been kept for long enough, and those that a killed process left half-written.

    What is no export's stays. Raises OSError.
    """
    oldest = time.time() - settings.export_kept.total_seconds()
    for folder in settings.export_dir.iterdir():
        if not _ID.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            remove_unfinished(folder)


def _export(
    export_id: str,
    organization_id: str,
    counted: RecordFilter,
    records: int,
    format_: str,
    options: ExportOptions,
    file: Path,
    now: datetime,
) -> Export:
    return Export(
        id=export_id,
        organization_id=organization_id,
        requested_at=format_time(now),
        requested_by=options.requested_by,
        format=format_,
        params=counted.to_params(),
        options={"columns": options.columns, "time_zone": options.zone.key, "withheld": options.withheld},
        records=records,
        status=RUNNING,
        written=0,
        updated_at=format_time(now),
        file=str(file),
    )


class _Follower:
    """Tells an export's row once a second how far it is, and ends the export where somebody cancels it.

    It does so in a thread, since there are long steps without progress, such as the compression of a workbook.
    """

    def __init__(self, engine: Engine, asked: Export) -> None:
        self._engine = engine
        self._id = asked.id
        self._written = 0
        self._cancelled = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def progress(self, done: int, _total: int) -> None:
        """Raises ExportCancelled."""
        self._written = done
        if self._cancelled:
            raise ExportCancelled("The export was cancelled.", "Nothing was kept.")

    def _follow(self) -> None:
        while not self._end.wait(_EVERY):
            with suppress(DatabaseError):  # locked by a long import: the next report will do
                self._cancelled = not report_written(self._engine, self._id, self._written)


def _complete(engine: Engine, scope: Scope, asked: Export, settings: Settings, result: ExportResult) -> None:
    """Record the export and settle its row, both or neither; a chain that nothing can be appended to is said to be."""
    now = utc_now()
    kept = min(settings.export_kept, timedelta(days=read_profile(engine, scope).profile.exports_kept_days))
    values = {
        "written": result.records,
        "bytes": result.bytes,
        "sha256": result.sha256,
        "expires_at": format_time(now + kept),
    }
    try:
        with writing(engine) as connection:
            told = replace(asked, bytes=result.bytes, sha256=result.sha256)
            record = append_export_act(connection, scope, "export", told, occurred_at=now)
            if not settle_export(connection, asked.id, DONE, seq=record.seq, **values):
                raise ExportFailed("Another process has ended this export.", "Look at the page Exports.")
    except ChainBroken as problem:  # of all chains, one that was altered must be possible to take away
        with writing(engine) as connection:
            settle_export(connection, asked.id, DONE, problem=NOT_RECORDED.format(problem), **values)
