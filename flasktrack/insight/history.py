"""An entity's history: its records in order, what each changed, and where the history does not fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, or_, select

from flasktrack.core.record import Section
from flasktrack.insight.diff import Change, changes
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.schema import audit_record, record_link


@dataclass(frozen=True, slots=True)
class Revision:
    """One act on an entity; its number is the record's entity_seq.

    `missing` are the numbers absent right before it. `gap`: its `before` is not the `after` that was recorded last,
    so something changed the entity unrecorded (`state_gap` of spec section 5). Missing and modified revisions, which
    a verification reports as such, may explain a change, so there is no gap across them.
    """

    checked: CheckedRecord
    missing: range
    gap: bool

    @property
    def number(self) -> int:
        return self.checked.record.entity_seq

    @property
    def changes(self) -> list[Change] | None:
        """What the act changed, by its own `before` and `after`; None where one of them is gone or unreadable.

        Worked out anew each time, so that a long history costs only what is looked at.
        """
        record = self.checked.record
        sections = ((self.checked.before, record.before_digest), (self.checked.after, record.after_digest))
        if any(section is None and digest is not None for section, digest in sections):
            return None
        try:
            return changes(*(None if section is None else orjson.loads(section.body) for section, _ in sections))
        except (ValueError, orjson.JSONEncodeError, RecursionError):  # only what somebody put in place of a body
            return None


def entity_history(ledger: Ledger, entity_type: str, entity_id: str) -> Iterator[Revision]:
    """The revisions of an entity from the first on, in constant memory; none where it has no record."""
    columns = audit_record.c
    last = 0
    state: str | None = None  # the last recorded `after`, where it can be relied on
    for checked in ledger.stream(columns.entity_type == entity_type, columns.entity_id == entity_id):
        record = checked.record
        modified = _modified(checked)
        number = last + 1 if modified else record.entity_seq  # whoever modified it may have put anything there
        missing = range(last + 1, number)
        if missing or modified:
            state = None
        before = _reliable(checked, "before")
        yield Revision(checked, missing, gap=None not in (state, before) and state != before)
        last = max(last, number)
        if record.after_digest is not None and not modified:
            state = _reliable(checked, "after")


def about(entities: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether a record is about one of some entities (type and id): an IN for each type, which an index answers."""
    ids: dict[str, list[str]] = {}
    for type_, id_ in entities:
        ids.setdefault(type_, []).append(id_)
    columns = audit_record.c
    return or_(*(and_(columns.entity_type == type_, columns.entity_id.in_(of_type)) for type_, of_type in ids.items()))


def unrecorded_change(ledger: Ledger, checked: CheckedRecord) -> list[Change]:
    """What changed between the state that was last recorded of the entity and the `before` of this record.

    Nothing where either can't be relied on, or there is none; see `Revision` for what a difference means.
    """
    record, before = checked.record, _reliable(checked, "before")
    if before is None or _modified(checked):
        return []
    columns = audit_record.c
    mine = columns.entity_type == record.entity_type, columns.entity_id == record.entity_id
    last = next(
        ledger.stream(*mine, columns.after_digest.is_not(None), last=record.seq - 1, descending=True, limit=1), None
    )
    after = None if last is None or _modified(last) else _reliable(last, "after")
    if last is None or after is None or after == before:
        return []
    between = ledger.stream(*mine, first=last.record.seq, last=record.seq - 1)
    numbers = [other.record.entity_seq for other in between if not _modified(other)]
    if numbers != list(range(last.record.entity_seq, record.entity_seq)):  # what is missing may explain it
        return []
    try:
        return changes(orjson.loads(after), orjson.loads(before))
    except (ValueError, RecursionError, TypeError):
        return []


def related_to(
    ledger: Ledger, entity_type: str, entity_id: str, *, descending: bool = True, limit: int | None = None
) -> Iterator[CheckedRecord]:
    """The records of other entities that name this one among their related ones, the newest first."""
    link = record_link.c
    positions = select(link.seq).where(
        link.organization_id == ledger.organization.id, link.entity_type == entity_type, link.entity_id == entity_id
    )
    return ledger.stream(audit_record.c.seq.in_(positions), descending=descending, limit=limit)


def recorded_state(checked: CheckedRecord) -> Any:
    """The state in which an act left its entity (parsed JSON); None where it tells of none, or can't be relied on."""
    after = None if _modified(checked) else _reliable(checked, "after")
    try:
        return None if after is None else parse_body(after)
    except ValueError:
        return None


def parse_body(body: str) -> Any:
    """A body's value. Raises ValueError for what is no JSON, or is nested deeper than any body that was recorded."""
    value = orjson.loads(body)
    try:
        orjson.dumps(value)
    except TypeError as problem:
        raise ValueError(str(problem)) from None
    return value


def _modified(checked: CheckedRecord) -> bool:
    return any(finding.code == "record_modified" for finding in checked.findings)


def _reliable(checked: CheckedRecord, name: str) -> str | None:
    """The body of a section; None where it is null, gone, or not what was recorded."""
    section: Section | None = getattr(checked, name)
    altered = any(finding.section == name for finding in checked.findings)
    return None if section is None or altered else section.body
