"""Taking records in: rows of the SQL database are checked as readers check them, and become columns.

Almost every record is sound, so where there are many, compiled code holds blocks of them against their hashes, links
and digests (`verify.compiled`); where anything in a block is not in order, each row is judged by the rules that readers
apply (`core.check`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from flasktrack.core.check import check_record
from flasktrack.core.erasure import Erasure
from flasktrack.core.header import ZERO_HASH
from flasktrack.core.record import MAX_POSITION, SECTIONS, Record, Section
from flasktrack.core.related import parse_related
from flasktrack.core.times import parse_time
from flasktrack.insight.copy_tables import UNRELIABLE, record, related
from flasktrack.insight.inserting import arrow_schema
from flasktrack.verify.chain import BLOCK
from flasktrack.verify.compiled import open_columns
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.rows import Streams

if TYPE_CHECKING:
    from flasktrack.verify.compiled.columns import ColumnBlocks, Columns, SoundColumns

RECORDS_AT_ONCE = 20_000
_SECTIONS_AT = 26  # audit_record's columns come first, then body and salt of each section
_FIRST_YEAR = np.datetime64("0001-01-01", "us")
_WHOLE = frozenset({int, type(None)})
_RECORD_COLUMNS = [column for column in record.columns if column.name != "organization_id"]
_KINDS = {column.name: str(column.type) for column in _RECORD_COLUMNS}
_RECORD_SCHEMA, _RELATED_SCHEMA = arrow_schema(record), arrow_schema(related)


class Part(NamedTuple):
    """Records that follow each other, as columns; `last_hash` is the hash of the last one, as it is stored."""

    records: pa.RecordBatch
    related: pa.RecordBatch
    last_seq: int
    last_hash: bytes
    failed: int


def read_parts(
    connection: Connection,
    organization_id: str,
    first: int,
    last: int,
    erasures: Sequence[Erasure],
    *,
    compiled: bool = False,
) -> Generator[Part, None, None]:
    """The records from `first` to `last`, checked, in constant memory. What `erasures` cover is not missing.

    `compiled`: compiled code may take what is sound of them, since each position holds one row at most.
    """
    streams = Streams(connection, organization_id, first, last, open_end=False)
    with streams.fast_text():
        neighbour = streams.neighbour() if first > 1 else None
        check = _Check(organization_id, erasures, first - 1, None if neighbour is None else neighbour[0])
        at_least = BLOCK
        while True:
            blocks = open_columns(streams.rest(check.last_seq + 1)) if compiled else None
            if blocks is not None:
                yield from check.take_sound(blocks)
            taken = 0
            for block in streams.rest(check.last_seq + 1).records():
                # Blocks can go on behind a position that is read whole; below the first one they would begin anew.
                if blocks is not None and taken >= at_least and block[0][0] > check.last_seq >= max(1, first):
                    break
                check.take(block)
                taken += len(block)
                if check.held >= RECORDS_AT_ONCE:
                    yield check.part()
            else:
                break
            at_least *= 2  # the more stretches there are that must be read by rows, the longer these become
        if check.held:
            yield check.part()


def stored_hash(value: object) -> bytes:
    """A record's hash as a copy remembers it: an intruder may have stored anything in its place."""
    return value if isinstance(value, bytes) else b""


