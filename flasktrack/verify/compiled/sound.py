"""Is every record of a block in order? Each function is a rule of `verify.chain`, and says yes only where that one has
nothing to say."""

from __future__ import annotations

from flasktrack.core.header import SALT_BYTES
from flasktrack.core.merkle import HASH_BYTES
from flasktrack.verify.compiled.cells import (
    ACTOR_ID,
    ACTOR_SEQ,
    ACTOR_TYPE,
    AFTER,
    BEFORE,
    BEFORE_DIGEST,
    BINARY,
    BODIES,
    ENTITY_ID,
    ENTITY_SEQ,
    ENTITY_TYPE,
    HASH,
    NULL,
    NUMBER,
    PREV_HASH,
    RECORDED_AT,
    RELATED,
    SEQ,
    TEXT,
    Bytes,
    Numbers,
)
from flasktrack.verify.compiled.hashing import digest_of_two
from flasktrack.verify.compiled.header import FAILED, longest_header, next_related, write_header
from flasktrack.verify.compiled.machine import compiled

_SECTIONS = 3


@compiled
def give_hashes(
    arena: Bytes, cells: Numbers, count: int, organization: Bytes, first: int, previous: Bytes,
    room: Bytes, state: Bytes, digest: Bytes, hashes: Bytes,
) -> bool:  # fmt: skip
    """Whether the rows are those of the positions from `first` on, each gives its hash and its sections' digests, and
    links to the one before, the first of them to `previous`. Their hashes are put into `hashes`.

    `room` is for a header; a row whose header might not fit is none that this can judge.
    """
    room[0] = 0  # what a leaf's hash begins with
    for row in range(count):
        if cells[row, SEQ, 0] != NUMBER or cells[row, SEQ, 1] != first + row:
            return False
        if longest_header(cells, row) > len(room):
            return False
        end = write_header(arena, cells, row, organization, room, 1)
        if end == FAILED or cells[row, PREV_HASH, 0] != BINARY:
            return False
        if cells[row, HASH, 0] != BINARY or cells[row, HASH, 2] != HASH_BYTES:
            return False
        digest_of_two(state, digest, room.ctypes.data, end, room.ctypes.data, 0)
        before, start, stored = cells[row, PREV_HASH, 1], HASH_BYTES * row, cells[row, HASH, 1]
        for place in range(HASH_BYTES):
            link = previous[place] if row == 0 else hashes[start - HASH_BYTES + place]
            if arena[stored + place] != digest[place] or arena[before + place] != link:
                return False
            hashes[start + place] = digest[place]
        for section in range(_SECTIONS):
            if not _section_agrees(arena, cells, row, section, state, digest):
                return False
    return True


@compiled
def _section_agrees(arena: Bytes, cells: Numbers, row: int, section: int, state: Bytes, digest: Bytes) -> bool:
    """Whether a section is there with its salt and digest, or not at all."""
    told, body, salt = BEFORE_DIGEST + section, BODIES + 2 * section, BODIES + 2 * section + 1
    if cells[row, body, 0] == NULL:
        return bool(cells[row, salt, 0] == NULL and cells[row, told, 0] == NULL)
    whole = (
        cells[row, body, 0] == TEXT
        and cells[row, salt, 0] == BINARY
        and cells[row, salt, 2] == SALT_BYTES  # otherwise bytes could move between salt and body unnoticed
        and cells[row, told, 0] == BINARY
    )
    if not whole:
        return False
    at = arena.ctypes.data
    digest_of_two(state, digest, at + cells[row, salt, 1], SALT_BYTES, at + cells[row, body, 1], cells[row, body, 2])
    offset = cells[row, told, 1]
    for place in range(HASH_BYTES):
        if arena[offset + place] != digest[place]:
            return False
    return True


@compiled
def go_on_in_time(arena: Bytes, cells: Numbers, count: int, earlier: Bytes) -> bool:
    """Whether no row was recorded before the one above it, the first of them not before `earlier`."""
    for row in range(count):
        if cells[row, RECORDED_AT, 0] != TEXT:
            return False
        offset, length = cells[row, RECORDED_AT, 1], cells[row, RECORDED_AT, 2]
        if row == 0:
            if _is_less(arena, offset, length, earlier, 0, len(earlier)):
                return False
        elif _is_less(arena, offset, length, arena, cells[row - 1, RECORDED_AT, 1], cells[row - 1, RECORDED_AT, 2]):
            return False
    return True


@compiled
def _is_less(one: Bytes, at: int, length: int, other: Bytes, other_at: int, other_length: int) -> bool:
    """By code point, which is the order of UTF-8's bytes too."""
    for place in range(min(length, other_length)):
        if one[at + place] != other[other_at + place]:
            return bool(one[at + place] < other[other_at + place])
    return length < other_length


