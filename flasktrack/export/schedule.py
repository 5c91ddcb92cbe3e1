"""Exporting on a schedule: files in a folder that together hold every record once, for a SIEM or an archive to follow.

    python -m flasktrack export --organization northwind-labs --saved Deletions --format ocsf --every 5m --to /srv/siem

Each round writes what is new since the last file, up to the newest position that there is; where the format proves
what it holds, up to the last checkpoint, and what lies above it waits for a later round. Nothing is sealed here: what
is signed is decided by whoever seals. A file's name, northwind-labs-<first>-<last>, says which positions it speaks
for; one begins where the last one ended. The folder's state file says how far it is. A crash at any moment leaves no
gap and no overlap:

1. the file is written whole under a hidden name;                    crash: it is removed, and written again
2. the state says that this file is next (`pending`);                crash: step 3 is done when it starts again
3. the file gets its own name, which takes the hidden one away;      crash: no hidden file, so step 4 alone is left
4. the state says how far it is now.

The reader may take files away at any time: what is there or not does not count, only whether the hidden one is.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ExportFailed, FlaskTrackError, InvalidFilter, ScheduleError
from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.formats import format_named
from flasktrack.export.new_file import remove_unfinished
from flasktrack.export.running import record_export
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.seal.schedule import rounds
from flasktrack.store.durable import synchronize_folder
from flasktrack.store.reader import Ledger, by_no_key
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import Permission, Scope
from flasktrack.trust.checkpoints import latest_checkpoint

STATE: Final = ".flasktrack-schedule.json"
_HIDDEN: Final = ".flasktrack-next"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is exported, and where to. Each export is on record in the chain, under the actor that the options name."""

    organization_id: str
    saved: str
    chosen: RecordFilter
    format: str
    options: ExportOptions
    folder: Path

    def identity(self) -> dict[str, Any]:
        """What may not change while a folder is filled, or its files would not fit together."""
        return {
            "organization_id": self.organization_id,
            "saved": self.saved,
            "filter": self.chosen.to_params(),
            "format": self.format,
            "columns": list(self.options.columns),
            "time_zone": self.options.zone.key,
            "withheld": list(self.options.withheld),
        }


class Round(NamedTuple):
    """What a round did: the file that it wrote, if anything was new; `unsealed` records wait for a checkpoint.

    `problem` says why the export is not on record, where it could not be.
    """

    written: ExportResult | None
    unsealed: int = 0
    problem: str | None = None

    def __str__(self) -> str:
        done = self.written
        said = "nothing new" if done is None else f"{done.records:,} records in {done.path} ({done.sha256})"
        if self.unsealed:
            said += f"; {self.unsealed:,} above the last checkpoint wait until it is sealed"
        return f"{said}. {self.problem}" if self.problem else said


@dataclass(slots=True)
class _State:
    """How far a folder is: the last position that its files speak for, that record's hash, and the file under way."""

    identity: dict[str, Any]
    last: int = 0
    hash: str = ""
    pending: dict[str, Any] | None = field(default=None)


