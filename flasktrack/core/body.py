"""A section's body: the JSON text that is stored, hashed and never rebuilt (spec section 1).

    {"volume": Decimal("0.1000"), "id": 9007199254740993}  ->  {"id":"9007199254740993","volume":"0.1000"}

Compact, keys sorted, UTF-8. What JSON cannot carry exactly is written as a string.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

from flasktrack.errors import InvalidRecord

MAX_SECTION_BYTES = 1024 * 1024
MAX_EXACT_INTEGER = 2**53 - 1  # beyond it an IEEE 754 double, which is JSON's number, skips integers
MAX_DEPTH = 200  # orjson stops at 254; a snapshot that deep is a mistake anyway

_AS_IT_IS = (  # refuse what orjson would write in a form of its own; lone surrogates it refuses anyway
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_SCALARS: frozenset[type] = frozenset((str, int, bool, type(None), float))
_NOT_NULL = _SCALARS - {float}  # orjson writes NaN and infinities as null
_CONTAINERS: frozenset[type] = frozenset((dict, list, tuple))


def encode_body(section: str, value: Any) -> str:
    """The body of a section's value.

    Raises InvalidRecord, naming the section, for NaN, infinities, U+0000, lone surrogates, keys that are not
    text, values that have no JSON form, nesting beyond 200 levels, and bodies over 1 MiB.
    """
    try:
        written = orjson.dumps(value, option=_AS_IT_IS)
        body = written.decode()  # looking for something in text takes a quarter of what it takes in bytes
        if "\\u0000" in body or not _is_exact(value, _NOT_NULL if "null" in body else _SCALARS, 0):
            raise TypeError
    except TypeError:
        written = orjson.dumps(_exact(section, value, 0), option=orjson.OPT_SORT_KEYS)
        body = written.decode()
    if len(written) > MAX_SECTION_BYTES:
        raise InvalidRecord(section, f"is {len(written):,} bytes of JSON; a section has at most {MAX_SECTION_BYTES:,}")
    return body


def check_characters(field: str, text: str) -> None:
    """Raise InvalidRecord where text holds U+0000 or a lone surrogate: neither survives every database and UTF-8."""
    if "\x00" in text:
        raise InvalidRecord(field, "holds the character U+0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRecord(field, "holds a lone surrogate, which is not a character") from None


def name_problem(name: str, longest: int) -> str | None:
    """A sentence on what keeps a name from being kept, or None; it may have so many characters."""
    try:
        check_characters("name", name)
    except InvalidRecord as problem:
        return f"The name {problem.problem}."
    if not 1 <= len(name) <= longest:
        return f"A name has 1 to {longest:,} characters, and this one {len(name):,}."
    return None


def _is_exact(value: Any, scalars: frozenset[type], depth: int) -> bool:
    """Whether a value that orjson wrote, with `_AS_IT_IS`, needed none of what `_exact` does.

    Most values don't, and this looks at types alone: it costs a tenth of `_exact`. `scalars` are the types of which it
    is enough to know that.
    """
    kind = type(value)
    if kind not in _CONTAINERS or depth > MAX_DEPTH:
        return kind in scalars or (kind is float and math.isfinite(value))
    items = value.values() if kind is dict else value
    return scalars.issuperset(map(type, items)) or all(
        _is_exact(item, scalars, depth + 1) for item in items if type(item) not in scalars
    )


def _exact(section: str, value: Any, depth: int) -> Any:
    """`value` with everything that JSON can't carry exactly turned into a string."""
    kind = type(value)
    if kind is str:
        check_characters(section, value)
        return value
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value)
    if kind is float:
        if not math.isfinite(value):
            raise InvalidRecord(section, f"holds {value}, which is not a number that JSON knows")
        return value
    if depth > MAX_DEPTH:
        raise InvalidRecord(section, f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        exact = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidRecord(section, f"has the key {key!r}, which is not text")
            check_characters(section, key)
            exact[str.__str__(key)] = _exact(section, item, depth + 1)  # str() of an enum's member is its name
        return exact
    if isinstance(value, (list, tuple)):
        return [_exact(section, item, depth + 1) for item in value]
    return _text_form(section, value, depth)


def _text_form(section: str, value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return str(_exact(section, value.value, depth + 1))
    if isinstance(value, (str, int, float)):  # their subclasses; bool is final
        base = str if isinstance(value, str) else int if isinstance(value, int) else float
        return _exact(section, base(value), depth)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidRecord(section, f"holds {value}, which is not a number that JSON knows")
        return str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    raise InvalidRecord(section, f"holds a {type(value).__name__}, which has no JSON form")


def parse_exact(text: str | bytes) -> Any:
    """Parse JSON from outside without losing anything: the counterpart of `encode_body` for files.

    A number that a double can't hold exactly becomes a string with its digits. Raises ValueError for text that is
    not JSON or is nested too deeply to read, for NaN and infinities, and for an object that names a key twice
    (readers disagree on which counts).
    """
    try:
        return json.loads(
            text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_refuse, object_pairs_hook=_unique_keys
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _parse_int(digits: str) -> int | str:
    if len(digits) > 17:
        return digits
    return int(digits)  # encode_body turns what is beyond 2^53 - 1 into a string


def _parse_float(digits: str) -> float | str:
    number = float(digits)
    try:
        return number if math.isfinite(number) and Decimal(repr(number)) == Decimal(digits) else digits
    except InvalidOperation:  # an exponent beyond what Decimal takes, such as 1e-9999999999999999999
        return digits


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"an object has the key {twice[:60]!r} twice")
    return found
