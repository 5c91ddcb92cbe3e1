"""The copy holds what readers find, each record checked as they check it; and is made anew where it can't be used."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from flasktrack.core.times import parse_time
from flasktrack.errors import DatabaseError
from flasktrack.insight import copy_tables, first_uses, intake, intake_spans
from flasktrack.insight.copy import Copy, CopyState
from flasktrack.insight.copy_place import default_place, open_copy
from flasktrack.insight.copy_tables import SUMS, UNRELIABLE, copied, first_use, record, related
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.following import Follower, follow
from flasktrack.insight.quarter_hours import quarter_hour
from flasktrack.insight.questions import Questions
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.erasure import erase
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.adversary import alter_record, rewrite_history, run_sql
from tests.insight.lab import HERE, ROWS, THERE
from tests.verify.attacks import ATTACKS, SIZE
from tests.verify.chains import event, grow, make_chain

LAB = "north-lab"
_SAME = [
    "actor_type", "actor_id", "actor_name", "actor_role", "actor_seq", "credential_id", "on_behalf_of",
    "action", "outcome", "entity_type", "entity_id", "entity_name", "entity_seq", "reason",
]  # fmt: skip


@pytest.fixture
def copied_lab(sqlite_engine: Engine) -> Iterator[Copy]:
    """A chain of twelve records, taken in."""
    make_chain(sqlite_engine, LAB, SIZE)
    copy = open_copy(sqlite_engine)
    copy.take_in(LAB)
    yield copy
    copy.engine.dispose()


def rows(copy: Copy, *columns: Any, organization_id: str = LAB) -> list[Any]:
    with copy.engine.connect() as connection:
        return list(connection.execute(copied(organization_id, *columns).order_by(record.c.seq)))


def failed(copy: Copy) -> dict[int, str]:
    return {seq: code for seq, code in rows(copy, record.c.seq, record.c.failed) if code is not None}


def check_sums(copy: Copy, organization_id: str) -> None:
    """The sums are what counting the records gives."""
    with copy.engine.connect() as connection:
        for key, table in SUMS:
            columns = [quarter_hour(record.c.occurred_at) if name == "quarter" else record.c[name] for name in key]
            numbers = (func.count(), func.count(record.c.failed), func.min(record.c.seq), func.max(record.c.seq))
            span = (func.min(record.c.occurred_at), func.max(record.c.occurred_at))
            counted = connection.execute(copied(organization_id, *columns, *numbers, *span).group_by(*columns)).all()
            stored = [column for column in table.c if column.name not in ("organization_id", "found_by")]
            summed = connection.execute(select(*stored).where(table.c.organization_id == organization_id))
            assert sorted(map(repr, summed)) == sorted(map(repr, counted))


def check_kept(copy: Copy, organization_id: str = LAB) -> None:
    """What is kept beside the records agrees with them."""
    check_sums(copy, organization_id)
    check_first_uses(copy, organization_id)


def check_first_uses(copy: Copy, organization_id: str) -> None:
    """They are what looking through the records gives."""
    names = ("seq", "failed", "actor_type", "actor_id", *first_uses.KINDS)
    expected: dict[tuple[Any, ...], int] = {}
    for seq, code, *used in rows(copy, *(record.c[name] for name in names), organization_id=organization_id):
        actor, values = used[:2], used[2:]
        for kind, value in zip(first_uses.KINDS, values, strict=True):
            if (
                code is None and value and None not in actor and seq >= 1
            ):  # what stands before the first position is never asked
                expected.setdefault((kind, *actor, value), seq)
    with copy.engine.connect() as connection:
        columns = (first_use.c[name] for name in ("kind", "actor_type", "actor_id", "value", "seq"))
        mine = select(*columns).where(first_use.c.organization_id == organization_id)
        assert sorted(map(tuple, connection.execute(mine))) == sorted((*key, seq) for key, seq in expected.items())


def found_by_readers(engine: Engine, organization_id: str) -> set[int]:
    """The positions that readers mark; an erasure is nothing that failed."""
    return {
        checked.record.seq
        for checked in Ledger(engine, machine_scope(organization_id)).stream()
        if any(finding.code != "payload_erased" for finding in checked.findings)
    }


# What it holds


@pytest.mark.parametrize("organization_id", [HERE, THERE])
def test_it_holds_what_was_recorded(copy: Copy, organization_id: str) -> None:
    columns = [record.c[name] for name in ("seq", *_SAME, "occurred_at", "recorded_at", "failed")]
    taken = rows(copy, *columns, organization_id=organization_id)
    ledger = Ledger(copy.source, machine_scope(organization_id))
    expected = [
        (
            checked.record.seq,
            *(getattr(checked.record, name) for name in _SAME),
            *(
                parse_time(time).replace(tzinfo=None)
                for time in (checked.record.occurred_at, checked.record.recorded_at)
            ),
            None,
        )
        for checked in ledger.stream()
    ]
    assert taken == expected
    with copy.engine.connect() as connection:
        mine = select(related.c.seq, related.c.entity_type, related.c.entity_id)
        links = connection.execute(mine.where(related.c.organization_id == organization_id)).all()
    assert sorted(links) == sorted((c.record.seq, *item) for c in ledger.stream() for item in c.record.related)
    newest = list(ledger.stream())[-1].record
    assert copy.state(organization_id) == CopyState(newest.seq, newest.hash, len(ROWS[organization_id]), 0)


def test_a_fingerprint_tells_states_apart(sqlite_engine: Engine) -> None:
    make_chain(sqlite_engine, LAB, 1, before=None, after={"n": 1})
    grow(sqlite_engine, LAB, event(2, before={"n": 1}, after={"n": 2}, context={"ip": "10.0.0.7"}))
    grow(sqlite_engine, LAB, event(3, before={"n": 3}, after=None, context={"ip": 7}))
    copy = open_copy(sqlite_engine)
    copy.take_in(LAB)
    (_, one, _), (two, _, ip), (three, none, no_ip) = rows(
        copy, record.c.before_print, record.c.after_print, record.c.ip
    )
    assert (one == two, two == three, none) == (True, False, None)
    assert UNRELIABLE not in (one, two, three)
    assert (ip, no_ip) == ("10.0.0.7", None)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy of a database in which each attack has an organization of its own."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('attacked') / 'flasktrack.db'}")
    initialize(engine)
    copy = open_copy(engine)
    yield copy
    copy.engine.dispose()
    engine.dispose()


@pytest.mark.parametrize("name", ATTACKS)
def test_what_readers_mark_is_marked_and_nothing_else(attacked: Copy, name: str) -> None:
    lab = f"lab-{list(ATTACKS).index(name)}"
    make_chain(attacked.source, lab, SIZE)
    for step in ATTACKS[name][0]:
        step(attacked.source, lab)
    state = attacked.take_in(lab)
    marked = {seq for seq, code in rows(attacked, record.c.seq, record.c.failed, organization_id=lab) if code}
    assert marked == found_by_readers(attacked.source, lab)
    assert state == attacked.state(lab)
    assert state.failed >= len(marked)
    check_kept(attacked, lab)


def test_an_altered_record_is_counted_and_marked(postgresql_url: str, copied_lab: Copy) -> None:
    alter_record(copied_lab.source, LAB, 3, action="delete", actor_name="a\0b", reason="x")
    for url in ("duckdb:///:memory:", postgresql_url):
        copy = open_copy(copied_lab.source, url)
        assert copy.take_in(LAB).failed == 1
        totals = Questions(copy, machine_scope(LAB)).totals(RecordFilter(actions=("delete",)))
        assert (totals.records, totals.marked) == (1, 1)
        assert failed(copy) == {3: "record_modified"}
        copy.engine.dispose()


# Staying current


def test_what_is_new_is_taken_in_alone(copied_lab: Copy) -> None:
    reached: list[tuple[int, int]] = []
    assert copied_lab.take_in(LAB, lambda *progress: reached.append(progress)).last_seq == SIZE
    grow(copied_lab.source, LAB, event(SIZE + 1), event(SIZE + 2))
    state = copied_lab.take_in(LAB, lambda *progress: reached.append(progress))
    assert reached == [(SIZE + 2, SIZE + 2)]
    assert (state.last_seq, state.records, state.failed) == (SIZE + 2, SIZE + 2, 0)
    assert [seq for (seq,) in rows(copied_lab, record.c.seq)] == list(range(1, SIZE + 3))
    check_kept(copied_lab)


def test_workers_take_in_the_same(copied_lab: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alter_record(copied_lab.source, LAB, 3, reason="x")
    monkeypatch.setattr(intake_spans, "WORTH_WORKERS", 5)
    monkeypatch.setattr(intake_spans, "_SPAN", 4)
    monkeypatch.setattr(intake_spans, "_processors", lambda: 2)
    monkeypatch.setattr("flasktrack.insight.copy._ROWS_AT_ONCE", 6)  # so two parts in a transaction, after the first
    shared = open_copy(copied_lab.source, f"duckdb:///{tmp_path / 'shared.duckdb'}")
    shared.take_in(LAB)
    monkeypatch.setattr(intake_spans, "_processors", lambda: 1)
    monkeypatch.setattr(intake, "RECORDS_AT_ONCE", 5)
    alone = open_copy(copied_lab.source, f"duckdb:///{tmp_path / 'alone.duckdb'}")
    alone.take_in(LAB)
    assert rows(shared) == rows(alone)
    assert shared.state(LAB) == alone.state(LAB)
    assert failed(shared) == {3: "record_modified"}
    check_kept(shared)
    check_kept(alone)


def test_many_records_are_taken_in_beside_the_page(copied_lab: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flasktrack.insight.following.AT_ONCE", 3)
    follower = Follower(copied_lab)
    assert follower.keep_up(LAB).complete
    grow(copied_lab.source, LAB, *(event(SIZE + number) for number in range(1, 6)))
    standing = follower.keep_up(LAB)
    assert (standing.newest, standing.complete) == (SIZE + 5, False)
    assert follower.wait(LAB) == follower.keep_up(LAB)
    assert follower.keep_up(LAB).state.records == SIZE + 5


def test_what_stops_it_is_told(copied_lab: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: str) -> CopyState:
        raise DatabaseError("The disk is full.")

    monkeypatch.setattr("flasktrack.insight.following.AT_ONCE", 0)
    follower = Follower(copied_lab)
    grow(copied_lab.source, LAB, event(SIZE + 1))
    monkeypatch.setattr(copied_lab, "take_in", stop)
    follower.keep_up(LAB)
    follower._running[LAB].join()
    assert str(follower.keep_up(LAB).problem) == "The disk is full."


def test_a_server_that_is_down_or_goes_down_is_told_and_a_private_copy_counts(
    copied_lab: Copy, postgresql_url: str
) -> None:
    nobody_there = "postgresql://nobody@127.0.0.1:1/none"
    assert follow(copied_lab.source, nobody_there).keep_up(LAB).state.records == SIZE
    follower = follow(copied_lab.source, postgresql_url)
    assert follower.keep_up(LAB).instead_of is None
    follower.copy.engine.dispose()
    follower.copy.engine = open_engine(nobody_there)
    standing = follower.keep_up(LAB)
    assert standing.instead_of == "The database can't be reached."
    assert (standing.complete, follower.copy.engine.dialect.name) == (True, "duckdb")


# Erasures


def test_what_was_erased_goes_from_the_copy_too(sqlite_engine: Engine) -> None:
    make_chain(sqlite_engine, LAB, SIZE, context={"ip": "10.0.0.7", "name": "Zoë"})
    copy = open_copy(sqlite_engine)
    copy.take_in(LAB)
    chosen = RecordFilter(text="10.0.0.7")
    assert Questions(copy, machine_scope(LAB)).totals(chosen).records == SIZE
    with writing(sqlite_engine) as connection:
        erase(connection, LAB, 3, 5, ["context"], actor=("user", "u-9"), reason="Article 17")
        erase(connection, LAB, 3, 5, ["after"], actor=("user", "u-9"), reason="Article 17")
    copy.take_in(LAB)
    left = rows(copy, record.c.ip, record.c.after_print, record.c.before_print)
    assert [place for place, (ip, _, _) in enumerate(left, 1) if ip is None] == [3, 4, 5, SIZE + 1, SIZE + 2]
    assert [place for place, (_, after, _) in enumerate(left, 1) if after == UNRELIABLE] == [3, 4, 5]
    assert left[4][2] not in (None, UNRELIABLE)
    assert (failed(copy), copy.state(LAB).failed) == ({}, 0)
    check_kept(copy)
    assert Questions(copy, machine_scope(LAB)).totals(chosen).records == SIZE - 3
    fresh = open_copy(sqlite_engine, "duckdb:///:memory:")
    fresh.take_in(LAB)
    assert rows(fresh) == rows(copy)


# A cache


def remade(copy: Copy) -> Copy:
    copy.engine.dispose()
    return open_copy(copy.source)


def test_it_is_found_again(copied_lab: Copy) -> None:
    before = copied_lab.state(LAB)
    again = remade(copied_lab)
    assert again.state(LAB) == before
    assert Path(str(again.engine.url.database)) == Path(str(default_place(copied_lab.source).database))


@pytest.mark.parametrize("damage", ["deleted", "emptied", "cut", "no database", "older version"])
def test_one_that_cannot_be_used_is_made_anew(copied_lab: Copy, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(str(copied_lab.engine.url.database))
    whole = rows(copied_lab)
    if damage == "older version":
        monkeypatch.setattr(copy_tables, "VERSION", copy_tables.VERSION + 1)
    copied_lab.engine.dispose()
    if damage == "deleted":
        file.unlink()
    elif damage == "emptied":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:20_000])
    elif damage == "no database":
        file.write_bytes(b"records " * 5000)
    again = open_copy(copied_lab.source)
    assert again.state(LAB) == CopyState()
    again.take_in(LAB)
    assert rows(again) == whole
    assert Path(str(again.engine.url.database)) == file


def test_one_that_breaks_while_it_is_used_is_begun_anew(copied_lab: Copy) -> None:
    follower = Follower(copied_lab)
    run = copied_lab.engine.connect()
    run.exec_driver_sql("DROP TABLE copy_progress")
    run.commit()
    run.close()
    standing = follower.keep_up(LAB)
    assert (standing.state.records, standing.complete) == (SIZE, True)
    assert len(rows(copied_lab, record.c.seq)) == SIZE


def test_a_copy_of_another_history_is_forgotten(copied_lab: Copy) -> None:
    """The same positions, but other hashes: a backup that was put back, or a history written anew."""
    rewrite_history(copied_lab.source, LAB, 1, lambda found: found._replace(reason="rewritten"))
    state = copied_lab.take_in(LAB)
    assert state.records == SIZE
    assert {reason for (reason,) in rows(copied_lab, record.c.reason)} == {"rewritten"}
    check_kept(copied_lab)


def test_a_second_process_gets_a_copy_of_its_own(copied_lab: Copy) -> None:
    url = copied_lab.source.url.render_as_string(hide_password=False)
    code = (
        "import sys; from flasktrack.insight.copy_place import open_copy;"
        "from flasktrack.store.engine import open_engine;"
        "copy = open_copy(open_engine(sys.argv[1])); print(copy.take_in(sys.argv[2]).records, copy.engine.url.database)"
    )
    done = subprocess.run([sys.executable, "-c", code, url, LAB], capture_output=True, text=True, timeout=60)
    records, place = done.stdout.split()
    assert (int(records), done.stderr) == (SIZE, "")
    assert place != copied_lab.engine.url.database
    assert not Path(place).exists()  # it went with its process


def test_two_processes_that_share_a_server_count_no_record_twice(
    postgresql_url: str, copied_lab: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (open_copy(copied_lab.source, postgresql_url) for _ in range(2))
    state = one.state(LAB)
    assert other.take_in(LAB).records == SIZE
    with monkeypatch.context() as patched:
        patched.setattr(one, "state", lambda _: state)  # what it had seen before the other one was quicker
        one.take_in(LAB)
    assert len(rows(one, record.c.seq)) == SIZE
    check_kept(one)
    for copy in (one, other):
        copy.engine.dispose()


@pytest.mark.parametrize("meanwhile", ["an erasure", "another history"])
def test_two_processes_that_share_a_server_wait_for_each_other(
    postgresql_url: str, copied_lab: Copy, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """While one takes records in again or anew, the other does the same, or forgets them."""
    one, other = (open_copy(copied_lab.source, postgresql_url) for _ in range(2))
    one.take_in(LAB)
    if meanwhile == "an erasure":
        with writing(copied_lab.source) as connection:
            erase(connection, LAB, 3, 5, ["context"], actor=("user", "u-9"), reason="Article 17")
    else:
        grow(copied_lab.source, LAB, event(SIZE + 1))
    last_step = "renew" if meanwhile == "an erasure" else "add"
    work, begun, enough = getattr(first_uses, last_step), threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> None:
        work(*arguments)
        begun.set()
        enough.wait(0.5)  # nobody sets it: as long as the other one may need to come in between

    monkeypatch.setattr(first_uses, last_step, slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.take_in, LAB)
        assert begun.wait(30)
        second = pool.submit(other.take_in if meanwhile == "an erasure" else other._forget, LAB)
        first.result(30)
        second.result(30)
    positions = [seq for (seq,) in rows(other, record.c.seq)]
    assert positions == ([] if meanwhile == "another history" else list(range(1, SIZE + 2)))
    check_kept(other)
    for copy in (one, other):
        copy.engine.dispose()


def test_an_address_that_is_none_is_refused(sqlite_engine: Engine) -> None:
    with pytest.raises(DatabaseError, match="FLASKTRACK_ANALYTICS_URL"):
        open_copy(sqlite_engine, "nowhere://x")


# Words


def test_a_search_looks_through_what_is_new_alone(copied_lab: Copy) -> None:
    questions = Questions(copied_lab, machine_scope(LAB))
    chosen = RecordFilter(text="volume 987654321")
    assert questions.totals(chosen).records == 0
    grow(copied_lab.source, LAB, event(SIZE + 1, after={"volume": 987654321}))
    copied_lab.take_in(LAB)
    run_sql(copied_lab.source, "UPDATE audit_payload SET after = :body WHERE seq = 1", body='{"volume":987654321}')
    assert questions.totals(chosen).records == 1
    with copied_lab.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(copy_tables.search)).scalar_one() == 1
