"""Where a field's value comes from in a row of a CSV: a cell, mapped or transformed; a time; a derived record_id."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from flasktrack.capture.jsonl import parse_json

REPEATS: Final = ("refuse", "number", "same")
"""What a second row with the same identifying columns is: a mistake, another act, or the same act once more."""

RECORD_ID_NAMESPACE: Final = UUID("21e40ced-be74-4ad0-b0fe-562fc4cb4246")
"""Of every derived record_id. It must never change: a file that was imported before would be imported anew."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def slug(text: str) -> str:
    """Lower case, a-z, 0-9 and single underscores: `T06 Determine necessity` gives `t06_determine_necessity`.

    Accents are dropped. Raises ValueError where nothing is left, as of text in another script.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "_".join(re.findall(r"[a-z0-9]+", plain))
    if not words:
        raise ValueError(f"{text[:60]!r} has no letter a-z or digit to make a slug of; map it with `values`")
    return words


def number(text: str) -> Any:
    """The number that a cell holds, without loss. Raises ValueError for text that JSON would not take as one."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not a number such as -12.50")
    return parse_json(text)


TRANSFORMS: Final[Mapping[str, Callable[[str], Any]]] = {
    "slug": slug,
    "lower": str.lower,
    "number": number,
    "json": parse_json,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where one value comes from: a column's cell, or a constant where there is no column."""

    field: str
    column: str | None = None
    constant: Any = None
    values: Mapping[str, Any] | None = None
    otherwise: Any = None
    empty: frozenset[str] = frozenset()
    transform: str | None = None

    def value(self, cell: str) -> Any:
        """The value of a cell, None where it is empty. Raises ValueError for one that can't be mapped."""
        if self.values is not None and cell in self.values:
            return self.values[cell]
        if not cell or cell in self.empty:
            return None
        if self.values is not None:
            if self.otherwise is None:
                raise ValueError(f"{cell[:60]!r} is not among the mapping's values, and there is no `otherwise`")
            return self.otherwise
        return TRANSFORMS[self.transform](cell) if self.transform else cell


@dataclass(frozen=True, slots=True)
class TimeSource:
    """Where occurred_at comes from; `format` is strptime's, None for ISO 8601; `zone` is that of naive times."""

    column: str
    format: str | None
    zone: ZoneInfo | None

    def moment(self, cell: str) -> datetime:
        """The time that a cell states, in UTC. An offset that the cell states goes before the mapping's zone.

        A local time that a clock change repeats is the earlier of the two. Raises ValueError for one that it skips,
        and for text that is no time or has no zone.
        """
        try:
            local = _strptime(cell, self.format) if self.format else datetime.fromisoformat(cell)
        except ValueError:
            wanted = f"of the form {self.format}" if self.format else "in ISO 8601, such as 2026-11-24 05:06:07+01:00"
            raise ValueError(f"{cell[:60]!r} is not a time {wanted}") from None
        if self.format is None and _is_date(cell):
            raise ValueError(f"{cell[:60]!r} has no time of day; if that is meant, give a format such as '%Y-%m-%d'")
        try:
            if local.tzinfo is not None:
                return local.astimezone(UTC)
            if self.zone is None:
                raise ValueError(f"{cell[:60]!r} has no time zone; give the mapping's occurred_at a zone")
            moment = local.replace(tzinfo=self.zone).astimezone(UTC)
            skipped = moment.astimezone(self.zone).replace(tzinfo=None, fold=0) != local
        except OverflowError:
            raise ValueError(f"{cell[:60]!r} lies outside the years 1 to 9999") from None
        if skipped:
            raise ValueError(f"{cell[:60]!r} never was in {self.zone}: clocks were put forward over it")
        return moment


def _strptime(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 (the mapping's zone comes in later)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class RecordIdSource:
    """The columns that identify a row, the name of the source, and what a second row with the same ones is."""

    source: str
    columns: tuple[str, ...]
    repeats: str

    def derive(self, cells: Sequence[str], occurrence: int = 1) -> str:
        """The UUID of version 5 (RFC 9562) of the source's name and the cells, as a compact JSON array.

        From the second row with the same cells on, the row's number among them is the array's last item.
        """
        name: list[str | int] = [self.source, *cells]
        if occurrence > 1:
            name.append(occurrence)
        return str(uuid5(RECORD_ID_NAMESPACE, json.dumps(name, ensure_ascii=False, separators=(",", ":"))))
