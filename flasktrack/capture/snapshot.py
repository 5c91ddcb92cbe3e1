"""A row as a record holds it: column names and values, in one form whoever takes the snapshot.

    {"volume": Decimal("1.50"), "taken": date(2026, 11, 24), "token": "s3cret"}
        ->  {"taken": "2026-11-24", "token": "[masked]", "volume": "1.50"}

The session hook, statements and the PostgreSQL trigger all write this form: a `before` that is not the `after` of the
entity's record before counts as a change that nobody recorded (`state_gap`), so the same row must give the same text.

| in the database | in the snapshot |
| --- | --- |
| NULL, text, boolean | as it is |
| integer | a number; beyond ±(2^53 - 1), its digits as text |
| numeric, decimal | its digits as text, with the zeros of its scale and no exponent |
| real, double | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
| date | `"2026-11-24"` |
| time; timestamp without zone | ISO 8601 with six decimals, `"2026-11-24T05:06:07.000000"` |
| timestamp with time zone | the same in UTC, with a `Z` |
| interval | `"P1DT3723.500000S"`: days, then seconds with six decimals |
| uuid, network address, range | its text |
| enum | its text in the database |
| binary up to 1 KiB | base64 |
| longer binary | `{"bytes": 48213, "sha256": "9f86d0…"}`: not a file's content, but enough to prove what it was |
| array | a list of such values |
| JSON | as it is |
| a set | a sorted list |
| a masked column | `"[masked]"`, whether it holds anything or not |

An entity's id is its primary key's text; a composite key's parts are joined by commas, with `%` and `,` inside a part
written as `%25` and `%2C`.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql.ranges import MultiRange

from flasktrack.core.times import format_time

MASKED = "[masked]"
MAX_BINARY = 1024

_AS_TEXT = (Range, UUID, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)
_DAY = timedelta(days=1)


def json_form(value: Any) -> Any:
    """A database value in the form above. Raises TypeError for one that has none."""
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:
        return value  # the section's encoding writes a large integer as text
    if kind is float:
        return value if math.isfinite(value) else _special(value)
    if kind is Decimal:
        return format(value, "f") if value.is_finite() else _special(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") if value.tzinfo is None else format_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _binary(bytes(value))
    if isinstance(value, Enum):
        return json_form(value.name)
    if isinstance(value, Mapping):
        return {str(key): json_form(item) for key, item in value.items()}
    if isinstance(value, MultiRange):
        return f"{{{','.join(map(str, value))}}}"
    if isinstance(value, (list, tuple)):
        return [json_form(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((json_form(item) for item in value), key=lambda item: (type(item).__name__, item))
    if isinstance(value, (str, int, float)):  # a class of the application's own
        base = str if isinstance(value, str) else int if isinstance(value, int) else float
        return json_form(base(value))
    if isinstance(value, _AS_TEXT):
        return str(value)
    raise TypeError(f"a {kind.__module__}.{kind.__qualname__} has no form in a record")


def entity_id(key: Iterable[Any]) -> str:
    """The id of the entity with these primary key values, in the order of the key's columns."""
    parts = [_key_text(value) for value in key]
    if len(parts) == 1:
        return parts[0]
    return ",".join(part.replace("%", "%25").replace(",", "%2C") for part in parts)


def _key_text(value: Any) -> str:
    form = json_form(value)
    if isinstance(form, bool):
        return "true" if form else "false"
    return form if isinstance(form, str) else str(form)


def _special(number: float | Decimal) -> str:
    name = str(number).lower()  # nan, inf, -inf; and as Decimal NaN, sNaN, Infinity, -Infinity
    return "NaN" if "nan" in name else "-Infinity" if name.startswith("-") else "Infinity"


def _interval(length: timedelta) -> str:
    sign, length = ("-", -length) if length < timedelta(0) else ("", length)
    return f"{sign}P{length // _DAY}DT{length.seconds}.{length.microseconds:06d}S"


def _binary(value: bytes) -> Any:
    if len(value) <= MAX_BINARY:
        return b64encode(value).decode()
    return {"bytes": len(value), "sha256": sha256(value).hexdigest()}
