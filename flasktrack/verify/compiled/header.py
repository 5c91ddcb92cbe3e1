"""The canonical header of a row (spec section 2), written as `core.header` has it written.

RFC 8785: members by name, no blanks, UTF-8 as it is, and the shortest escapes.
"""

from __future__ import annotations

import numpy as np

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.core.record import Record
from flasktrack.verify.compiled.cells import BINARY, NULL, NUMBER, TEXT, Bytes, Numbers
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.symbols import memcpy

_TEXT, _NUMBER, _DIGEST, _RELATED, _ORGANIZATION = range(5)

# What stands before each value, whose it is, and how it is written.
_MEMBERS = (
    ('{"action":', "action", _TEXT),
    (',"actor":{"id":', "actor_id", _TEXT),
    (',"name":', "actor_name", _TEXT),
    (',"role":', "actor_role", _TEXT),
    (',"type":', "actor_type", _TEXT),
    ('},"actor_seq":', "actor_seq", _NUMBER),
    (',"after":', "after_digest", _DIGEST),
    (',"before":', "before_digest", _DIGEST),
    (',"context":', "context_digest", _DIGEST),
    (',"correlation_id":', "correlation_id", _TEXT),
    (',"credential_id":', "credential_id", _TEXT),
    (',"entity":{"id":', "entity_id", _TEXT),
    (',"name":', "entity_name", _TEXT),
    (',"type":', "entity_type", _TEXT),
    ('},"entity_seq":', "entity_seq", _NUMBER),
    (',"occurred_at":', "occurred_at", _TEXT),
    (',"on_behalf_of":', "on_behalf_of", _TEXT),
    (',"organization_id":', "organization_id", _ORGANIZATION),
    (',"outcome":', "outcome", _TEXT),
    (',"prev":', "prev_hash", _DIGEST),
    (',"reason":', "reason", _TEXT),
    (',"record_id":', "record_id", _TEXT),
    (',"recorded_at":', "recorded_at", _TEXT),
    (',"related":', "related", _RELATED),
    (',"seq":', "seq", _NUMBER),
)
_END = ',"v":1}'


def _bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), dtype=np.uint8)


_NAMES = _bytes("".join(name for name, _, _ in _MEMBERS) + _END)
_NAME_ENDS: Numbers = np.cumsum([len(name) for name, _, _ in _MEMBERS], dtype=np.int64)
_PLACES: Numbers = np.array([Record._fields.index(field) - 1 for _, field, _ in _MEMBERS], dtype=np.int64)
_WAYS: Numbers = np.array([way for _, _, way in _MEMBERS], dtype=np.int64)
_MEMBER_COUNT = len(_MEMBERS)
_TEXT_PLACES: Numbers = np.array(
    [place for place, way in zip(_PLACES, _WAYS, strict=True) if way in (_TEXT, _RELATED)], dtype=np.int64
)

_NULL, _NOTHING = _bytes("null"), _bytes("[]")
_HEX = _bytes("0123456789abcdef")
_TYPE_OPENS, _ID_OPENS = _bytes('{"type":"'), _bytes('","id":"')  # as `related` is stored
_ID_FIRST, _TYPE_SECOND = _bytes('{"id":'), _bytes(',"type":')  # as a header has it
_QUOTE, _BACKSLASH, _COMMA, _ZERO = ord('"'), ord("\\"), ord(","), ord("0")
_OPEN_LIST, _CLOSE_LIST, _CLOSE = ord("["), ord("]"), ord("}")
_LETTER_U = ord("u")

# What follows the backslash in the short escapes of RFC 8785; 0 where there is none.
_SHORT: Bytes = np.zeros(32, dtype=np.uint8)
for _code, _letter in ((8, "b"), (9, "t"), (10, "n"), (12, "f"), (13, "r")):
    _SHORT[_code] = ord(_letter)

OVERHEAD = 2048
"""More than all names, numbers, digests and nulls of a header take."""
WORST_ESCAPE = 6
"""Bytes that one byte of text may need: \\u0001."""
FAILED = -1