class _Check:
    """One pass over rows in order of position."""

    def __init__(self, organization_id: str, erasures: Sequence[Erasure], before: int, neighbour: bytes | None) -> None:
        self.organization_id = organization_id
        self.erasures = erasures
        self.last_seq = before
        self.hashes = [] if neighbour is None else [neighbour]  # of the records at the last position
        self.before: list[bytes] = []  # of those at the position before that
        self.columns: list[list[Any]] = [[] for _ in _RECORD_COLUMNS]
        self.related: list[tuple[int, str, str]] = []
        self._batches: list[tuple[pa.RecordBatch, pa.RecordBatch]] = []
        self.last_hash = b""
        self.failed = 0

    @property
    def held(self) -> int:
        """How many records were kept since the last part."""
        return len(self.columns[0]) + sum(int(records.num_rows) for records, _ in self._batches)

    def take(self, block: list[tuple[Any, ...]]) -> None:
        """Check rows (see `Streams.records`) and keep what the copy holds of them."""
        for row in block:
            self._take((self.organization_id, *row))

    def take_sound(self, blocks: ColumnBlocks) -> Iterator[Part]:
        """Keep what the copy holds of blocks in which every row is in order, as long as they are."""
        self._put_aside()
        sound: SoundColumns | None = None
        try:
            while (block := self._next_sound(blocks)) is not None:
                batches = _batches(self.organization_id, block.columns)
                if batches is None:
                    return
                if self.held >= RECORDS_AT_ONCE:
                    yield self.part()
                sound = block
                self._batches.append(batches)
                self.last_seq += block.columns.count
                self.last_hash, self.hashes, self.before = block.last_hash, [block.last_hash], [block.before_last]
        except Unreadable:
            pass  # the driver reads it, and says what is wrong if it can't either
        finally:
            blocks.close()
            if sound is not None:
                self._give_back(sound)

    def _give_back(self, last: SoundColumns) -> None:
        """Let go of the last record of the last block: somebody may have got round the primary key and put another one
        there, and only who reads both by rows sees that."""
        records, links = self._batches.pop()
        self._batches.append((records.slice(0, len(records) - 1), links.filter(pc.less(links["seq"], self.last_seq))))
        self.last_seq -= 1
        self.hashes = [last.before_last] if self.last_seq else []
        self.last_hash, self.before = b"".join(self.hashes), []

    def _next_sound(self, blocks: ColumnBlocks) -> SoundColumns | None:
        previous = [ZERO_HASH] if self.last_seq == 0 else self.hashes
        if len(previous) != 1 or type(previous[0]) is not bytes:
            return None
        return blocks.next_sound(self.last_seq + 1, previous[0])

    def _take(self, row: tuple[Any, ...]) -> None:
        """Check a row, the organization's id before it."""
        seq = row[1]
        if type(seq) is not int:  # no position at all, which a verification reports
            return
        double = seq == self.last_seq and bool(self.columns[0])
        if not double:
            self.before = self.hashes if seq == self.last_seq + 1 else []
            self.hashes = []
            self.last_seq = seq
        before, _, after, _, context, _ = row[_SECTIONS_AT:]
        try:
            names = parse_related(row[18])
        except (TypeError, ValueError):  # a stored row may hold anything
            names = ()
        code, altered = self._judge(row, names, double=double)
        self.hashes.append(row[25])
        self.last_hash = stored_hash(row[25])
        self.failed += code is not None
        prints = (
            None if digest is None else UNRELIABLE if name in altered else _fingerprint(body or b"")
            for name, digest, body in (("before", row[21], before), ("after", row[22], after))
        )
        ip = None if "context" in altered else _ip(context)
        for column, value in zip(self.columns, (seq, *row[3:18], row[19], ip, *prints, code), strict=True):
            column.append(value)
        if names:
            self.related += [(seq, type_, id_) for type_, id_ in names]

    def _judge(self, row: tuple[Any, ...], names: tuple[Any, ...], *, double: bool) -> tuple[str | None, set[str]]:
        """What is wrong with a row by the readers' rules, and which sections can't be relied on."""
        found = Record._make((*row[:18], names, *row[19:_SECTIONS_AT]))
        sections = {
            name: _section(row[_SECTIONS_AT + 2 * place], row[_SECTIONS_AT + 2 * place + 1])
            for place, name in enumerate(SECTIONS)
        }
        linked = row[24] if row[24] in self.before else next(iter(self.before), None)
        findings = check_record(found, sections, linked)
        try:
            parse_related(row[18])
            readable = True
        except (TypeError, ValueError):
            readable = False
        codes = [
            finding.code
            for finding in findings
            if finding.code != "payload_missing"
            or not any(one.covers(found.seq, finding.section or "") for one in self.erasures)
        ]
        altered = {finding.section for finding in findings if finding.section is not None}
        if "record_modified" in codes or not readable:
            return "record_modified", set(SECTIONS)
        if double and "chain_broken" not in codes:
            codes.insert(0, "chain_broken")
            codes_held = self.columns[-1]
            self.failed += codes_held[-1] is None
            codes_held[-1] = codes_held[-1] or "chain_broken"
        return next(iter(codes), None), altered

    def part(self) -> Part:
        """What was kept since the last part."""
        self._put_aside()
        records, links = zip(*self._batches, strict=True)
        done = Part(pa.concat_batches(records), pa.concat_batches(links), self.last_seq, self.last_hash, self.failed)
        self._batches, self.failed = [], 0
        return done

    def _put_aside(self) -> None:
        """Make a batch of the rows that were taken one by one."""
        held = len(self.columns[0])
        if not held:
            return
        arrays = [pa.array(repeat(self.organization_id, held), pa.string())]
        arrays += [_array(kind, values) for kind, values in zip(_KINDS.values(), self.columns, strict=True)]
        seqs, types, ids = zip(*self.related, strict=True) if self.related else ((), (), ())
        links = [
            pa.array([self.organization_id] * len(seqs), pa.string()),
            pa.array(seqs, pa.int64()), _texts(types), _texts(ids),
        ]  # fmt: skip
        self._batches.append(
            (
                pa.RecordBatch.from_arrays(arrays, schema=_RECORD_SCHEMA),
                pa.RecordBatch.from_arrays(links, schema=_RELATED_SCHEMA),
            )
        )
        self.columns, self.related = [[] for _ in _RECORD_COLUMNS], []


