"""Conditions that `filter.RecordFilter` is made of, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, select

from flasktrack.insight.words import body_contains, contains
from flasktrack.store.schema import audit_payload, audit_record


def any_pair(kind: ColumnElement[str], name: ColumnElement[str], wanted: Iterable[str]) -> ColumnElement[bool]:
    """Whether (type, id) is one of the pairs."""
    return or_(*pairs(kind, name, wanted))


def pairs(kind: ColumnElement[str], name: ColumnElement[str], wanted: Iterable[str]) -> list[ColumnElement[bool]]:
    """Whether (type, id) is one of the pairs: an IN for each type, which an index on type and id answers."""
    ids: dict[str, list[str]] = {}
    for pair in wanted:
        type_, _, id_ = pair.partition(":")
        ids.setdefault(type_, []).append(id_)
    return [and_(kind == type_, name.in_(of_type)) for type_, of_type in ids.items()]


def holds(word: str) -> ColumnElement[bool]:
    """Whether the word stands anywhere in a record: its own text, or its sections."""
    in_sections = in_payload(
        lambda payload: or_(*(body_contains(body, word) for body in (payload.before, payload.after, payload.context)))
    )
    own = (
        audit_record.c.actor_id,
        audit_record.c.actor_name,
        audit_record.c.action,
        audit_record.c.reason,
        audit_record.c.entity_id,
        audit_record.c.entity_name,
        audit_record.c.correlation_id,
        audit_record.c.record_id,
    )
    return or_(*(contains(column, word) for column in own), in_sections)


def in_payload(condition: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Whether a record's sections meet a condition, which is given their columns."""
    record, payload = (
        audit_record.c,
        audit_payload.alias("searched"),
    )  # the statement around may have joined audit_payload itself
    same_record = (payload.c.organization_id == record.organization_id, payload.c.seq == record.seq)
    return select(literal(1)).where(*same_record, condition(payload.c)).correlate(audit_record).exists()
