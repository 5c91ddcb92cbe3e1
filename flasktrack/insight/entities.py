"""Which entities there are: found by words in their type, id or name, and by an entity that is related to them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import Select, func, or_

from flasktrack.errors import InvalidFilter
from flasktrack.insight import copy_tables
from flasktrack.insight.copy_tables import copied
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.relations import next_to
from flasktrack.insight.words import contains, split_words

_WINDOWS = (50_000, 250_000, 1_000_000)
"""How many positions back the entities that were touched last are looked for, before all records are."""

_record = copy_tables.record.c
_KEY = ["entity_type", "entity_id"]
_key = tuple(_record[name] for name in _KEY)
_newest = func.max(_record.seq).label("newest")


def find_entities(
    questions: Questions, chosen: RecordFilter, words: str = "", related: str = "", limit: int = 200
) -> pd.DataFrame:
    """Entities that records which meet the filter touched, the last touched first, as the newest of these tell of them.

    `words` finds those of which such a record holds every word in the entity's type, id or name; `related` those next
    to an entity: exactly `type:id`, or what holds every word in its type or id. `records` are all of the entity's that
    meet the filter; without one, that is the number of its newest. Raises InvalidFilter for words that can't be
    searched for.
    [entity_type, entity_id, entity_name, records, last_occurred]
    """
    try:
        conditions = [or_(*(contains(column, word) for column in (*_key, _record.entity_name)))
                      for word in split_words(words)]  # fmt: skip
        if related.strip():
            conditions.append(next_to(questions, related.strip()))
    except ValueError as problem:
        raise InvalidFilter(f"The words to find: {problem}.", "Give fewer or shorter ones.") from None
    touched = questions.select(chosen, *_key, _newest).where(*conditions).group_by(*_key)
    # The newest record of an entity has the number of all; one that a filter or words selected may be an older one.
    counted = bool(words.strip()) or not chosen.is_empty
    found = pd.DataFrame()
    last = questions.copy.state(questions.organization.id).last_seq
    for window in (*_WINDOWS, last):
        found = _listed(questions, chosen, touched.where(_record.seq > last - window), limit, counted=counted)
        if len(found) == limit or window >= last:
            break
    return found


def _listed(
    questions: Questions, chosen: RecordFilter, touched: Select[Any], limit: int, *, counted: bool
) -> pd.DataFrame:
    """What was touched, with how many records meet the filter and the name in the newest of them."""
    listed = touched.order_by(_newest.desc()).limit(limit).subquery()
    number = func.coalesce(_record.entity_seq, 0).label("records")
    newest = copied(
        questions.organization.id, *_key, _record.entity_name, number, _record.occurred_at.label("last_occurred")
    ).join(listed, listed.c.newest == _record.seq)
    found = questions.frame(newest.order_by(_record.seq.desc()))
    if not counted or found.empty:
        return found
    numbers = questions.frame(questions.of_entities(chosen, found[_KEY].to_numpy().tolist(), "records"))
    return found.drop(columns="records").merge(numbers, on=_KEY)[list(found)]
