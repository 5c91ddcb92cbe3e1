"""What is taken in does not depend on whether compiled code read it or the rules for single rows did."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from flasktrack.core.erasure import Erasure
from flasktrack.core.record import MAX_POSITION
from flasktrack.insight.intake import read_parts
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.inspection import inspect_tables
from flasktrack.store.reader import list_erasures
from flasktrack.store.row_security import of_organization
from flasktrack.verify import compiled
from flasktrack.verify.compiled.cells import ROWS
from tests.adversary import alter_record
from tests.insight.lab import HERE
from tests.verify.attacks import ATTACKS, SIZE
from tests.verify.chains import event, grow, make_chain

LAB = "north-lab"
Taken = tuple[pa.Table, pa.Table, int, bytes, int]
NOTHING: Taken = (pa.table({}), pa.table({}), 0, b"", 0)


def taken_in(
    engine: Engine, organization_id: str, last: int, first: int = 1, erasures: Sequence[Erasure] = (),
    *, by_machine: bool,
) -> Taken:  # fmt: skip
    with of_organization(engine, organization_id).connect() as connection:
        parts = list(read_parts(connection, organization_id, first, last, erasures, compiled=by_machine))
    if not parts:
        return NOTHING
    return (
        pa.Table.from_batches([part.records for part in parts]).combine_chunks(),
        pa.Table.from_batches([part.related for part in parts]).combine_chunks(),
        parts[-1].last_seq,
        parts[-1].last_hash,
        sum(part.failed for part in parts),
    )


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "WORTH_LOADING", -MAX_POSITION)
    monkeypatch.setattr(compiled, "WORTH_COMPILING", -MAX_POSITION)


def test_a_laboratory_is_taken_in_alike(lab: Engine) -> None:
    assert taken_in(lab, HERE, 10**6, by_machine=True) == taken_in(lab, HERE, 10**6, by_machine=False)


@pytest.mark.parametrize("steps", [steps for steps, _ in ATTACKS.values()], ids=list(ATTACKS))
def test_whatever_was_altered_is_marked_alike(sqlite_engine: Engine, steps: list) -> None:  # type: ignore[type-arg]
    make_chain(sqlite_engine, LAB, SIZE)
    for step in steps:
        step(sqlite_engine, LAB)
    with sqlite_engine.connect() as connection:
        as_made = not inspect_tables(connection)  # compiled code reads no others
    found = taken_in(sqlite_engine, LAB, SIZE, by_machine=as_made)
    assert found == taken_in(sqlite_engine, LAB, SIZE, by_machine=False)


def test_sound_blocks_before_between_and_after_altered_records_are_taken_in_alike(sqlite_engine: Engine) -> None:
    size = 4 * ROWS
    make_chain(sqlite_engine, LAB, size)
    for seq in (ROWS + 9, 3 * ROWS, size):
        alter_record(sqlite_engine, LAB, seq, actor_id="u-99")
    found = taken_in(sqlite_engine, LAB, size, by_machine=True)
    assert found == taken_in(sqlite_engine, LAB, size, by_machine=False)
    assert (found[0].num_rows, found[4]) == (size, 3)
    beginning = taken_in(sqlite_engine, LAB, size, ROWS + 10, by_machine=True)
    assert beginning == taken_in(sqlite_engine, LAB, size, ROWS + 10, by_machine=False)


def test_what_was_erased_is_taken_in_alike(sqlite_engine: Engine) -> None:
    make_chain(sqlite_engine, LAB, ROWS + 5)
    with writing(sqlite_engine) as connection:
        erase(connection, LAB, 3, 4, ["context", "after"], reason="Article 17", actor=("user", "u-9"))
    with sqlite_engine.connect() as connection:
        erasures = list_erasures(connection, LAB)
    by_machine = taken_in(sqlite_engine, LAB, ROWS + 6, erasures=erasures, by_machine=True)
    assert by_machine == taken_in(sqlite_engine, LAB, ROWS + 6, erasures=erasures, by_machine=False)
    assert by_machine[4] == 0


def test_texts_of_every_kind_are_taken_in_alike(sqlite_engine: Engine) -> None:
    make_chain(sqlite_engine, LAB, 1)
    names = ["Zoë", '\u0001\n\t"\\', "👩‍🔬", "שלום", "a" * 1000, "\u2028", "<b>"]
    contexts = [{"ip": "10.0.0.1"}, {"ip": "é"}, {"ip": 7}, {"a": {"ip": "x"}}, {"ip": 'a"b'}, ["ip"], "ip"]
    acts = enumerate(zip(names, contexts, strict=True), 2)
    grow(sqlite_engine, LAB, *(event(place, actor_name=name, context=context) for place, (name, context) in acts))
    found = taken_in(sqlite_engine, LAB, 8, by_machine=True)
    assert found == taken_in(sqlite_engine, LAB, 8, by_machine=False)
    assert found[0]["actor_name"].to_pylist()[1:] == names