def run_export_schedule(
    engine: Engine,
    schedule: Schedule,
    every: timedelta,
    *,
    report: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Export what is new, again and again until `stop` is set. What fails is reported, and tried again.

    Raises ScheduleError where it can't go on: another process fills the folder, the folder was begun with something
    else, its state can't be read, or the records that were exported are not those that are there.
    """
    format_named(schedule.format).check(schedule.options)
    with _alone(schedule.folder):
        for _ in rounds(every, stop or threading.Event()):
            try:
                said = str(export_what_is_new(engine, schedule))
            except ScheduleError:
                raise
            except FlaskTrackError as problem:
                said = str(problem)
            report(f"{schedule.organization_id}: {said}")


def export_what_is_new(engine: Engine, schedule: Schedule) -> Round:
    """One round: a file with what came since the last one, if anything did. Raises FlaskTrackError."""
    scope = acting(engine, schedule.organization_id, schedule.options.requested_by, Permission.EXPORT)
    state = _read_state(schedule)
    if state.pending is not None:
        _publish(schedule, state)
    ledger = Ledger(engine, scope)
    newest = ledger.newest()
    _check_continuity(ledger, state, newest)
    last, unsealed = _reach(ledger, schedule, state.last, newest)
    window = _window(schedule.chosen, state.last + 1, last)
    if window is None or not _anything_new(ledger, window, schedule.options.requested_by):
        return Round(None, unsealed)
    hidden = schedule.folder / _HIDDEN
    name = f"{schedule.organization_id}-{state.last + 1:020}-{last:020}.{format_named(schedule.format).suffix}"
    written, problem = _write(engine, scope, schedule, window, hidden, schedule.folder / name)
    at_end = ledger.get(last)
    state.pending = {"file": name, "last": last, "hash": "" if at_end is None else _hex(at_end.record.hash)}
    _write_state(schedule, state)
    _publish(schedule, state)
    return Round(written, unsealed, problem)


def _reach(ledger: Ledger, schedule: Schedule, exported: int, newest: int) -> tuple[int, int]:
    """The last position that this round can speak for, and how many records are left out since none is sealed."""
    if not format_named(schedule.format).of_sealed:
        return newest, 0
    with ledger.engine.connect() as connection:
        sealed = latest_checkpoint(connection, ledger.scope)
    last = 0 if sealed is None else min(newest, sealed.size)
    left = _window(schedule.chosen, max(exported, last) + 1, newest)
    return last, 0 if left is None else ledger.count(*left.conditions())


def _write(
    engine: Engine, scope: Scope, schedule: Schedule, window: RecordFilter, hidden: Path, named: Path
) -> tuple[ExportResult, str | None]:
    """Write the file under its hidden name, and record it; why that was not possible, where it was not."""
    problem: str | None = None

    def keep(result: ExportResult) -> None:
        nonlocal problem
        told = replace(result, path=named)
        problem = record_export(engine, scope, schedule.format, schedule.options, told)

    try:
        remove_unfinished(schedule.folder, older_than=timedelta())  # by a round that was ended
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)
    except OSError as failed:
        raise _cannot_write(schedule.folder, failed) from None
    done = export_records(engine, scope, window, schedule.format, hidden, options=schedule.options, keep=keep)
    return replace(done, path=named), problem


def _window(chosen: RecordFilter, first: int, last: int) -> RecordFilter | None:
    """The filter from one position to another; None where that is nothing."""
    first, last = max(first, chosen.seq_first or 1), min(last, chosen.seq_last or last)
    try:
        return replace(chosen, seq_first=first, seq_last=last) if first <= last else None
    except InvalidFilter:
        return None


def _anything_new(ledger: Ledger, window: RecordFilter, by: str) -> bool:
    """Whether there is more than the records of this schedule's own exports, which would make one another for ever."""
    conditions = window.conditions()
    total = ledger.count(*conditions)
    actor_type, _, actor_id = by.partition(":")
    own = (
        audit_record.c.action == "export", audit_record.c.entity_type == "export",
        audit_record.c.actor_type == actor_type, audit_record.c.actor_id == actor_id, by_no_key(),
    )  # fmt: skip
    return total > 0 and total > ledger.count(*conditions, *own)


def _check_continuity(ledger: Ledger, state: _State, newest: int) -> None:
    """Raise ScheduleError where what was exported last is not what stands there now."""
    if not state.last:
        return
    found = ledger.get(state.last)
    if newest < state.last or found is None or _hex(found.record.hash) != state.hash:
        raise ScheduleError(
            f"Record {state.last:,}, the last one that was exported, is not there any more as it was.",
            "The database was altered, or restored from a backup: run a verification, and export to another folder.",
        )


def _hex(hash_: Any) -> str:
    return hash_.hex() if isinstance(hash_, bytes) else ""


def _publish(schedule: Schedule, state: _State) -> None:
    """Give the pending file its name, where it has it not yet, and say how far that is."""
    assert state.pending is not None  # noqa: S101 (the callers have looked)
    hidden, named = schedule.folder / _HIDDEN, schedule.folder / str(state.pending["file"])
    try:
        if hidden.exists():
            if named.exists():
                raise ScheduleError(f"{named} exists already.", "Move it away: it is not of this schedule.")
            hidden.rename(named)
            synchronize_folder(schedule.folder)
    except OSError as problem:
        raise _cannot_write(schedule.folder, problem) from None
    state.last, state.hash, state.pending = int(state.pending["last"]), str(state.pending["hash"]), None
    _write_state(schedule, state)


def _read_state(schedule: Schedule) -> _State:
    """The folder's state; a folder without one is new. Raises ScheduleError."""
    place = schedule.folder / STATE
    try:
        stored = orjson.loads(place.read_bytes())
        state = _State(dict(stored["identity"]), int(stored["last"]), str(stored["hash"]), _pending(stored["pending"]))
    except FileNotFoundError:
        return _State(schedule.identity())
    except OSError as problem:
        raise _cannot("read", place, problem) from None
    except (ValueError, TypeError, KeyError):
        raise ScheduleError(f"{place} can't be read.", "Export to another folder: this one's place is lost.") from None
    if state.identity != schedule.identity():
        differs = ", ".join(name for name, value in schedule.identity().items() if state.identity.get(name) != value)
        raise ScheduleError(
            f"{schedule.folder} was begun with another {differs}.", "Export to another folder, or as it was begun."
        )
    return state


def _pending(stored: Any) -> dict[str, Any] | None:
    """The file under way. Raises ValueError or KeyError for what no schedule writes, such as a path out of the folder.

    Who takes files away may be able to write to the folder, and must not be able to write elsewhere by it.
    """
    if stored is None:
        return None
    name = str(stored["file"])
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(name)
    return {"file": name, "last": int(stored["last"]), "hash": str(stored["hash"])}


def _write_state(schedule: Schedule, state: _State) -> None:
    """Replace the state file: the old one or the new one is on the disk, whatever happens."""
    place = schedule.folder / STATE
    unfinished = place.with_suffix(".unfinished")
    document = {
        "identity": state.identity, "last": state.last, "hash": state.hash, "pending": state.pending,
        "written_at": format_time(utc_now()),
    }  # fmt: skip
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("xb") as file:  # never through a link that somebody put there
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(place)
        synchronize_folder(schedule.folder)
    except OSError as problem:
        raise _cannot_write(place, problem) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other schedules out of a folder. Raises ScheduleError where there is one, or no such folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise _cannot("opened", folder, problem) from None
    try:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ScheduleError(
                    f"Another process exports to {folder}.", "Stop it, or give another folder."
                ) from None
        yield
    finally:
        os.close(descriptor)


def _cannot(verb: str, place: Path, problem: OSError) -> ScheduleError:
    return ScheduleError(f"{place} can't be {verb} ({problem.strerror or problem}).", "Look at its path and mode.")


def _cannot_write(place: Path, problem: OSError) -> ExportFailed:
    """What a later round may do: the disk was full."""
    return ExportFailed(f"{place} can't be written ({problem.strerror or problem}).", "Free some space.")
