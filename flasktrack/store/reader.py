"""Readers: always one organization's, streaming, and checking every record that they return.

A record that fails its check is returned with its findings: neither hidden nor raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, func, select

from flasktrack.core import erasure
from flasktrack.core.check import check_record, computed_hash
from flasktrack.core.erasure import Erasure
from flasktrack.core.finding import Finding
from flasktrack.core.record import MAX_POSITION, SECTIONS, Content, Record, Section
from flasktrack.core.related import parse_related
from flasktrack.store.organizations import Organization, get_organization
from flasktrack.store.row_security import enter, of_organization
from flasktrack.store.schema import audit_payload, audit_record, chain_head
from flasktrack.store.scope import Permission, Scope, machine_scoped, previous_hash, records_here, scoped

_ROWS_AT_ONCE = 200  # a row may carry 3 MiB of sections
_RECORD_COLUMNS = tuple(audit_record.columns)
_SECTION_COLUMNS = tuple(audit_payload.columns)[2:]
_WIDTH = len(_RECORD_COLUMNS)


class CheckedRecord(NamedTuple):
    """A record, its sections (None where null, withheld or erased), and what is wrong with it."""

    record: Record
    before: Section | None
    after: Section | None
    context: Section | None
    findings: tuple[Finding, ...]


class Head(NamedTuple):
    """What `chain_head` says of an organization."""

    size: int
    hash: bytes


class RecordedContent(NamedTuple):
    """A record and the content that it was made from."""

    record: Record
    content: Content

    def agrees_with(self, content: Content) -> bool:
        """Whether `content` is the same act; a section that was erased since can't speak against it."""
        return all(
            mine == theirs or (mine is None and name in SECTIONS and getattr(self.record, f"{name}_digest") is not None)
            for name, mine, theirs in zip(Content._fields, self.content, content, strict=True)
        )


