"""What an entity relates to, and what relates to it: from the related entities that records name.

    neighbours(questions, Reference("batch", "B-9"))    # its samples and runs, and the workflow that it belongs to

`to`: a record of the entity names the other one. `from`: a record of the other one names the entity.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_, union_all

from flasktrack.core.record import Reference
from flasktrack.insight import copy_tables
from flasktrack.insight.copy_tables import copied
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.words import contains, split_words

TO, FROM = "to", "from"
PER_TYPE = 4
"""Entities of one type that are named one by one; the others are a number."""

_record = copy_tables.record.c
_related = copy_tables.related.c


class Neighbour(NamedTuple):
    """An entity next to another one: `records` link the two, the newest at `newest`; `of_type` are of its direction
    and type. The name is that of the newest record about the neighbour."""

    direction: str
    entity_type: str
    entity_id: str
    entity_name: str | None
    records: int
    newest: int
    of_type: int


class CopiedAct(NamedTuple):
    """What a timeline shows of a record. In an altered record, any of it may be None."""

    seq: int
    entity_seq: int
    occurred_at: datetime | None
    action: str
    actor_type: str
    actor_id: str
    actor_name: str | None
    entity_type: str
    entity_id: str
    failed: str | None


def neighbours(questions: Questions, entity: Reference, per_type: int = PER_TYPE) -> list[Neighbour]:
    """The entities next to one, direction by direction and type by type: of each, those that were linked last."""
    both = union_all(_linked(questions, entity, TO), _linked(questions, entity, FROM)).subquery()
    of_one = (both.c.direction, both.c.entity_type)
    ranked = select(
        both,
        func.row_number().over(partition_by=of_one, order_by=(both.c.newest.desc(), both.c.entity_id)).label("place"),
        func.count().over(partition_by=of_one).label("of_type"),
    ).subquery()
    columns = [ranked.c[name] for name in Neighbour._fields if name != "entity_name"]
    order = (ranked.c.direction.desc(), ranked.c.of_type, ranked.c.entity_type, ranked.c.place)
    found = [tuple(row) for row in questions.rows(select(*columns).where(ranked.c.place <= per_type).order_by(*order))]
    names = _names(questions, [row[1:3] for row in found])
    return [Neighbour._make((*row[:3], names.get(row[1:3]), *row[3:])) for row in found]


def acts(questions: Questions, chosen: RecordFilter, limit: int) -> list[CopiedAct]:
    """The newest records that meet the filter, in order."""
    columns = [_record[name] for name in CopiedAct._fields]
    newest = questions.rows(questions.select(chosen, *columns).order_by(_record.seq.desc()).limit(limit))
    found = [CopiedAct(*row) for row in reversed(newest)]
    return [act._replace(occurred_at=act.occurred_at and act.occurred_at.replace(tzinfo=UTC)) for act in found]


def next_to(questions: Questions, words: str) -> ColumnElement[bool]:
    """Whether a record of the copy is about an entity that is next to what `words` mean.

    `type:id` is exactly that entity, in both directions; other words mean every entity that is named by a record and
    holds them in its type or id. Raises ValueError for more or longer words than are searched for.
    """
    kind, colon, id_ = words.strip().partition(":")
    if colon and kind and id_:
        entity = Reference(kind, id_)
        linked = union_all(*(_linked(questions, entity, direction) for direction in (TO, FROM))).subquery()
        return is_one_of(select(linked.c.entity_type, linked.c.entity_id))
    text = _related.entity_type + ":" + _related.entity_id
    whose = copied(questions.organization.id, _record.entity_type, _record.entity_id).join(
        copy_tables.related,
        and_(_related.organization_id == questions.organization.id, _related.seq == _record.seq),
    )
    whose = whose.where(*(contains(text, word) for word in split_words(words)))
    return is_one_of(whose.distinct())


def _linked(questions: Questions, entity: Reference, direction: str) -> Select[Any]:
    """[direction, entity_type, entity_id, records, newest] of the entities next to one, in one direction."""
    organization_id = questions.organization.id
    named = (_related.organization_id == organization_id, _related.entity_type == entity.type,
             _related.entity_id == entity.id)  # fmt: skip
    about = (_record.entity_type == entity.type, _record.entity_id == entity.id)
    start, newest = literal(direction).label("direction"), func.max(_record.seq).label("newest")
    if direction == TO:
        other, records = _related, func.count(_record.seq.distinct())  # a record may name an entity twice
        ends = _ends_of(questions, entity)
    else:
        other, records = _record, func.count()
        ends = select(func.min(_related.seq), func.max(_related.seq)).where(*named)
    key = (other.entity_type, other.entity_id)
    # An entity's acts mostly lie close together: told where, a database reads a small part of ten million records.
    first, last = tuple(questions.rows(ends)[0])
    linked = copied(organization_id, start, *key, records.label("records"), newest)
    linked = linked.where(_record.seq.between(first or 0, last or 0))
    if direction == TO:
        same = (_related.seq == _record.seq) & (_related.organization_id == organization_id)
        linked = linked.join(copy_tables.related, same).where(*about)
        linked = linked.where(_related.seq.between(first or 0, last or 0))
    else:
        linked = linked.where(_record.seq.in_(select(_related.seq).where(*named)))
    apart = or_(other.entity_type != entity.type, other.entity_id != entity.id)  # no entity is next to itself
    return linked.where(apart).group_by(*key)


def _ends_of(questions: Questions, entity: Reference) -> Select[Any]:
    """[oldest, newest]: between which positions the records about an entity lie."""
    found = questions.of_entities(RecordFilter(), [entity], "oldest", "newest").subquery().c
    return select(func.min(found.oldest), func.max(found.newest))


def is_one_of(entities: Select[Any]) -> ColumnElement[bool]:
    """Whether a record of the copy is about one of the entities (type and id)."""
    return tuple_(_record.entity_type, _record.entity_id).in_(entities)


def _names(questions: Questions, entities: list[tuple[str, str]]) -> dict[tuple[str, str], str | None]:
    """The name of each entity in the newest record about it."""
    if not entities:
        return {}
    newest = questions.of_entities(RecordFilter(), entities, "newest").subquery().c.newest
    positions = [position for (position,) in map(tuple, questions.rows(select(newest)))]
    columns = (_record.entity_type, _record.entity_id, _record.entity_name)
    names = copied(questions.organization.id, *columns).where(_record.seq.in_(positions))
    return {row[:2]: row[2] for row in map(tuple, questions.rows(names))}
