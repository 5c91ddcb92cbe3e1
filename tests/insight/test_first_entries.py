"""A value that was changed since it was first entered is marked, wherever in the history it is seen."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from flasktrack.insight import first_entries
from flasktrack.insight.diff import changes, leaves
from flasktrack.insight.first_entries import NOT_FOLLOWED, FirstEntries, Mark
from flasktrack.store.engine import initialize, open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, event, organizations, record, tamper

SAMPLE = ("sample", "S-100")
STATES = [
    {"volume": 10, "result": None, "steps": [{"id": "a", "ml": 1}], "plate": [[1, 2], [3, 4]]},
    {"volume": 12, "result": None, "steps": [{"id": "a", "ml": 1}], "plate": [[1, 2], [3, 4]]},
    {"volume": 12, "result": 5, "steps": [{"id": "a", "ml": 2}], "plate": [[1, 2], [3, 9]]},
    {"volume": 10, "result": 6, "steps": [{"id": "a", "ml": 2}], "plate": [[1, 2], [3, 9]]},
    {"volume": 10, "steps": [{"id": "a", "ml": 2}], "plate": [[1, 2], [3, 9]]},
]


CASES = [
    ("volume", 1, Mark(None, None, 3)),  # changed later, in record 3
    ("volume", 3, Mark("10", 1, 7)),  # changed since record 1, and again later
    ("volume", 7, Mark("10", 1, None)),  # what it was at first, but it had been changed
    ("result", 1, None),  # not entered yet
    ("result", 5, Mark(None, None, 7)),
    ("result", 7, Mark("5", 5, 9)),
    ("result", 9, Mark("5", 5, None)),  # taken away
    ("steps[id=a].ml", 5, Mark("1", 1, None)),
    ("steps[id=a].id", 5, None),
    ("plate[2][2]", 5, Mark("(1, 2), (3, 4)", 1, None)),  # a part of a list is marked as the list
    ("unheard of", 5, None),
]


@pytest.fixture
def marks(engine: Engine) -> FirstEntries:
    initialize(engine)
    organizations(engine)
    for number, state in enumerate(STATES, start=1):
        before = STATES[number - 2] if number > 1 else None
        record(engine, event(2 * number, before=before, after=state), event(2 * number + 1, entity_id="S-2"))
    found = FirstEntries(Ledger(engine, machine_scope(NORTHWIND)))
    found.prepare([SAMPLE])
    return found


def test_a_value_is_marked_by_its_whole_history(marks: FirstEntries) -> None:
    for path, seq, mark in CASES:
        assert marks.mark(SAMPLE, path, seq) == mark, (path, seq)


def test_what_somebody_altered_is_no_entry(marks: FirstEntries, engine: Engine) -> None:
    tamper(engine, "UPDATE audit_payload SET after = replace(after, '12', '99') WHERE seq = 3")
    anew = FirstEntries(Ledger(engine, machine_scope(NORTHWIND)))
    anew.prepare([SAMPLE])
    assert anew.mark(SAMPLE, "volume", 5) == Mark("10", 1, 7)
    assert anew.mark(SAMPLE, "volume", 3) == Mark(None, None, 5)


def test_histories_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_engine("sqlite://")
    initialize(engine)
    organizations(engine)
    wide = [event(number, entity_id=f"S-{number}", before=None, after={"a": 1, "b": number}) for number in range(1, 9)]
    record(engine, *wide)
    monkeypatch.setattr(first_entries, "_MOST_KEPT", 4)
    marks = FirstEntries(Ledger(engine, machine_scope(NORTHWIND)))
    for number in range(1, 9):
        marks.prepare([("sample", f"S-{number}"), (b"x", None)])
        assert len(marks._kept) <= 2
    monkeypatch.setattr(first_entries, "MOST_OF_ONE", 1)
    record(engine, event(9, entity_id="S-9", before=None, after={"a": 1, "b": 1}))
    record(engine, event(10, entity_id="S-9", before={"a": 1, "b": 1}, after={"a": 2, "b": 2}))
    marks.prepare([("sample", "S-9")])
    assert marks.mark(("sample", "S-9"), "a", 10) == Mark("1", 9, None)
    assert marks.mark(("sample", "S-9"), "b", 10) == NOT_FOLLOWED
    engine.dispose()


def test_the_paths_of_values_are_those_of_changes() -> None:
    before, after = STATES[0], STATES[2]
    changed = {change.path for change in changes(before, after)} - {"plate[2]"}
    assert changed <= {path for path, _ in leaves(after)}
    assert dict(leaves({"a": {"b.c": 1}, "d": [], "e": [{"name": "x", "v": None}]})) == {
        'a."b.c"': 1, "d": [], "e[name=x].name": "x", "e[name=x].v": None,
    }  # fmt: skip
