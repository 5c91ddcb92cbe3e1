"""What an entity relates to and what relates to it is what its records, and those of others, name."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from flasktrack.core.record import Reference
from flasktrack.errors import InvalidFilter
from flasktrack.insight.copy import Copy
from flasktrack.insight.entities import find_entities
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.relations import acts, neighbours
from flasktrack.store.scope import machine_scope
from tests.insight.lab import ENTITIES, HERE, ROWS, THERE, Row, selected

Pair = tuple[str, str]
ALL = RecordFilter()


def about(row: Row) -> Pair:
    return row.event.entity_type, row.event.entity_id


def rows(frame: Any) -> list[tuple[Any, ...]]:
    return list(frame.itertuples(index=False, name=None))


def newest_name(organization_id: str, entity: Pair) -> str | None:
    return next((row.event.entity_name for row in reversed(ROWS[organization_id]) if about(row) == entity), None)


def linked(organization_id: str, entity: Pair) -> dict[tuple[str, Pair], list[int]]:
    """The positions of the records that link an entity to each of its neighbours, by direction and neighbour."""
    found: dict[tuple[str, Pair], list[int]] = defaultdict(list)
    for row in ROWS[organization_id]:
        for other in dict.fromkeys(row.event.related):
            if about(row) == entity != other:
                found["to", other].append(row.seq)
            elif other == entity != about(row):
                found["from", about(row)].append(row.seq)
    return found


@pytest.mark.parametrize("organization_id", [HERE, THERE])
def test_neighbours_are_those_that_records_link(copy: Copy, organization_id: str) -> None:
    questions = Questions(copy, machine_scope(organization_id))
    for kind, id_, _ in ENTITIES:
        expected = linked(organization_id, (kind, id_))
        found = neighbours(questions, Reference(kind, id_))
        assert {
            (direction, (other, name_id)): (name, records, newest)
            for direction, other, name_id, name, records, newest, _ in found
        } == {
            (direction, other): (newest_name(organization_id, other), len(seqs), max(seqs))
            for (direction, other), seqs in expected.items()
        }


def test_of_many_neighbours_of_a_type_those_linked_last_are_named(copy: Copy) -> None:
    expected = linked(HERE, ("batch", "S-1"))
    found = neighbours(Questions(copy, machine_scope(HERE)), Reference("batch", "S-1"), per_type=1)
    for direction in ("to", "from"):
        samples = {
            other: max(seqs) for (way, other), seqs in expected.items() if way == direction and other[0] == "sample"
        }
        (named,) = (one for one in found if (one.direction, one.entity_type) == (direction, "sample"))
        assert named.of_type == len(samples) > 1
        assert named.newest == max(samples.values())


def test_an_entity_that_nothing_links_has_no_neighbours(copy: Copy) -> None:
    assert neighbours(Questions(copy, machine_scope(HERE)), Reference("batch", "B-9")) == []


def test_acts_are_the_newest_in_order(copy: Copy) -> None:
    chosen = RecordFilter(entities=("batch:S-1", "sample:S-1"))
    mine = selected(HERE, chosen)[-20:]
    assert [
        (act.seq, act.action, act.occurred_at) for act in acts(Questions(copy, machine_scope(HERE)), chosen, 20)
    ] == [(row.seq, row.event.action, row.moment) for row in mine]


# Finding entities


def found(copy: Copy, chosen: RecordFilter = ALL, **options: Any) -> list[tuple[Any, ...]]:
    return rows(find_entities(Questions(copy, machine_scope(HERE)), chosen, **options))


def expected(chosen: RecordFilter, among: list[Row] | None = None) -> list[tuple[Any, ...]]:
    """The entities of the records, the last touched first: type, id, name, number, time of the last."""
    mine = selected(HERE, chosen)
    last: dict[Pair, Row] = {about(row): row for row in (mine if among is None else among)}
    return [
        (*entity, row.event.entity_name, sum(about(other) == entity for other in mine), row.moment)
        for entity, row in sorted(last.items(), key=lambda item: -item[1].seq)
    ]


def test_all_entities_are_listed_the_last_touched_first(copy: Copy) -> None:
    assert found(copy) == expected(ALL)
    assert found(copy, limit=2) == expected(ALL)[:2]


def test_the_list_keeps_to_a_filter(copy: Copy) -> None:
    for chosen in (
        RecordFilter(actions=("delete",), outcomes=("denied",)),
        RecordFilter(text="müller"),
        RecordFilter(text="nowhere"),
    ):
        assert found(copy, chosen) == expected(chosen)


@pytest.mark.parametrize("words", ["S-1", "sample s-1", "GLYCEROL", "ångström", "50%", r"C:\data", "nowhere"])
def test_entities_are_found_by_words_in_type_id_or_name(copy: Copy, words: str) -> None:
    holds = [
        row
        for row in ROWS[HERE]
        if all(
            any(word.lower() in (text or "").lower() for text in (*about(row), row.event.entity_name))
            for word in words.split()
        )
    ]
    assert found(copy, words=words) == expected(ALL, holds)


@pytest.mark.parametrize("entity", ["sample:S-1", "batch:S-1", r"file:C:\data\run_1", "batch:B-9"])
def test_entities_are_found_by_exactly_one_that_is_related(copy: Copy, entity: str) -> None:
    kind, _, id_ = entity.partition(":")
    near = {other for _, other in linked(HERE, (kind, id_))}
    assert found(copy, related=entity) == [one for one in expected(ALL) if one[:2] in near]


@pytest.mark.parametrize("words", ["batch", "sample s-1", "RUN_1", "nowhere"])
def test_entities_are_found_by_words_of_what_their_records_name(copy: Copy, words: str) -> None:
    near = {
        about(row)
        for row in ROWS[HERE]
        for related in row.event.related
        if all(word.lower() in ":".join(related).lower() for word in words.split())
    }
    assert found(copy, related=words) == [one for one in expected(ALL) if one[:2] in near]


def test_words_that_cant_be_searched_for_are_refused(copy: Copy) -> None:
    for words in ("x" * 300, " ".join(map(str, range(30)))):
        with pytest.raises(InvalidFilter, match="words to find"):
            found(copy, words=words)
        with pytest.raises(InvalidFilter, match="words to find"):
            found(copy, related=words)
