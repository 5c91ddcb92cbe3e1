"""Times as the spec writes them: UTC with six decimals, `2026-11-24T05:06:07.123456Z` (spec section 1)."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

import orjson

_LENGTH = len("2026-11-24T05:06:07.123456")


def utc_now() -> datetime:
    """The recorder's clock."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Write an aware datetime in the spec's form.

    Raises ValueError for a naive datetime, or one that lies outside the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is UTC:
        if moment.microsecond and type(moment) is datetime:  # isoformat takes four times as long
            return orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode()
        return moment.isoformat("T", "microseconds")[:_LENGTH] + "Z"
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("has no time zone")
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999") from None
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def in_zone(moment: datetime, zone: tzinfo) -> datetime:
    """An aware time in a zone; in UTC where it lies outside the years 1 to 9999 there."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time that states its zone; the result is in UTC.

    Raises ValueError for anything else. Digits beyond the microsecond are cut.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not an ISO 8601 time such as 2026-11-24T05:06:07+01:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text[:60]!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text[:60]!r} lies outside the years 1 to 9999") from None
