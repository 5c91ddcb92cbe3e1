"""Importing a file or folder of events into an organization: in the files' order, all of it or nothing.

    result = import_file(engine, Path("lims.jsonl"), "northwind-labs")
    result.added, result.already_present        # 1200, 0; and 0, 1200 when it is run again

The file is streamed through the writer in batches inside one transaction, so its size is not bounded by memory. While
it runs, other writers to the organization wait (to the database, in SQLite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from flasktrack.capture.csv_mapping import load_mapping
from flasktrack.capture.csv_rows import read_rows
from flasktrack.capture.files import NOTHING_IMPORTED, InputFile, files_in, open_input
from flasktrack.capture.jsonl import read_events
from flasktrack.capture.lines import Lines, Place, bad_line
from flasktrack.capture.logs.formats import LOG_FORMATS, read_log
from flasktrack.core.record import Event, Record, check_organization_id
from flasktrack.errors import ImportFailed, InvalidRecord, RecordConflict, UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization, find_organization
from flasktrack.store.reader import find_recorded
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import chain_head
from flasktrack.store.writer import append

FORMATS: Final = ("jsonl", "csv", *LOG_FORMATS)

BATCH_EVENTS: Final = 1000
BATCH_BYTES: Final = 16 * 1024 * 1024
"""A batch ends at either: a thousand events may be 200 KB or, with sections at their limit, 3 GB."""

Progress = Callable[[int, int], None]
Reader = Callable[[InputFile], Iterator[tuple[Place | int, Event]]]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: events read, records added, and events that were recorded already (by record_id).

    `first_seq` and `last_seq` are the positions of the records that were added, None where there are none.
    """

    organization_id: str
    read: int
    added: int
    already_present: int
    first_seq: int | None
    last_seq: int | None