class Ledger:
    """One organization's records, read-only, for somebody who may see them.

    Raises NotPermitted, and UnknownOrganization where there is no such organization.
    """

    def __init__(self, engine: Engine, scope: Scope) -> None:
        scope.check(Permission.SEE_ACTIVITY)
        self.engine = of_organization(engine, scope.organization_id)
        self.scope = scope
        self.organization: Organization = get_organization(self.engine, scope.organization_id)

    def stream(
        self,
        *conditions: ColumnElement[bool],
        first: int | None = None,
        last: int | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[CheckedRecord]:
        """Records that meet all conditions, by seq from `first` to `last` (inclusive), in constant memory."""
        seq = audit_record.c.seq
        statement = self._checked().where(*conditions).order_by(seq.desc() if descending else seq).limit(limit)
        if first is not None:
            statement = statement.where(seq >= first)
        # SQLite sorts text and bytes above every number: such a position is none, and a verification says so.
        return self._read(statement.where(seq <= (MAX_POSITION if last is None else last)))

    def at(self, positions: Sequence[int]) -> Iterator[CheckedRecord]:
        """The records at some positions, by seq; a few hundred at most, since each is a parameter.

        As a condition of `stream`, SQLite would compare every record with the list.
        """
        return self._read(self._checked().where(audit_record.c.seq.in_(positions)).order_by(audit_record.c.seq))

    def _read(self, statement: Select[Any]) -> Iterator[CheckedRecord]:
        with self.engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
            with streaming.execute(statement) as rows:  # closes the server's cursor where the caller leaves early
                erasures: list[Erasure] | None = None
                for row in rows:
                    checked = _checked_record(row)
                    if any(finding.code == "payload_missing" for finding in checked.findings):
                        if erasures is None:
                            erasures = list_erasures(connection, self.organization.id)
                        checked = _with_erasures(checked, erasures)
                    yield checked

    def get(self, seq: int) -> CheckedRecord | None:
        """The record at a position, or None where there is none."""
        if abs(seq) > MAX_POSITION:  # from an address: more than the databases can compare with
            return None
        return next(self.stream(first=seq, last=seq), None)

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """How many records meet all conditions."""
        statement = scoped(self.scope, func.count()).where(*conditions)
        with self.engine.connect() as connection:
            return int(connection.execute(statement).scalar_one())

    def head(self) -> Head | None:
        """The organization's head as it is stored; None where somebody removed it."""
        with self.engine.connect() as connection:
            return read_head(connection, self.organization.id)

    def newest(self) -> int:
        """The highest position that holds a record; 0 where there is none."""
        last = next(self.stream(descending=True, limit=1), None)
        return 0 if last is None else last.record.seq

    def _checked(self) -> Select[Any]:
        return _with_neighbours(self.organization.id)


def read_head(connection: Connection, organization_id: str) -> Head | None:
    """The stored head of an organization, in the caller's transaction; None where there is not exactly one."""
    statement = select(chain_head.c.size, chain_head.c.hash).where(chain_head.c.organization_id == organization_id)
    rows = connection.execute(statement.limit(2)).all()
    return Head(*rows[0]) if len(rows) == 1 else None


def tells_of_erasure(organization_id: str) -> list[ColumnElement[bool]]:
    """What the records of erasures have in common."""
    columns = audit_record.c
    return [
        columns.action == erasure.ACTION,
        columns.entity_type == erasure.ENTITY_TYPE,
        columns.entity_id == organization_id,
    ]


def list_erasures(connection: Connection, organization_id: str) -> list[Erasure]:
    """The erasures that sound records tell of, in order."""
    statement = _with_neighbours(organization_id).where(*tells_of_erasure(organization_id))
    # By the index of that entity's acts: ordered by seq, SQLite would read every record of the organization.
    found = [_checked_record(row) for row in connection.execute(statement.order_by(audit_record.c.entity_seq))]
    told = [
        erasure.parse_erasure(checked.record.seq, checked.after.body)
        for checked in found
        if checked.after is not None and not checked.findings
    ]
    return sorted((one for one in told if one is not None), key=lambda one: one.seq)


def tells_state() -> ColumnElement[bool]:
    """Whether a record says what its entity is like after it."""
    return audit_record.c.after_digest.is_not(None)


def by_no_key() -> ColumnElement[bool]:
    """Whether a record did not come through an API key: of its own settings FlaskTrack believes no other."""
    return audit_record.c.credential_id.is_(None)


def newest_of_entity(
    connection: Connection, organization_id: str, entity_type: str, entity_id: str, *conditions: ColumnElement[bool]
) -> CheckedRecord | None:
    """The newest record of an entity that FlaskTrack itself made.

    By its count of acts: ordered by seq, SQLite may read every record before it.
    """
    enter(connection, organization_id)  # whoever finds out where somebody belongs looks at several, one by one
    columns = audit_record.c
    mine = _with_neighbours(organization_id).where(columns.entity_type == entity_type, columns.entity_id == entity_id)
    mine = mine.where(by_no_key(), *conditions)
    row = connection.execute(mine.order_by(columns.entity_seq.desc()).limit(1)).first()
    return None if row is None else _checked_record(row)


def read_newest(connection: Connection, organization_id: str) -> tuple[Record, bool] | None:
    """The newest record, and whether its own fields give its hash; None where there is none."""
    row = connection.execute(_newest_first(organization_id)).one_or_none()
    if row is None:
        return None
    record, readable = _record(tuple(row))
    computed = computed_hash(record)
    return record, readable and computed is not None and computed == record.hash


@lru_cache  # building it takes longer than a database takes to answer it
def _newest_first(organization_id: str) -> Select[Any]:
    return machine_scoped(organization_id, *_RECORD_COLUMNS).order_by(audit_record.c.seq.desc()).limit(1)


def find_recorded(connection: Connection, organization_id: str, record_ids: Sequence[str]) -> list[RecordedContent]:
    """The records that have these record_ids, with the content that they were made from."""
    statement = _with_sections(organization_id).where(audit_record.c.record_id.in_(record_ids))
    return [_recorded_content(row) for row in connection.execute(statement)]


def _with_sections(organization_id: str, *more: ColumnElement[Any]) -> Select[Any]:
    same_record = and_(
        audit_payload.c.organization_id == audit_record.c.organization_id, audit_payload.c.seq == audit_record.c.seq
    )
    return machine_scoped(organization_id, *_RECORD_COLUMNS, *_SECTION_COLUMNS, *more).outerjoin_from(
        audit_record, audit_payload, same_record
    )


def _with_neighbours(organization_id: str) -> Select[Any]:
    """What `_checked_record` reads: records, sections, the hash of the record before, and how many stand there."""
    return _with_sections(organization_id, previous_hash(), records_here())


def _record(row: tuple[Any, ...]) -> tuple[Record, bool]:
    """The record of a row, and whether its `related` could be read."""
    try:
        related, readable = parse_related(row[18]), True
    except ValueError:
        related, readable = (), False
    return Record._make((*row[:18], related, *row[19:_WIDTH])), readable


def _checked_record(row: Row[Any]) -> CheckedRecord:
    record, readable = _record(tuple(row))
    previous, records = tuple(row)[-2:]
    sections = {
        name: _section(row[_WIDTH + 2 * place], row[_WIDTH + 2 * place + 1]) for place, name in enumerate(SECTIONS)
    }
    findings = check_record(record, sections, previous)
    codes = {finding.code for finding in findings}
    if not readable and "record_modified" not in codes:
        detail = f"Record {record.seq:,} was altered: its related entities can't be read."
        findings = (Finding("record_modified", record.organization_id, record.seq, record.seq, detail), *findings)
    elif records > 1 and not codes & {"record_modified", "chain_broken"}:
        detail = f"At position {record.seq:,} stands more than one record: one of them was put in."
        findings = (Finding("chain_broken", record.organization_id, record.seq, record.seq, detail), *findings)
    return CheckedRecord(record, sections["before"], sections["after"], sections["context"], findings)


def _with_erasures(checked: CheckedRecord, erasures: Sequence[Erasure]) -> CheckedRecord:
    """The record with what is absent by an erasure named as such."""

    def judged(finding: Finding) -> Finding:
        seq, section = finding.seq, finding.section
        for one in erasures:
            if finding.code == "payload_missing" and section is not None and one.covers(seq, section):
                detail = f"The section {section!r} of record {seq:,} was erased; record {one.seq:,} says why."
                return Finding("payload_erased", finding.organization_id, seq, seq, detail, section)
        return finding

    return checked._replace(findings=tuple(judged(finding) for finding in checked.findings))


def _section(body: str | None, salt: bytes | None) -> Section | None:
    """A section where either half is stored: half a section is not null, and fails its digest."""
    return None if body is None and salt is None else Section(salt or b"", body or "")


def _recorded_content(row: Row[Any]) -> RecordedContent:
    record, _ = _record(tuple(row))
    bodies = (row[_WIDTH], row[_WIDTH + 2], row[_WIDTH + 4])
    own = {name: getattr(record, name) for name in Content._fields if name not in SECTIONS}
    return RecordedContent(record, Content(**own, before=bodies[0], after=bodies[1], context=bodies[2]))
