"""What the bulk generator writes is what the writer would have written: it verifies, and can be appended to."""

from __future__ import annotations

from sqlalchemy import Engine

from benchmarks import generate
from benchmarks.events import make_events
from flasktrack.core.record import check_event
from flasktrack.store.engine import writing
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization

RECORDS = 1700  # more than one block of entities, and no whole number of blocks


def test_it_verifies_and_can_be_appended_to(engine: Engine, monkeypatch) -> None:
    monkeypatch.setattr(generate, "_BLOCK", 600)
    assert list(generate.fill(engine, generate.ORGANIZATION, RECORDS, workers=1)) == [600, 1200, RECORDS]
    with writing(engine) as connection:
        append(connection, generate.ORGANIZATION, make_events(RECORDS, 10))
    done = verify_organization(engine, generate.ORGANIZATION, started_by="tests", keep=False)
    assert (done.status, done.records, done.findings, done.remarks) == ("verified", RECORDS + 10, (), ())
    newest = Ledger(engine, machine_scope(generate.ORGANIZATION)).get(RECORDS)
    *_, event = make_events(1200, RECORDS - 1200)
    wanted = check_event(event)
    assert newest is not None
    assert (newest.record.actor_id, newest.record.entity_id) == (wanted.actor_id, wanted.entity_id)
    assert (newest.after.body if newest.after else None) == wanted.after
