"""What changed is told field by field: nothing is left out or made up, and lists are told as people see them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.insight.diff import Change, changes


def added(path: str, after: Any, place: int | None = None) -> Change:
    return Change(path, "added", after=after, place_after=place)


def removed(path: str, before: Any, place: int | None = None) -> Change:
    return Change(path, "removed", before=before, place_before=place)


def changed(path: str, before: Any, after: Any) -> Change:
    return Change(path, "changed", before, after)


def moved(path: str, item: Any, place_before: int, place_after: int) -> Change:
    return Change(path, "moved", item, item, place_before, place_after)


def moved_to(path: str, value: Any, path_before: str, before: int | None = None, after: int | None = None) -> Change:
    return Change(path, "moved", value, value, before, after, path_before)


S1, S2, S3 = {"id": "S-1", "ml": 1}, {"id": "S-2", "ml": 2}, {"id": "S-3", "ml": 3}

CASES: dict[str, tuple[Any, Any, list[Change]]] = {
    # states as a whole
    "nothing": ({"a": 1}, {"a": 1}, []),
    "no state at all": (None, None, []),
    "made": (None, {"b": 1, "a": None}, [added("a", None), added("b", 1)]),
    "deleted": ({"a": [1]}, None, [removed("a", [1])]),
    "made empty": (None, {}, [added("", {})]),
    "deleted text": ("x", None, [removed("", "x")]),
    "made a list": (None, [1], [added("", [1])]),
    "another kind": ({"a": 1}, [1], [changed("", {"a": 1}, [1])]),
    # values
    "number": ({"a": 10}, {"a": 12}, [changed("a", 10, 12)]),
    "integer to float": ({"a": 1}, {"a": 1.0}, [changed("a", 1, 1.0)]),
    "number to truth": ({"a": 1}, {"a": True}, [changed("a", 1, True)]),
    "number to text": ({"a": 1}, {"a": "1"}, [changed("a", 1, "1")]),
    "null to value": ({"a": None}, {"a": 0}, [changed("a", None, 0)]),
    "null to absent": ({"a": None}, {}, [removed("a", None)]),
    "object to text": ({"a": {"b": 1}}, {"a": "b"}, [changed("a", {"b": 1}, "b")]),
    # keys
    "sorted": ({"b": 1, "c": 1}, {"c": 2, "a": 1}, [added("a", 1), removed("b", 1), changed("c", 1, 2)]),
    "nested": ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [changed("a.b.c", 1, 2)]),
    "subtree": ({}, {"a": {"b": 1}}, [added("a", {"b": 1})]),
    "key with a dot": ({"a.b": {"c": 1}}, {"a.b": {"c": 2}}, [changed('"a.b".c', 1, 2)]),
    "empty key": ({"": 1}, {"": 2}, [changed('""', 1, 2)]),
    "key with a quote": ({'a"': 1}, {}, [removed('"a\\""', 1)]),
    "key with brackets": ({"a[1]": 1}, {}, [removed('"a[1]"', 1)]),
    "key with a blank at its end": ({"a ": 1}, {}, [removed('"a "', 1)]),
    "key of two words": ({"Größe in ml": 1}, {}, [removed("Größe in ml", 1)]),
    # values that moved
    "field renamed": ({"volume": 2.5, "x": 1}, {"volume_ml": 2.5, "x": 1}, [moved_to("volume_ml", 2.5, "volume")]),
    "into an object": (
        {"shelf": "B-4"},
        {"storage": {"shelf": "B-4"}},
        [removed("shelf", "B-4"), added("storage", {"shelf": "B-4"})],
    ),
    "between objects": (
        {"a": {"note": "pale"}, "b": {}},
        {"a": {}, "b": {"note": "pale"}},
        [moved_to("b.note", "pale", "a.note")],
    ),
    "between lists": (
        {"box": ["S-1", "S-2"], "bin": []},
        {"box": ["S-2"], "bin": ["S-1"]},
        [moved_to("bin", "S-1", "box", 1, 1)],
    ),
    "object between lists": (
        {"box": [S1, S2], "bin": [S3]},
        {"box": [S2], "bin": [S3, S1]},
        [moved_to("bin[id=S-1]", S1, "box[id=S-1]", 1, 2)],
    ),
    "what anything may have is not moved": ({"a": True}, {"b": True}, [removed("a", True), added("b", True)]),
    "what came twice is not moved": ({"a": 5}, {"b": 5, "c": 5}, [removed("a", 5), added("b", 5), added("c", 5)]),
    # lists of values
    "item added": ({"t": ["a"]}, {"t": ["a", "b"]}, [added("t", "b", 2)]),
    "item inserted": (["b", "c"], ["a", "b", "c"], [added("", "a", 1)]),
    "item removed": ({"t": ["a", "b"]}, {"t": ["b"]}, [removed("t", "a", 1)]),
    "item replaced": ([1, 2, 3], [1, 5, 3], [removed("", 2, 2), added("", 5, 2)]),
    "item moved": ([1, 2, 3, 4], [4, 1, 2, 3], [moved("", 4, 4, 1)]),
    "one of the same twice": (["a", "a"], ["a"], [removed("", "a", 2)]),
    "items of other kinds": ([1, "1", True], [1, "1", 1.0], [removed("", True, 3), added("", 1.0, 3)]),
    "list emptied": ({"t": [1, 2]}, {"t": []}, [removed("t", 1, 1), removed("t", 2, 2)]),
    # lists of objects
    "followed by id": (
        {"steps": [S1, S2]},
        {"steps": [S1, S2 | {"ml": 5}]},
        [changed("steps[id=S-2].ml", 2, 5)],
    ),
    "inserted before others": ([S1, S2], [S3, S1, S2], [added("[id=S-3]", S3, 1)]),
    "inserted before one that changed": (
        [S1, S2],
        [S3, S1, S2 | {"ml": 5}],
        [changed("[id=S-2].ml", 2, 5), added("[id=S-3]", S3, 1)],
    ),
    "removed by id": ([S1, S2, S3], [S1, S3], [removed("[id=S-2]", S2, 2)]),
    "moved and changed": (
        [S1, S2, S3],
        [S3, S1 | {"ml": 9}, S2],
        [changed("[id=S-1].ml", 1, 9), moved("[id=S-3]", S3, 3, 1)],
    ),
    "another id is another item": (
        [S1],
        [S1 | {"id": "S-9"}],
        [removed("[id=S-1]", S1, 1), added("[id=S-9]", S1 | {"id": "S-9"}, 1)],
    ),
    "ids that could be misread": (
        [{"id": 7, "v": 1}, {"id": "7", "v": 1}, {"id": "a b", "v": 1}, {"id": "true", "v": 1}],
        [{"id": 7, "v": 2}, {"id": "7", "v": 2}, {"id": "a b", "v": 2}, {"id": "true", "v": 2}],
        [changed(f"[id={shown}].v", 1, 2) for shown in ("7", '"7"', '"a b"', '"true"')],
    ),
    "followed by name": (
        [{"name": "pH", "v": 7}, {"name": "T"}],
        [{"name": "T"}, {"name": "pH", "v": 6}],
        [changed("[name=pH].v", 7, 6), moved("[name=pH]", {"name": "pH", "v": 6}, 1, 2)],
    ),
    "an id twice identifies nothing, a name may": (
        [{"id": 1, "name": "a", "v": 1}, {"id": 1, "name": "b"}],
        [{"id": 1, "name": "a", "v": 2}, {"id": 1, "name": "b"}],
        [changed("[name=a].v", 1, 2)],
    ),
    "objects without id": ([{"x": 1}, {"x": 2}], [{"x": 1}, {"x": 3}], [changed("[2].x", 2, 3)]),
    "more objects without id": (
        [{"x": 1}],
        [{"x": 2}, {"x": 3}],
        [removed("", {"x": 1}, 1), added("", {"x": 2}, 1), added("", {"x": 3}, 2)],
    ),
    "lists in lists": (
        {"plate": [[1, 2], [3, 4]]},
        {"plate": [[1, 2], [3, 5]]},
        [removed("plate[2]", 4, 2), added("plate[2]", 5, 2)],
    ),
    "nested by id": (
        {"steps": [{"id": 1, "parts": [{"name": "x", "n": 1}]}]},
        {"steps": [{"id": 1, "parts": [{"name": "x", "n": 2}]}]},
        [changed("steps[id=1].parts[name=x].n", 1, 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_changes_as_people_would_say_them(name: str) -> None:
    before, after, expected = CASES[name]
    assert changes(before, after) == expected


KEYS = ("a", "b", "c")
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "1", "é"]) | st.just(1.0)
STATES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
        st.lists(
            st.builds(
                lambda number, more: {**more, "id": number}, st.integers(1, 6), st.dictionaries(st.just("a"), inner)
            ),
            max_size=5,
            unique_by=lambda item: item["id"],
        ),
    ),
    max_leaves=15,
)


def text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def apply(path: str, before: Any, found: list[Change]) -> Any:
    """The state after, made from the state before and the changes alone."""
    for change in found:
        if change.path == path and change.kind == "changed":
            return change.after
    if isinstance(before, dict):
        fields = {key: f"{path}.{key}" if path else key for key in (*KEYS, "id")}
        own = {
            (change.path, change.kind): change
            for change in found
            if {change.place_before, change.place_after} == {None}
        }
        kept = {
            key: apply(fields[key], item, found) for key, item in before.items() if (fields[key], "removed") not in own
        }
        return kept | {key: own[field, "added"].after for key, field in fields.items() if (field, "added") in own}
    if isinstance(before, list):
        return _apply_to_items(path, before, found)
    return before


def _apply_to_items(path: str, before: list[Any], found: list[Change]) -> list[Any]:
    identified = any(change.path.startswith(f"{path}[id=") for change in found)

    name = re.compile(re.escape(path) + (r"\[id=\d+\]" if identified else ""))
    own = [
        change
        for change in found
        if name.fullmatch(change.path) and {change.place_before, change.place_after} != {None}
    ]
    gone = {change.place_before for change in own}
    result = []
    for place, item in enumerate(before, 1):
        if place not in gone:
            result.append(apply(f"{path}[id={item['id']}]" if identified else f"{path}[{place}]", item, found))
    for change in sorted(own, key=lambda change: change.place_after or 0):
        if change.place_after is not None:
            result.insert(change.place_after - 1, change.after)
    return result


def _apart(change: Change) -> list[Change]:
    """A move between fields as what went and what came."""
    if change.path_before is None:
        return [change]
    return [
        removed(change.path_before, change.before, change.place_before),
        added(change.path, change.after, change.place_after),
    ]


@given(STATES, STATES)
def test_changes_say_enough_to_make_the_one_state_from_the_other(before: Any, after: Any) -> None:
    found = [one for change in changes([before], [after]) for one in _apart(change)]  # wrapped: `None` is no state
    assert text(apply("", [before], found)) == text([after])


@given(STATES, STATES)
def test_there_are_no_changes_exactly_where_the_json_is_the_same(before: Any, after: Any) -> None:
    assert (changes(before, after) == []) == (text(before) == text(after))
    assert changes(before, json.loads(text(before))) == []


@given(STATES, STATES)
def test_what_was_added_one_way_was_removed_the_other_way(before: Any, after: Any) -> None:
    def told(found: list[Change], names: dict[str, str], *sides: str) -> Counter[tuple[str, ...]]:
        return Counter(
            (names.get(change.kind, change.kind), *(text(getattr(change, side)) for side in sides))
            for change in found
            if change.kind != "moved" or change.path_before is not None  # given as it is now
        )

    forth = told(changes(before, after), {}, "before", "after")
    back = told(changes(after, before), {"added": "removed", "removed": "added"}, "after", "before")
    assert forth == back


@given(st.lists(st.integers(0, 4), max_size=9).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_a_list_in_another_order_has_moves_alone_and_as_few_as_can_be(lists: tuple[list[int], list[int]]) -> None:
    before, after = lists
    found = changes(before, after)
    assert {change.kind for change in found} <= {"moved"}
    if len(set(before)) == len(before):
        run = [0] * len(after)  # the longest increasing run that ends at each place, by the definition
        for j, item in enumerate(after):
            run[j] = 1 + max((run[i] for i in range(j) if before.index(after[i]) < before.index(item)), default=0)
        assert len(found) == len(before) - max(run, default=0)


def test_a_long_list_is_compared_in_no_time() -> None:
    before = [{"well": place % 97, "value": place} for place in range(20_000)]
    after = [{"well": 0, "value": -1}, *reversed(before)]
    assert len(changes(before, after)) == 20_000