@compiled
def longest_header(cells: Numbers, row: int) -> int:
    """An upper bound for the bytes of a row's header."""
    total = OVERHEAD
    for place in _TEXT_PLACES:
        if cells[row, place, 0] == TEXT:
            total += WORST_ESCAPE * cells[row, place, 2]
    return total


@compiled
def write_header(arena: Bytes, cells: Numbers, row: int, organization: Bytes, out: Bytes, at: int) -> int:
    """Write a row's header from `at` on, and return where it ends; FAILED where the row holds what no record can.

    `out` has room for `longest_header`.
    """
    start = 0
    for member in range(_MEMBER_COUNT):
        at = _copy(_NAMES, start, _NAME_ENDS[member], out, at)
        start = _NAME_ENDS[member]
        way, place = _WAYS[member], _PLACES[member]
        if way == _ORGANIZATION:  # a slug: there is nothing to escape
            out[at] = _QUOTE
            at = _copy(organization, 0, len(organization), out, at + 1)
            out[at] = _QUOTE
            at += 1
            continue
        kind, offset, length = cells[row, place, 0], cells[row, place, 1], cells[row, place, 2]
        if way == _NUMBER:
            at = _number(offset, out, at) if kind == NUMBER else FAILED
        elif way == _RELATED:
            at = _related(arena, offset, offset + length, out, at) if kind == TEXT else FAILED
        elif kind == NULL:
            at = _copy(_NULL, 0, 4, out, at)
        elif way == _TEXT:
            at = _text(arena, offset, offset + length, out, at) if kind == TEXT else FAILED
        else:
            at = _digest(arena, offset, out, at) if kind == BINARY and length == HASH_BYTES else FAILED
        if at == FAILED:
            return FAILED
    return _copy(_NAMES, start, len(_NAMES), out, at)


