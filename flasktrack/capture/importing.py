"""Importing a file of events into an organization: in the file's order, all of it or nothing.

    result = import_file(engine, Path("lims.jsonl"), "northwind-labs")
    result.added, result.already_present        # 1200, 0; and 0, 1200 when it is run again

The file is streamed through the writer in batches inside one transaction, so its size is not bounded by memory. While
it runs, other writers to the organization wait (to the database, in SQLite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from flasktrack.capture.csv_mapping import load_mapping
from flasktrack.capture.csv_rows import read_rows
from flasktrack.capture.jsonl import read_events
from flasktrack.capture.lines import NOTHING_IMPORTED, Lines, bad_line, open_lines
from flasktrack.core.record import Event, Record, check_organization_id
from flasktrack.errors import ImportFailed, InvalidRecord, RecordConflict, UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization, find_organization
from flasktrack.store.reader import find_recorded
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import chain_head
from flasktrack.store.writer import append

FORMATS: Final = ("jsonl", "csv")

BATCH_EVENTS: Final = 1000
BATCH_BYTES: Final = 16 * 1024 * 1024
"""A batch ends at either: a thousand events may be 200 KB or, with sections at their limit, 3 GB."""

Progress = Callable[[int, int], None]
Reader = Callable[[Iterable[tuple[int, str]]], Iterator[tuple[int, Event]]]


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
    """Append a file's events to an organization, which is made where it is new, with `time_zone` (UTC unless given).

    `format` is one of FORMATS, by default what the file's name ends with, or else jsonl; `mapping` is the mapping
    file that a CSV needs. `progress` is called now and then with the bytes read and the file's size, which is 0 where
    it is unknown. A file without events is no error: it adds nothing.

    Raises ImportFailed, with line and field where one is to blame; InvalidOrganization for an id or time zone that
    can't be used; DatabaseError and ChainBroken as the writer does. After any of them nothing was imported.
    """
    check_organization_id(organization_id)
    read = _reader(format or ("csv" if path.suffix.lower() == ".csv" else "jsonl"), mapping)
    with open_lines(path) as lines, writing(of_organization(engine, organization_id)) as connection:
        size = _size_of(connection, organization_id, time_zone)
        events = read(lines)
        count, last = 0, size
        try:
            while records := _append_batch(connection, organization_id, events, lines):
                count += len(records)
                last = max(last, *(record.seq for record in records))
                if progress is not None:
                    progress(lines.position, lines.size)
        except _Conflict as conflict:
            found = _recorded_before(connection, organization_id, conflict.record_id, size)
            if found is None:
                found = _earlier_line(path, read, conflict.record_id) if lines.size else "an earlier line"
            raise bad_line(conflict.line, "record_id", f"stands for {found} already, which has other content") from None
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
    if format_name == "jsonl":
        if mapping is not None:
            raise ImportFailed("A mapping is for CSV; this file would be read as JSON Lines.", "Give --format csv.")
        return read_events
    if format_name == "csv":
        if mapping is None:
            raise ImportFailed(
                "A CSV needs a mapping file, which says what its columns mean.", "Give --mapping FILE.toml."
            )
        checked = load_mapping(mapping)
        return lambda lines: read_rows(lines, checked)
    raise ImportFailed(f"{format_name[:60]!r} can't be imported.", f"The formats are {' and '.join(FORMATS)}.")


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


def _append_batch(
    connection: Connection, organization_id: str, events: Iterator[tuple[int, Event]], lines: Lines
) -> list[Record]:
    """Append the next events; none are left where it returns none. What is wrong with one is put down to its line."""
    taken: list[tuple[int, str | None]] = []
    try:
        return append(connection, organization_id, _batch(events, lines, taken))
    except InvalidRecord as problem:
        raise bad_line(taken[problem.index][0], problem.field, problem.problem) from None
    except RecordConflict as problem:
        line, record_id = taken[problem.index]
        raise _Conflict(line, record_id or "") from None


class _Conflict(Exception):
    """A line whose record_id stands for other content."""

    def __init__(self, line: int, record_id: str) -> None:
        super().__init__(line, record_id)
        self.line = line
        self.record_id = record_id


def _recorded_before(connection: Connection, organization_id: str, record_id: str, size: int) -> str | None:
    """The record that had the record_id when the import began, in words; None where the import itself gave it."""
    for recorded in find_recorded(connection, organization_id, [record_id]):
        if recorded.record.seq <= size:
            return f"record {recorded.record.seq:,}"
    return None


def _earlier_line(path: Path, read: Reader, record_id: str) -> str:
    """The first line that has the record_id, looked up by reading the file again, so that none need be remembered."""
    with open_lines(path) as lines:
        for number, event in read(lines):
            if event.record_id == record_id:
                return f"line {number}"
    return "an earlier line"


def _batch(events: Iterator[tuple[int, Event]], lines: Lines, taken: list[tuple[int, str | None]]) -> Iterator[Event]:
    """The next events, one at a time, so that the writer checks each before a later line is read."""
    start = lines.position
    for number, event in events:
        taken.append((number, event.record_id))
        yield event
        if len(taken) == BATCH_EVENTS or lines.position - start >= BATCH_BYTES:
            return