def import_file(
    engine: Engine,
    path: Path,
    organization_id: str,
    *,
    format: str | None = None,  # noqa: A002 (the option's name)
    mapping: Path | None = None,
    time_zone: str | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Append the events of a file, or of all files in a folder, to an organization.

    A new one is made, with `time_zone` (UTC unless given). `format` is one of FORMATS, by default what the file's name
    ends with, or else jsonl; `mapping` is the mapping file that a CSV needs. `progress` is called now and then with the
    bytes read and the files' size, which is 0 where it is unknown. A file without events is no error: it adds nothing.

    Raises ImportFailed, with place and field where one is to blame; InvalidOrganization for an id or time zone that
    can't be used; DatabaseError and ChainBroken as the writer does. After any of them nothing was imported.
    """
    check_organization_id(organization_id)
    read = _reader(format or ("csv" if path.name.lower().endswith((".csv", ".csv.gz")) else "jsonl"), mapping)
    source = _Source(path, read)
    with writing(of_organization(engine, organization_id)) as connection:
        size = _size_of(connection, organization_id, time_zone)
        count, last = 0, size
        try:
            while records := _append_batch(connection, organization_id, source):
                count += len(records)
                last = max(last, *(record.seq for record in records))
                if progress is not None:
                    progress(source.position, source.size)
        except _Conflict as conflict:
            found = _recorded_before(connection, organization_id, conflict.record_id, size)
            if found is None:
                found = _earlier_place(path, read, conflict.record_id) if source.size else "an earlier line"
            raise source.problem(
                conflict.place, "record_id", f"stands for {found} already, which has other content"
            ) from None
    added = last - size
    return ImportResult(
        organization_id=organization_id,
        read=count,
        added=added,
        already_present=count - added,
        first_seq=size + 1 if added else None,
        last_seq=last if added else None,
    )


def _reader(format_name: str, mapping: Path | None) -> Reader:
    if format_name == "csv":
        if mapping is None:
            raise ImportFailed(
                "A CSV needs a mapping file, which says what its columns mean.", "Give --mapping FILE.toml."
            )
        checked = load_mapping(mapping)
        return lambda file: read_rows(Lines(file), checked)
    if format_name not in FORMATS:
        raise ImportFailed(f"{format_name[:60]!r} can't be imported.", f"The formats are {', '.join(FORMATS)}.")
    if mapping is not None:
        raise ImportFailed(
            f"A mapping is for CSV; this would be read as {format_name}.", "Give --format csv, or no mapping."
        )
    if format_name == "jsonl":
        return lambda file: read_events(Lines(file))
    return lambda file: read_log(file, LOG_FORMATS[format_name])


class _Source:
    """The events of a file or folder, one after the other, and how much of it is read.

    Reading stops at the file that is being read: nothing else is open, and nothing is remembered of those before.
    """

    def __init__(self, path: Path, read: Reader) -> None:
        self._read = read
        self._files = files_in(path)
        self._done = 0
        self._open: InputFile | None = None
        self._taken = 0
        self.name: str | None = None
        self.size = sum(one.size for one in self._files)
        self.events = self._events()

    @property
    def position(self) -> int:
        """Bytes read, of the files themselves."""
        return self._done + (self._open.position if self._open is not None else 0)

    @property
    def taken(self) -> int:
        """Bytes read, of their content."""
        return self._taken + (self._open.taken if self._open is not None else 0)

    def _events(self) -> Iterator[tuple[Place, Event]]:
        for found in self._files:
            with open_input(found.path) as file:
                self._open, self.name = file, found.name
                self.size = self.size or file.size
                try:
                    for place, event in self._read(file):
                        yield place if isinstance(place, Place) else Place(place), event
                except ImportFailed as problem:
                    raise _in_file(found.name, problem) from None
                self._done, self._taken, self._open = self._done + file.position, self._taken + file.taken, None

    def problem(self, place: tuple[str | None, Place], field: str | None, problem: str) -> ImportFailed:
        """The error for an event that was read."""
        name, where = place
        return _in_file(name, bad_line(where, field, problem))


def _in_file(name: str | None, problem: ImportFailed) -> ImportFailed:
    """The error with the file's name, where it is one of several."""
    if name is None:
        return problem
    return ImportFailed(f"{name}: {problem.what}", problem.advice, line=problem.line, field=problem.field)


def _size_of(connection: Connection, organization_id: str, time_zone: str | None) -> int:
    """The organization's size, with its head held for this transaction: what is added later, is added by it."""
    try:
        known = find_organization(connection, organization_id)
    except UnknownOrganization:
        try:
            create_organization(connection, organization_id, time_zone=time_zone or "UTC")
        except IntegrityError:
            raise ImportFailed(
                f"The organization {organization_id} has just been made by someone else.",
                f"Import again. {NOTHING_IMPORTED}",
            ) from None
        return 0
    if time_zone is not None and time_zone != known.time_zone:
        raise ImportFailed(
            f"The organization {organization_id} exists, with the time zone {known.time_zone}, not {time_zone[:60]}.",
            f"Leave out the time zone; an import doesn't change it. {NOTHING_IMPORTED}",
        )
    head = select(chain_head.c.size).where(chain_head.c.organization_id == organization_id).with_for_update()
    return connection.scalar(head) or 0


def _append_batch(connection: Connection, organization_id: str, source: _Source) -> list[Record]:
    """Append the next events; none are left where it returns none. What is wrong with one is put down to its place."""
    taken: list[tuple[str | None, Place, str | None]] = []
    try:
        return append(connection, organization_id, _batch(source, taken))
    except InvalidRecord as problem:
        raise source.problem(taken[problem.index][:2], problem.field, problem.problem) from None
    except RecordConflict as problem:
        name, place, record_id = taken[problem.index]
        raise _Conflict((name, place), record_id or "") from None


class _Conflict(Exception):
    """An event whose record_id stands for other content; `place` is the file's name and the place in it."""

    def __init__(self, place: tuple[str | None, Place], record_id: str) -> None:
        super().__init__(place, record_id)
        self.place = place
        self.record_id = record_id


def _recorded_before(connection: Connection, organization_id: str, record_id: str, size: int) -> str | None:
    """The record that had the record_id when the import began, in words; None where the import itself gave it."""
    for recorded in find_recorded(connection, organization_id, [record_id]):
        if recorded.record.seq <= size:
            return f"record {recorded.record.seq:,}"
    return None


def _earlier_place(path: Path, read: Reader, record_id: str) -> str:
    """The first place that has the record_id, found by reading everything again, so that none need be remembered."""
    source = _Source(path, read)
    for place, event in source.events:
        if event.record_id == record_id:
            return f"{place}" if source.name is None else f"{place} of {source.name}"
    return "an earlier line"


def _batch(source: _Source, taken: list[tuple[str | None, Place, str | None]]) -> Iterator[Event]:
    """The next events, one at a time, so that the writer checks each before a later one is read."""
    start = source.taken
    for place, event in source.events:
        taken.append((source.name, place, event.record_id))
        yield event
        if len(taken) == BATCH_EVENTS or source.taken - start >= BATCH_BYTES:
            return