@compiled
def are_linked(
    arena: Bytes, cells: Numbers, count: int, link_arena: Bytes, links: Numbers, link_count: int, matched: Bytes
) -> bool:
    """Whether the links are those of what the rows relate to, no more and no fewer, in whatever order at a position."""
    taken = 0
    for row in range(count):
        first, seq = taken, cells[row, SEQ, 1]
        while taken < link_count and links[taken, 0, 0] == NUMBER and links[taken, 0, 1] == seq:
            matched[taken] = 0
            taken += 1
        at, end = cells[row, RELATED, 1], cells[row, RELATED, 1] + cells[row, RELATED, 2]
        wanted = 0
        while at < end - 2:  # an item begins after the list's bracket, or a comma
            type_at, type_end, id_at, id_end = next_related(arena, at + 1, end)
            if type_at == FAILED or not _matches(
                arena, type_at, type_end, id_at, id_end, link_arena, links, first + wanted, first, taken, matched
            ):
                return False
            wanted += 1
            at = id_end + 2
        if wanted != taken - first:
            return False
    return taken == link_count


@compiled
def _matches(
    arena: Bytes, type_at: int, type_end: int, id_at: int, id_end: int,
    link_arena: Bytes, links: Numbers, likely: int, first: int, last: int, matched: Bytes,
) -> bool:  # fmt: skip
    """Whether a link that no other item was matched with is this item's: the `likely` one, or any of its record."""
    for turn in range(first - 1, last):
        link = likely if turn < first else turn
        if link >= last or matched[link]:
            continue
        if _is_text(arena, type_at, type_end, link_arena, links, link, 1) and _is_text(
            arena, id_at, id_end, link_arena, links, link, 2
        ):
            matched[link] = 1
            return True
    return False


@compiled
def _is_text(arena: Bytes, at: int, end: int, link_arena: Bytes, links: Numbers, link: int, column: int) -> bool:
    if links[link, column, 0] != TEXT or links[link, column, 2] != end - at:
        return False
    offset = links[link, column, 1]
    for place in range(end - at):
        if arena[at + place] != link_arena[offset + place]:
            return False
    return True


@compiled
def take_down(
    arena: Bytes, cells: Numbers, count: int, seed: Bytes, room: Bytes, state: Bytes, digest: Bytes, tape: Numbers
) -> bool:
    """What `continuity.Tape` has of each row, into `tape`; false where an actor or entity has no name."""
    for row in range(count):
        for place in (ACTOR_TYPE, ACTOR_ID, ENTITY_TYPE, ENTITY_ID):
            if cells[row, place, 0] != TEXT:
                return False
        tape[row, 0] = _name_key(arena, cells, row, ACTOR_TYPE, ACTOR_ID, seed, room, state, digest)
        tape[row, 1] = _name_key(arena, cells, row, ENTITY_TYPE, ENTITY_ID, seed, room, state, digest)
        tape[row, 2] = cells[row, SEQ, 1]
        tape[row, 3] = cells[row, ACTOR_SEQ, 1]
        tape[row, 4] = cells[row, ENTITY_SEQ, 1]
        tape[row, 5] = _fingerprint(arena, cells, row, BEFORE, seed, state, digest)
        tape[row, 6] = _fingerprint(arena, cells, row, AFTER, seed, state, digest)
    return True


@compiled
def _name_key(
    arena: Bytes, cells: Numbers, row: int, type_: int, id_: int, seed: Bytes, room: Bytes, state: Bytes, digest: Bytes
) -> int:
    """As `continuity.name_key`."""
    type_bytes, id_bytes = cells[row, type_, 2], cells[row, id_, 2]
    size = 8 + type_bytes + id_bytes
    for place in range(8):
        room[place] = type_bytes >> 8 * place & 255
    for place in range(type_bytes):
        room[8 + place] = arena[cells[row, type_, 1] + place]
    for place in range(id_bytes):
        room[8 + type_bytes + place] = arena[cells[row, id_, 1] + place]
    digest_of_two(state, digest, seed.ctypes.data, len(seed), room.ctypes.data, size)
    return _number(digest)


@compiled
def _fingerprint(arena: Bytes, cells: Numbers, row: int, body: int, seed: Bytes, state: Bytes, digest: Bytes) -> int:
    """As `continuity.fingerprint`; ABSENT where there is no such section."""
    if cells[row, body, 0] == NULL:
        return 0
    offset, length = cells[row, body, 1], cells[row, body, 2]
    digest_of_two(state, digest, seed.ctypes.data, len(seed), arena.ctypes.data + offset, length)
    return _number(digest) | 2


@compiled
def _number(digest: Bytes) -> int:
    """A digest's first eight bytes, the lowest first, without the lowest bit: 63 bits."""
    value = 0
    for place in range(7, 0, -1):
        value = value << 8 | int(digest[place])
    return value << 7 | int(digest[0]) >> 1
