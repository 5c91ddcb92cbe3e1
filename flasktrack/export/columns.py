"""The columns of a table: the fields of spec section 1 in their order, the sections' text, and the findings.

`occurred_at_local` and `recorded_at_local` are the times once more in the zone that the export states, after which
their headings are named: `occurred_at (Europe/Berlin)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum, auto
from operator import attrgetter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from flasktrack.core.record import SECTIONS, Record
from flasktrack.core.times import parse_time
from flasktrack.errors import ExportFailed
from flasktrack.store.reader import CheckedRecord

TIMES: Final = ("occurred_at", "recorded_at")
_NUMBERS = ("seq", "actor_seq", "entity_seq")
_LOCAL = "_local"


class Kind(Enum):
    """What a column holds: where the database is sound, values of one type."""

    TEXT = auto()
    NUMBER = auto()
    TIME = auto()
    LOCAL = auto()
    HASH = auto()
    RELATED = auto()
    CODES = auto()


class Column(NamedTuple):
    """A column; `get` gives a record's value as it is stored, whatever somebody may have put there."""

    name: str
    kind: Kind
    get: Callable[[CheckedRecord], Any]

    def heading(self, zone: ZoneInfo) -> str:
        return f"{self.name.removesuffix(_LOCAL)} ({zone.key})" if self.kind is Kind.LOCAL else self.name


def chosen_columns(names: Sequence[str]) -> list[Column]:
    """The columns of these names in the order given; all of them where none is. Raises ExportFailed."""
    for name in names:
        if name not in COLUMNS:
            raise ExportFailed(f"{name[:60]!r} is no column of a table.", f"Columns are {', '.join(COLUMNS)}.")
    return [COLUMNS[name] for name in dict.fromkeys(names)] or list(COLUMNS.values())


def local_time(stored: Any, zone: ZoneInfo) -> datetime | None:
    """A stored time in the zone; None where that can't be told."""
    try:
        return parse_time(stored).astimezone(zone)
    except (ValueError, TypeError, OverflowError):
        return None


def related_json(related: Any) -> str:
    """Related entities as JSON text: `[{"type":"batch","id":"B-9"}]`."""
    return orjson.dumps([{"type": type_, "id": id_} for type_, id_ in related], default=str).decode()


def finding_codes(checked: CheckedRecord) -> list[str]:
    """What is wrong with a record, each code once."""
    return list(dict.fromkeys(finding.code for finding in checked.findings))


def _columns() -> Iterator[Column]:
    for place, field in enumerate(Record._fields):
        section = field.removesuffix("_digest")
        if section in SECTIONS:
            yield Column(section, Kind.TEXT, _body(section))
        kind = Kind.TIME if field in TIMES else Kind.NUMBER if field in _NUMBERS else Kind.TEXT
        if field.endswith(("_digest", "hash")):
            kind = Kind.HASH
        if field == "related":
            kind = Kind.RELATED
        yield Column(field, kind, _field(place))
        if field in TIMES:
            yield Column(f"{field}{_LOCAL}", Kind.LOCAL, _field(place))
    yield Column("findings", Kind.CODES, finding_codes)


def _field(place: int) -> Callable[[CheckedRecord], Any]:
    return lambda checked: checked[0][place]


def _body(section: str) -> Callable[[CheckedRecord], Any]:
    stored = attrgetter(section)

    def body(checked: CheckedRecord) -> Any:
        found = stored(checked)
        return None if found is None else found.body

    return body


COLUMNS: Final = {column.name: column for column in _columns()}
