"""A record as a report prints it: facts, and what was recorded or changed, in words and within bounds.

What is left out is said where it is left out, and how much: a report is for reading, and other formats hold it all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from flasktrack.core.display import display
from flasktrack.core.record import Record, Section
from flasktrack.core.times import in_zone, parse_time
from flasktrack.export.report import Closing
from flasktrack.export.selection import Selection
from flasktrack.insight.diff import Change, changes, leaves
from flasktrack.insight.first_entries import NOT_FOLLOWED, FirstEntries, Mark
from flasktrack.insight.history import parse_body
from flasktrack.insight.wording import readable, sides
from flasktrack.store.reader import CheckedRecord

MOST_ROWS = 200
"""Values that are printed of one record."""
_AT_ONCE = 100  # records, of up to 3 MiB each, whose entities' histories are read together
LONGEST_VALUE = 1_000
LONGEST_FIELD = 300
LONGEST_REQUEST = 600
"""Characters that are printed of a value, of the name of its field, and of a record's request context."""

CHANGED = ("Field", "Before", "After", "Since first entry")
RECORDED = ("Field", "Value", "Since first entry")
DELETED = ("Field", "Value that was deleted")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: `alerts` say what is wrong with it; `rows` have as many cells as `columns`; `notes` say what the
    rows don't. All of it is plain text in which nothing is invisible.
    """

    seq: str
    title: str
    facts: tuple[tuple[str, str], ...]
    hash: str
    alerts: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def marks(self) -> bool:
        """Whether the last cell of a row says what became of the value since it was first entered."""
        return self.columns in (CHANGED, RECORDED)


def entries(selection: Selection, zone: ZoneInfo, closing: Closing) -> Iterator[Entry]:
    """Every record of the selection in words, with times in `zone`; `closing` is told of each."""
    first_entries = FirstEntries(selection.ledger)
    records = selection.records()
    while some := list(islice(records, _AT_ONCE)):
        first_entries.prepare((checked.record.entity_type, checked.record.entity_id) for checked in some)
        for checked in some:
            closing.add(checked)
            yield entry(checked, zone, first_entries)


def entry(checked: CheckedRecord, zone: ZoneInfo, first_entries: FirstEntries) -> Entry:
    """The record in words; `first_entries` must have been prepared for its entity."""
    record = checked.record
    columns, rows, notes = _contents(checked, first_entries)
    return Entry(
        seq=_position(record.seq),
        title=" ".join(filter(None, map(display, (record.action, record.entity_type, _name(record))))),
        facts=tuple(_facts(checked, zone)),
        hash=record.hash.hex() if isinstance(record.hash, bytes) else display(record.hash),
        alerts=tuple(display(finding.detail) for finding in checked.findings),
        columns=columns,
        rows=tuple(rows),
        notes=tuple(notes),
    )


def zoned(text: Any, zone: ZoneInfo) -> str:
    """A stored time in the zone with its offset; what is none (in an altered row) as it is."""
    try:
        return in_zone(parse_time(text), zone).isoformat(" ", "microseconds")
    except (TypeError, ValueError):
        return display(text)


def shortened(text: str, longest: int) -> str:
    """The text, cut where it is longer, with a word on how much is left out."""
    left = len(text) - longest
    return text if left <= 0 else f"{text[:longest]} … [{left:,} more characters are left out here]"


def _position(seq: Any) -> str:
    return f"{seq:,}" if isinstance(seq, int) else display(seq)


def _name(record: Record) -> str:
    return record.entity_name or record.entity_id


def _facts(checked: CheckedRecord, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    record = checked.record
    actor = f"{display(record.actor_type)}:{display(record.actor_id)}"
    related = ", ".join(f"{display(type_)}:{display(id_)}" for type_, id_ in record.related)
    facts = {
        "Occurred": zoned(record.occurred_at, zone),
        "Recorded": zoned(record.recorded_at, zone),
        "By": f"{display(record.actor_name)} ({actor})" if record.actor_name else actor,
        "Role then": record.actor_role,
        "On behalf of": record.on_behalf_of,
        "Credential": record.credential_id,
        "Outcome": record.outcome,
        "Entity": f"{display(record.entity_type)}:{display(record.entity_id)}",
        "Related": shortened(related, LONGEST_VALUE),
        "Reason": record.reason,
        "Request": _request(checked),
        "Correlation": record.correlation_id,
        "Record id": record.record_id,
    }
    return ((name, display(value)) for name, value in facts.items() if value)


def _request(checked: CheckedRecord) -> str:
    """The request context on one line."""
    if checked.context is None:
        return "was recorded, but is no longer stored" if checked.record.context_digest is not None else ""
    state = _parsed(checked.context)
    return shortened(checked.context.body if state is None else readable(state), LONGEST_REQUEST)


def _contents(
    checked: CheckedRecord, first_entries: FirstEntries
) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[str]]:
    """Columns, rows and notes on the sections `before` and `after`."""
    states: dict[str, Any] = {}
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for name in ("before", "after"):
        section: Section | None = getattr(checked, name)
        if section is not None:
            state = _parsed(section)
            if state is not None:
                states[name] = state
            else:
                rows.append((f"{name}, as stored", _cell(section.body)))
        elif getattr(checked.record, f"{name}_digest") is not None:
            notes.append(f"The section {name} was recorded, but is no longer stored.")
    if rows:  # somebody altered them
        return ("Section", "Text"), rows, notes
    columns, values, row = _table(checked.record, states, first_entries)
    rows = [row(value) for value in islice(values, MOST_ROWS)]
    left = sum(1 for _ in values)
    if left:
        notes.append(f"{left:,} more values of this record are left out here; an export as JSON Lines holds them.")
    if len(states) == 2 and not rows:
        notes.append("Nothing differs between before and after.")
    return columns, rows, notes


def _table(
    record: Record, states: dict[str, Any], first_entries: FirstEntries
) -> tuple[tuple[str, ...], Iterator[Any], Callable[[Any], tuple[str, ...]]]:
    """Columns, what there is a row for, and what makes its row: only those that are printed are put into words."""

    def mark(path: str, *, overwritten: bool = False) -> str:
        found = first_entries.mark((record.entity_type, record.entity_id), path, record.seq)
        return _said(found, overwritten=overwritten)

    def changed(one: Change) -> tuple[str, ...]:
        return _field(one.path), *map(_cell, sides(one)), mark(one.path, overwritten=one.before is not None)

    def recorded(leaf: tuple[str, Any]) -> tuple[str, ...]:
        return _field(leaf[0]), _cell(readable(leaf[1])), mark(leaf[0])

    def deleted(leaf: tuple[str, Any]) -> tuple[str, ...]:
        return _field(leaf[0]), _cell(readable(leaf[1]))

    if len(states) == 2:
        found = (one for change in changes(states["before"], states["after"]) for one in _apart(change))
        return CHANGED, found, changed
    if "after" in states:
        return RECORDED, leaves(states["after"]), recorded
    return (DELETED, leaves(states["before"]), deleted) if "before" in states else ((), iter(()), deleted)


def _apart(change: Change) -> Iterator[Change]:
    """A change value by value, where what came or went is made of several, or went from one field to another."""
    if change.path_before is not None:
        yield from _apart(Change(change.path_before, "removed", change.before, place_before=change.place_before))
        yield from _apart(Change(change.path, "added", after=change.after, place_after=change.place_after))
    elif change.kind not in ("added", "removed") or change.place_before or change.place_after:
        yield change
    elif change.kind == "added":
        for path, value in leaves(change.after, change.path):
            yield Change(path, "added", after=value)
    else:
        for path, value in leaves(change.before, change.path):
            yield Change(path, "removed", before=value)


def _said(mark: Mark | None, *, overwritten: bool) -> str:
    parts = []
    if mark == NOT_FOLLOWED:
        parts.append("not told: this entity has too many values")
    elif mark is not None and mark.first is not None:
        parts.append(f"changed; first entered in record {mark.first_seq:,}: {display(mark.first)}")
    elif overwritten:
        parts.append("changed")
    if mark is not None and mark.later_seq is not None:
        parts.append(f"changed later, in record {mark.later_seq:,}")
    return "; ".join(parts)


def _field(path: str) -> str:
    return display(shortened(path or "(whole)", LONGEST_FIELD))


def _cell(text: str) -> str:
    return display(shortened(text, LONGEST_VALUE))


def _parsed(section: Section) -> Any:
    """A section's value; None where it is no JSON."""
    try:
        return parse_body(section.body)
    except ValueError:
        return None
