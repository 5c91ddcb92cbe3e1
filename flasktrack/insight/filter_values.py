"""What the values of a `filter.RecordFilter` can be, and how an address writes them.

What can't be meant is refused with InvalidFilter, which names the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from flasktrack.core.body import check_characters
from flasktrack.core.record import MAX_ID, MAX_POSITION
from flasktrack.core.times import format_time
from flasktrack.errors import FlaskTrackError, InvalidFilter
from flasktrack.insight.week_hours import WeekHours, read_week_hours
from flasktrack.insight.words import split_words

MAX_VALUES = 500  # of one field: SQLite takes 999 parameters in its older builds
_SEQ = re.compile(r"(\d{0,19})(-?)(\d{0,19})", re.ASCII)


def refusal(key: str, problem: str, advice: str = "") -> InvalidFilter:
    return InvalidFilter(f"Filter {key}: {problem}.", advice)


def check_times(start: datetime | None, end: datetime | None) -> None:
    for key, moment in (("from", start), ("to", end)):
        if moment is not None:
            try:
                format_time(moment)
            except ValueError as problem:
                raise refusal(key, f"{moment.isoformat()} {problem}") from None
    if start is not None and end is not None and start >= end:
        raise refusal("from", "it is not before `to`, so no time lies between", "Give an earlier from or a later to.")


def check_positions(first: int | None, last: int | None) -> None:
    for seq in (first, last):
        if seq is not None and not 1 <= seq <= MAX_POSITION:
            raise refusal("seq", f"there is no position {seq}", "Positions are 1, 2, 3 and so on.")
    if first is not None and last is not None:
        check_order("seq", first, last)


def check_order(key: str, first: int, last: int) -> None:
    if first > last:
        raise refusal(key, f"{first} comes after {last}", "Give the lower position first, such as 10-20.")


def check_named(positions: Iterable[int]) -> tuple[int, ...]:
    """Positions in their order, each once."""
    named = tuple(sorted(set(positions)))
    if len(named) > MAX_VALUES:
        raise refusal("positions", f"more than {MAX_VALUES} are named", "Name fewer.")
    for seq in named:
        if not 1 <= seq <= MAX_POSITION:
            raise refusal("positions", f"there is no position {seq}", "Positions are 1, 2, 3 and so on.")
    return named


def check_values(key: str, values: Sequence[str]) -> None:
    if len(values) > MAX_VALUES:
        raise refusal(key, f"{len(values):,} values were given", f"Give at most {MAX_VALUES}.")
    for value in values:
        if not value:
            raise refusal(key, "it is empty", "Give a value, or leave the filter out.")
        check_length(key, value, 2 * MAX_ID + 1 if key in ("actor", "entity", "on_behalf_of") else MAX_ID)
        check_text(key, value)


def check_length(key: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise refusal(key, f"{value[:40]!r}... has {len(value):,} characters", f"Give at most {longest:,}.")


def check_text(key: str, value: str) -> None:
    try:
        check_characters(key, value)
    except FlaskTrackError:  # no record holds such text, and PostgreSQL would not even compare it
        raise refusal(key, "it holds a character that no record can hold", "Remove it.") from None


def pair(key: str, value: str) -> tuple[str, str]:
    type_, _, id_ = value.partition(":")
    if not type_ or not id_:
        example = "sample:S-0042" if key == "entity" else "user:u-17"
        raise refusal(key, f"{value[:60]!r} is not type:id", f"Give both, such as {example}.")
    return type_, id_


def read_hours(value: str, zone: tzinfo | None = None) -> WeekHours:
    try:
        return read_week_hours(value, zone)
    except ValueError as problem:
        raise refusal("hours", f"{value[:60]!r} {problem}", "Give days and hours, such as mon-fri:8-18.") from None


def read_words(text: str) -> tuple[str, ...]:
    try:
        return split_words(text)
    except ValueError as problem:
        raise refusal("text", str(problem), "Give fewer or shorter ones.") from None


def single(params: Mapping[str, Sequence[str]], key: str) -> str | None:
    values = params.get(key, ())
    if len(values) > 1:
        raise refusal(key, "it is given more than once", "Give it once.")
    if not values:
        return None
    if not values[0].strip():
        raise refusal(key, "it is empty", "Give a value, or leave the filter out.")
    return values[0]


def read_time(key: str, text: str, zone: tzinfo) -> datetime:
    advice = "Give a date such as 2026-11-24, or a time such as 2026-11-24T05:06:07Z."
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except ValueError:
        raise refusal(key, f"{text[:60]!r} is no date or time", advice) from None
    except OverflowError:
        raise refusal(key, f"{text[:60]!r} lies outside the years 1 to 9999", advice) from None


def read_positions(
    text: str, key: str = "seq", advice: str = "Give 10-20, 10-, -20 or 10."
) -> tuple[int | None, int | None]:
    match = _SEQ.fullmatch(text.strip())
    first, dash, last = match.groups() if match else ("", "", "")
    if not first and not last:
        raise refusal(key, f"{text[:60]!r} is no range of positions", advice)
    return int(first) if first else None, int(last) if last else (None if dash else int(first))


def listed(positions: tuple[int, ...]) -> str:
    """`3,7,12-14`: neighbours as a range."""
    spans: list[list[int]] = []
    for seq in positions:
        if spans and seq == spans[-1][1] + 1:
            spans[-1][1] = seq
        else:
            spans.append([seq, seq])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read_named(text: str) -> tuple[int, ...]:
    named: set[int] = set()
    for part in text.split(","):
        first, last = read_positions(part, "positions", "Give numbers, such as 3,7,12-14.")
        if first is None or last is None:
            raise refusal("positions", f"{part[:60]!r} has no end", "Give numbers, such as 3,7,12-14.")
        check_order("positions", first, last)
        named.update(range(first, min(last, first + MAX_VALUES) + 1))  # one too many is enough to be refused
        if len(named) > MAX_VALUES:
            break
    return tuple(named)