def _batches(organization_id: str, columns: Columns) -> tuple[pa.RecordBatch, pa.RecordBatch] | None:
    """What the copy holds of a block in which every row is in order; None where a row holds what has no place there."""
    from flasktrack.verify.compiled import cells

    related, addresses = columns.related(), columns.addresses()
    times = {name: columns.times(cells.AT[name]) for name in ("occurred_at", "recorded_at")}
    if related is None or any(moments is None for moments in times.values()):
        return None
    made = {
        "ip": pa.array(map(_ip, columns.bodies(cells.CONTEXT)), pa.string()) if addresses is None else addresses,
        "before_print": columns.fingerprints(cells.BEFORE),
        "after_print": columns.fingerprints(cells.AFTER),
        "failed": pa.nulls(columns.count, pa.string()),
        **times,
    }
    texts = [name for name, kind in _KINDS.items() if kind == "TEXT" and name not in made]
    made |= dict(zip(texts, columns.texts(*(cells.AT[name] for name in texts)), strict=True))
    made |= {name: columns.numbers(cells.AT[name]) for name in _KINDS if name not in made}
    arrays = [pa.array(repeat(organization_id, columns.count), pa.string()), *(made[name] for name in _KINDS)]
    links = [pa.array(repeat(organization_id, len(related[0])), pa.string()), *related]
    return (
        pa.RecordBatch.from_arrays(arrays, schema=_RECORD_SCHEMA),
        pa.RecordBatch.from_arrays(links, schema=_RELATED_SCHEMA),
    )


def _section(body: bytes | None, salt: bytes | None) -> Section | None:
    """As readers see it: where either half is stored, there is a section."""
    if body is None and salt is None:
        return None
    return Section(salt or b"", (body or b"").decode(errors="replace"))


def _fingerprint(body: bytes | None) -> int | None:
    """64 bits that tell two bodies apart; never UNRELIABLE."""
    return None if body is None else int.from_bytes(sha256(body).digest()[:8], "big", signed=True) or 1


def _ip(context: bytes | None) -> str | None:
    if context is None or b'"ip"' not in context:
        return None
    try:
        found = orjson.loads(context)
    except ValueError:
        return None
    address = found.get("ip") if isinstance(found, dict) else None
    return address if isinstance(address, str) else None


def _array(type_: str, values: Sequence[Any]) -> pa.Array:
    return {"TEXT": _texts, "BIGINT": _integers, "DATETIME": _times}[type_](values)


def _texts(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeError):  # bytes, numbers or broken UTF-8 in an altered row
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _integers(values: Sequence[Any]) -> pa.Array:
    if _WHOLE.issuperset(map(type, values)):
        try:
            return pa.array(values, pa.int64())
        except (pa.ArrowException, OverflowError):  # an integer of more than 64 bits
            pass
    fits = (type(value) is int and abs(value) <= MAX_POSITION for value in values)
    return pa.array([value if fit else None for value, fit in zip(values, fits, strict=True)], pa.int64())


def _times(values: Sequence[Any]) -> pa.Array:
    try:
        moments = pa.array(values, pa.string()).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
        if not moments.null_count and moments.to_numpy().min() >= _FIRST_YEAR:
            return moments
    except (pa.ArrowException, UnicodeError):
        pass
    return pa.array([_time(value) for value in values], pa.timestamp("us"))


def _time(value: Any) -> datetime | None:
    try:
        return parse_time(value).astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError):
        return None
