"""How hits are put into words, and records together to hits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Row

_SHOWN = 60  # characters of a name in a sentence
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 act`, `1,200 acts`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def named(row: Any) -> str:
    """An actor as people know them: the name, or else the id."""
    return shortened(row.actor_name or row.actor_id or "unknown")


def shortened(text: object) -> str:
    """No longer than a sentence bears."""
    said = str(text)
    return said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"


def lasting(span: timedelta) -> str:
    """A length of time in its largest whole unit, such as `17 days`."""
    seconds = abs(span.total_seconds())
    size, unit = next((one for one in _UNITS if seconds >= 2 * one[0]), _UNITS[-1])
    return counted(int(seconds // size), unit)


def listed(words: Iterable[object], most: int = 3) -> str:
    """`a, b, c and 4 more`, each once."""
    given = [shortened(word) for word in dict.fromkeys(words)]
    if len(given) > most:
        return f"{', '.join(given[:most])} and {len(given) - most:,} more"
    return " and ".join(filter(None, (", ".join(given[:-1]), given[-1]))) if given else ""


def grouped(rows: Sequence[Row[Any]], *names: str) -> list[list[Row[Any]]]:
    """Rows with the same values together, in the order in which the first of each comes."""
    found: dict[Any, list[Row[Any]]] = {}
    if not rows:
        return []
    key = itemgetter(*map(rows[0]._fields.index, names))  # a row gives its values by place far quicker than by name
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def only_newest(number: int, total: int) -> str | None:
    """What to say where a rule's records were more in total than it could put together."""
    return f"Of {total:,} such records, the newest {number:,} are put together here." if number < total else None