@compiled
def next_related(arena: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """The next item of a stored `related` that begins at `at` (after its `[` or `,`): where its type begins and ends,
    and where its id does; FAILED first where it is not written as `core.related` writes it, without escapes."""
    type_at = _expect(arena, at, end, _TYPE_OPENS)
    type_end = _plain(arena, type_at, end)
    id_at = _expect(arena, type_end, end, _ID_OPENS)
    id_end = _plain(arena, id_at, end)
    if id_end == FAILED or id_end + 2 >= end or arena[id_end + 1] != _CLOSE:
        return FAILED, FAILED, FAILED, FAILED
    return type_at, type_end, id_at, id_end


@compiled
def _related(arena: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """Write a stored list of type and id as a header has it."""
    if end - at < 2 or arena[at] != _OPEN_LIST or arena[end - 1] != _CLOSE_LIST:
        return FAILED
    if end - at == 2:
        return _copy(_NOTHING, 0, 2, out, to)
    out[to] = _OPEN_LIST
    to += 1
    while True:
        type_at, type_end, id_at, id_end = next_related(arena, at + 1, end)
        if type_at == FAILED:
            return FAILED
        to = _copy(_ID_FIRST, 0, len(_ID_FIRST), out, to)
        to = _text(arena, id_at, id_end, out, to)
        if to == FAILED:
            return FAILED
        to = _copy(_TYPE_SECOND, 0, len(_TYPE_SECOND), out, to)
        to = _text(arena, type_at, type_end, out, to)
        if to == FAILED:
            return FAILED
        out[to] = _CLOSE
        out[to + 1] = arena[id_end + 2]  # a comma, or the list's end
        to += 2
        at = id_end + 2
        if at == end - 1:
            return to
        if arena[at] != _COMMA:
            return FAILED


@compiled
def _expect(arena: Bytes, at: int, end: int, words: Bytes) -> int:
    """Where what follows `words` begins, if they stand at `at`."""
    if at == FAILED or at + len(words) > end:
        return FAILED
    for place in range(len(words)):
        if arena[at + place] != words[place]:
            return FAILED
    return at + len(words)


@compiled
def _plain(arena: Bytes, at: int, end: int) -> int:
    """Where a JSON string that begins at `at` ends, if nothing in it is escaped."""
    if at == FAILED:
        return FAILED
    while at < end and arena[at] != _QUOTE:
        if arena[at] == _BACKSLASH or arena[at] < 32:
            return FAILED
        at += 1
    return at if at < end else FAILED


@compiled
def _copy(source: Bytes, start: int, end: int, out: Bytes, at: int) -> int:
    _make_sure(source, start, end)
    _make_sure(out, at, at + end - start)
    memcpy(out.ctypes.data + at, source.ctypes.data + start, end - start)
    return at + end - start


@compiled
def _make_sure(array: Bytes, start: int, end: int) -> None:
    """That all from `start` to before `end` lies inside of an array."""
    if not 0 <= start <= end <= len(array):
        raise IndexError


@compiled
def _number(value: int, out: Bytes, at: int) -> int:
    """Positions and ordinals begin at 1."""
    if value < 1:
        return FAILED
    digits, rest = 0, value
    while rest:
        rest //= 10
        digits += 1
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = _ZERO + value % 10
        value //= 10
    return at + digits


@compiled
def _digest(arena: Bytes, offset: int, out: Bytes, at: int) -> int:
    out[at] = _QUOTE
    at += 1
    for place in range(offset, offset + HASH_BYTES):
        out[at] = _HEX[arena[place] >> 4]
        out[at + 1] = _HEX[arena[place] & 15]
        at += 2
    out[at] = _QUOTE
    return at + 1


@compiled
def _text(arena: Bytes, start: int, end: int, out: Bytes, at: int) -> int:
    """Write a JSON string; FAILED where the bytes are not UTF-8 (RFC 3629)."""
    out[at] = _QUOTE
    at += 1
    if _stands_for_itself(arena, start, end):
        at = _copy(arena, start, end, out, at)
        out[at] = _QUOTE
        return at + 1
    place = start
    while place < end:
        byte = arena[place]
        if byte < 0x80:
            if byte >= 32 and byte != _QUOTE and byte != _BACKSLASH:
                out[at] = byte
                at += 1
            else:
                at = _escaped(byte, out, at)
            place += 1
            continue
        size = _sequence(arena, place, end)
        if size == 0:
            return FAILED
        at = _copy(arena, place, place + size, out, at)
        place += size
    out[at] = _QUOTE
    return at + 1


@compiled
def _stands_for_itself(arena: Bytes, start: int, end: int) -> bool:
    """Whether all bytes are ASCII, and none of them needs an escape."""
    odd = False
    for place in range(start, end):  # to the end in any case: that is quicker than to look each time whether to go on
        byte = arena[place]
        odd |= (byte < 32) | (byte >= 0x80) | (byte == _QUOTE) | (byte == _BACKSLASH)
    return not odd


@compiled
def _escaped(byte: int, out: Bytes, at: int) -> int:
    out[at] = _BACKSLASH
    if byte >= 32:  # a quote or a backslash
        out[at + 1] = byte
        return at + 2
    if _SHORT[byte]:
        out[at + 1] = _SHORT[byte]
        return at + 2
    out[at + 1] = _LETTER_U
    out[at + 2] = out[at + 3] = _ZERO
    out[at + 4] = _HEX[byte >> 4]
    out[at + 5] = _HEX[byte & 15]
    return at + 6


@compiled
def _sequence(arena: Bytes, at: int, end: int) -> int:
    """The bytes of the UTF-8 sequence of more than one byte at `at`; 0 where there is none."""
    first = arena[at]
    low, high = 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        size = 2
    elif 0xE0 <= first <= 0xEF:
        size = 3
        if first == 0xE0:
            low = 0xA0  # shorter ones exist
        elif first == 0xED:
            high = 0x9F  # surrogates
    elif 0xF0 <= first <= 0xF4:
        size = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F  # beyond U+10FFFF
    else:
        return 0
    if at + size > end or not low <= arena[at + 1] <= high:
        return 0
    for place in range(at + 2, at + size):
        if not 0x80 <= arena[place] <= 0xBF:
            return 0
    return size
