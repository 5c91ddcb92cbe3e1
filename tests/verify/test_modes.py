"""All records, those since a checkpoint, a range; by one process or many: each says what it checked, and all agree."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from flasktrack.errors import InvalidFilter
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.schema import verification
from flasktrack.store.verifications import Verification
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify import roots, runner, span
from flasktrack.verify.runner import Trust, verify_organization
from tests import adversary
from tests.adversary_sealed import Copy, alter_node, copy_database, replay_copy
from tests.verify.attacks import ATTACKS, SIZE, Step, do, recorded_a_year_early
from tests.verify.chains import Said, error, event, grow, make_chain, said, warning
from tests.verify.sealed import BY, Sealed, make_sealed

CHUNK = 256


# By many


class Inline(Executor):
    """Workers in this thread, each task when it is given, with something done before it."""

    def __init__(self, before: Callable[[int], None] = lambda task: None) -> None:
        self.before = before
        self.tasks: list[tuple[Any, ...]] = []
        self.futures: list[Future[Any]] = []

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        self.before(len(self.tasks))
        self.tasks.append(arguments)
        future: Future[Any] = Future()
        self.futures.append(future)
        future.set_result(task(*arguments, **more))
        return future

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [(first, last) for _, _, first, last, *_ in self.tasks]


@pytest.fixture
def spans_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and spans so short that a chain of twelve records has borders: after 4, and after 8."""
    for module, name in ((roots, "CHUNK"), (span, "CHUNK"), (runner, "SPAN")):
        monkeypatch.setattr(module, name, 4)


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers:
        yield workers


def same(one: Verification, other: Verification) -> bool:
    """Whether two verifications found the same, whenever and however fast."""
    return replace(one, id=other.id, started_at=other.started_at, seconds=other.seconds) == other


MORE_ATTACKS: dict[str, list[Step]] = {
    "nothing": [],
    **{f"the hash of record {seq} altered": [do(adversary.alter_record, seq, hash=b"x" * 32)] for seq in (4, 5, 8, 12)},
    **{f"record {seq} made anew": [do(adversary.rechain_record, seq, reason="x")] for seq in (3, 4, 5, 8, 9)},
    **{f"record {seq} deleted": [do(adversary.delete_records, seq)] for seq in (3, 4, 5, 8, 9)},
    "two records at a border made anew": [do(adversary.rechain_record, seq, reason="x") for seq in (4, 5)],
    "two records after a border made anew": [do(adversary.rechain_record, seq, reason="x") for seq in (5, 6)],
    "two records at a border deleted": [do(adversary.delete_records, 4, 5)],
    "two records before a border deleted": [do(adversary.delete_records, 3, 4)],
    "two records after a border deleted": [do(adversary.delete_records, 5, 6)],
    "a whole span deleted": [do(adversary.delete_records, 5, 8)],
    "more than a span deleted": [do(adversary.delete_records, 4, 9)],
    "all but the first and the last deleted": [do(adversary.delete_records, 2, 11)],
    "records on both sides of a border altered": [do(adversary.alter_record, seq, reason="x") for seq in (4, 5)],
    "a forged record at a border": [
        do(adversary.delete_and_renumber, 4),
        do(adversary.insert_forged_record, 4, actor_id="u-1", actor_seq=2, entity_id="S-0", entity_seq=1),
    ],
    "a forged record after a border": [
        do(adversary.delete_and_renumber, 5),
        do(adversary.insert_forged_record, 5, actor_id="u-2", actor_seq=2, entity_id="S-1", entity_seq=2),
    ],
    "the clock put back at a border, behind a record that is gone": [
        do(adversary.rewrite_history, 5, recorded_a_year_early(5)),
        do(adversary.delete_records, 4),
    ],
    "the clock put back after a border, the record there altered": [
        do(adversary.rewrite_history, 6, recorded_a_year_early(6)),
        do(adversary.alter_record, 5, reason="x"),
    ],
    "everything from a border on made anew": [
        do(adversary.rewrite_history, 5, lambda record: record._replace(reason="x"))
    ],
    "a record moved a billion positions away": [do(adversary.move_record, 6, 10**9)],
    "the last record moved a billion positions away": [do(adversary.move_record, 12, 10**9)],
    "records swapped across spans": [do(adversary.swap_records, 2, 11)],
}


@pytest.fixture(scope="module")
def attacked(
    shared_sqlite_engine: Engine, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Sealed, Copy]:
    """A sealed chain of twelve for one attack after the other, and what it was before. How spans are joined has
    nothing to do with the kind of database."""
    anchors = Anchors(tmp_path_factory.mktemp("anchors"))
    sealed = make_sealed(Sealed(shared_sqlite_engine, "attacked", keyring, anchors), 4, 6, 8, 12)
    return sealed, copy_database(sealed.engine, sealed.id)


@pytest.mark.usefixtures("spans_of_four")
@pytest.mark.parametrize("name", [*ATTACKS, *MORE_ATTACKS])
def test_workers_find_exactly_what_one_process_finds(attacked: tuple[Sealed, Copy], pool: Executor, name: str) -> None:
    sealed, before = attacked
    try:
        for step in MORE_ATTACKS[name] if name in MORE_ATTACKS else ATTACKS[name][0]:
            step(sealed.engine, sealed.id)
        assert same(sealed.verify(), sealed.verify(workers=pool))
    finally:
        replay_copy(sealed.engine, sealed.id, before)


@pytest.mark.usefixtures("spans_of_four")
def test_each_worker_reads_a_span_of_its_own(sealed: Sealed) -> None:
    make_sealed(sealed, 10)
    workers = Inline()
    assert sealed.findings(workers=workers) == []
    assert workers.spans == [(1, 4), (5, 8), (9, 10)]


@pytest.mark.usefixtures("spans_of_four")
def test_a_record_put_far_away_makes_no_billion_spans(sealed: Sealed) -> None:
    make_sealed(sealed, -10)
    adversary.move_record(sealed.engine, sealed.id, 9, 2**62)
    workers = Inline()
    assert sealed.findings(workers=workers) == sealed.findings()
    assert len(workers.spans) <= 5


@pytest.mark.usefixtures("spans_of_four")
def test_what_is_recorded_or_erased_while_workers_read_is_not_accused(sealed: Sealed) -> None:
    """They read in snapshots of their own, which are newer than the one that the verification began with."""
    make_sealed(sealed, 10)

    def meanwhile(task: int) -> None:
        if task == 1:
            sealed.grow(11, 14)
            with writing(sealed.engine) as connection:
                erase(connection, sealed.id, 6, 7, ["after"], actor=("user", "u-1"), reason="GDPR")

    done = sealed.verify(workers=Inline(meanwhile))
    assert said(done) == [("payload_erased", "info", 6, 7, "after")]
    assert (done.status, done.records, done.sealed) == ("verified", 10, 10)


@pytest.mark.usefixtures("spans_of_four")
@pytest.mark.parametrize("call", [1, 2, 3])
def test_cancelling_workers_keeps_nothing_and_gives_back_what_they_have_not_begun(sealed: Sealed, call: int) -> None:
    class Cancelled(Exception):
        pass

    make_sealed(sealed, -12)
    calls: list[tuple[int, int]] = []

    class Waiting(Inline):
        """Works off as many spans as are asked for; the others wait."""

        def submit(self, task: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
            if len(self.futures) < call:
                return super().submit(task, *arguments, **more)
            future: Future[Any] = Future()
            self.futures.append(future)
            return future

    def cancel(count: int, total: int) -> None:
        calls.append((count, total))
        if len(calls) == call:
            raise Cancelled

    workers = Waiting()
    with pytest.raises(Cancelled):
        verify_organization(sealed.engine, sealed.id, started_by="user:u-1", workers=workers, progress=cancel)
    assert calls == [(4 * number, 12) for number in range(1, call + 1)]
    assert [future.cancelled() for future in workers.futures] == [False] * call + [True] * (3 - call)
    assert kept(sealed.engine, sealed.id) == 0
    assert sealed.verify().records == 12, "nothing was recorded either"


def kept(engine: Engine, organization_id: str) -> int:
    mine = select(func.count()).select_from(verification).where(verification.c.organization_id == organization_id)
    with engine.connect() as connection:
        return connection.scalar(mine) or 0


def test_real_processes_agree_with_one(sealed: Sealed, processes: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of 256 records, each started by another process: sealed at, before and after their borders."""
    monkeypatch.setattr(runner, "SPAN", CHUNK)
    make_sealed(sealed, 255, 256, 257, 512, -700)
    assert same(sealed.verify(), sealed.verify(workers=processes))
    calls: list[tuple[int, int]] = []
    done = sealed.verify(workers=processes, progress=lambda *call: calls.append(call))
    assert calls == [(256, 700), (512, 700), (700, 700)]
    assert (said(done), done.sealed, done.anchored) == ([], 512, 512)
    adversary.rechain_record(sealed.engine, sealed.id, 256, reason="x")
    adversary.alter_record(sealed.engine, sealed.id, 512, reason="x")
    adversary.delete_records(sealed.engine, sealed.id, 514)
    done = sealed.verify(workers=processes)
    assert same(sealed.verify(), done)
    assert said(done) == [error("chain_broken", 257), error("record_modified", 512), error("record_missing", 514)]
    assert done.sealed == 512, "the links tell what the altered ones were"


# What is new


def test_only_what_is_new_is_read_and_the_verdict_says_so(sealed: Sealed) -> None:
    make_sealed(sealed, 1000, -1040)
    done = sealed.verify(incremental=True)
    assert (done.status, done.mode, said(done)) == ("verified", "incremental", [])
    assert (done.first_seq, done.last_seq, done.records) == (513, 1040, 528)
    assert (done.sealed, done.anchored) == (1000, 1000)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511])
def test_where_nothing_is_saved_everything_is_checked_and_called_so(sealed: Sealed, size: int) -> None:
    make_sealed(sealed, size, -(size + 3))
    done = sealed.verify(incremental=True)
    assert (done.status, done.mode, done.first_seq, done.records, done.sealed) == (
        "verified",
        "full",
        1,
        size + 3,
        size,
    )


@pytest.mark.parametrize("size", [512, 513, 767, 768, 769])
def test_it_builds_on_checkpoints_of_any_size(sealed: Sealed, size: int) -> None:
    make_sealed(sealed, 100, size, -(size + 3))
    done = sealed.verify(incremental=True)
    assert (done.status, done.mode, done.sealed) == ("verified", "incremental", size)
    assert 256 < done.records <= 256 + 256 + 3
    sealed.seal()
    assert sealed.verify().status == "verified"


@pytest.fixture(scope="module")
def made_long(engine: Engine, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sealed, Copy]:
    """Sealed through 600, verified, and 20 more; and all that the database holds of it."""
    anchors = Anchors(tmp_path_factory.mktemp("long") / "anchors")
    sealed = make_sealed(Sealed(engine, f"lab-{uuid.uuid4().hex}", keyring, anchors), 300, 600, -620)
    return sealed, copy_database(engine, sealed.id)


@pytest.fixture
def long(made_long: tuple[Sealed, Copy]) -> Iterator[Sealed]:
    """That one, for a test to alter in the database: it is put back afterwards."""
    sealed, copy = made_long
    yield sealed
    replay_copy(sealed.engine, sealed.id, copy)


WHAT_IS_NEW: dict[str, tuple[Step, list[Said]]] = {
    "first new record altered": (do(adversary.alter_record, 601, reason="x"), [error("record_modified", 601)]),
    "last new record altered": (do(adversary.alter_record, 620, reason="x"), [error("record_modified", 620)]),
    "first new record deleted": (do(adversary.delete_records, 601), [error("record_missing", 601)]),
    "first new record made anew": (do(adversary.rechain_record, 601, reason="x"), [error("chain_broken", 602)]),
    "first new record linked elsewhere": (
        do(adversary.rewrite_history, 601, lambda r: r if r.seq > 601 else r._replace(reason="x")),
        [],  # what is not sealed can be replaced by whoever owns the database: docs/trust.md
    ),
    "new records swapped": (do(adversary.swap_records, 601, 620), [error("record_reordered", s) for s in (601, 620)]),
    "a new section altered": (
        do(adversary.alter_section, 601, "after", "{}"),
        [error("payload_modified", 601, section="after")],
    ),
    "a new section deleted": (
        do(adversary.delete_section, 620, "context"),
        [error("payload_missing", 620, section="context")],
    ),
    "a new link deleted": (do(adversary.delete_link, 601, "W-1"), [error("link_mismatch", 601)]),
    "a new tail cut": (do(adversary.cut_tail, 610), [error("head_mismatch", 611, 620)]),
    "head deleted": (do(adversary.delete_head), [error("head_mismatch", 620)]),
    "cut into what is sealed, head mended": (
        do(adversary.cut_tail, 590, mend=True),
        [error("chain_truncated", 591, 600)],
    ),
    "an actor's next act counted twice": (
        do(adversary.rewrite_history, 601, lambda r: r._replace(actor_seq=r.actor_seq + (r.seq == 601))),
        [error("ordinal_gap", 601)],
    ),
    "the clock put back": (
        do(adversary.rewrite_history, 601, recorded_a_year_early(601)),
        [warning("clock_regression", 601)],
    ),
    "the last sealed record rewritten": (
        do(adversary.rewrite_history, 600, lambda r: r._replace(reason="x")),
        [error("history_rewritten", 301, 600)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHAT_IS_NEW)
def test_what_is_new_gives_the_same_findings_as_in_full(long: Sealed, name: str) -> None:
    attack, expected = WHAT_IS_NEW[name]
    attack(long.engine, long.id)
    assert long.findings() == expected
    assert long.findings(incremental=True) == expected


def test_an_actor_whose_last_act_was_the_first_record_is_counted_on(sealed: Sealed) -> None:
    """Nothing that was not read may hide a wrong count: neither of one who acted long ago nor of one who never did."""
    make_sealed(sealed, -1)
    grow(sealed.engine, sealed.id, *(event(number, actor_id="u-7") for number in range(2, 601)))
    sealed.seal()
    grow(sealed.engine, sealed.id, event(601, before=None), event(602, actor_id="u-8", before=None))

    def miscount(seq: int) -> Callable[[Any], Any]:
        return lambda record: record._replace(actor_seq=record.actor_seq + (record.seq == seq))

    assert sealed.findings(incremental=True) == sealed.findings() == []
    for seq in (601, 602):
        before = copy_database(sealed.engine, sealed.id)
        adversary.rewrite_history(sealed.engine, sealed.id, 601, miscount(seq))
        assert sealed.findings(incremental=True) == sealed.findings() == [error("ordinal_gap", seq)]
        replay_copy(sealed.engine, sealed.id, before)


def test_an_entitys_state_goes_on_from_where_it_was_not_read(sealed: Sealed) -> None:
    make_sealed(sealed, -1)
    other = {"before": None, "after": {"x": 1}, "entity_type": "batch"}
    grow(sealed.engine, sealed.id, *(event(number, **other) for number in range(2, 601)))
    sealed.seal()
    grow(sealed.engine, sealed.id, event(5, before={"volume": 2}, after=None))  # S-1, which record 1 left with 1
    assert sealed.findings(incremental=True) == sealed.findings() == [warning("state_gap", 601)]


def test_what_is_older_is_not_looked_at_again(long: Sealed) -> None:
    """That is what makes it fast; so it is never called a full verification."""
    adversary.alter_section(long.engine, long.id, 5, "after", "{}")
    assert long.findings(incremental=True) == []
    assert long.findings() == [error("payload_modified", 5, section="after")]


def test_an_altered_tree_is_not_built_on(long: Sealed) -> None:
    alter_node(long.engine, long.id, 8, 0, b"x" * 32)
    done = long.verify(incremental=True)
    assert (done.mode, done.status, done.records) == ("full", "verified", 620)


def test_it_does_not_build_on_what_only_a_range_or_nobody_verified(long: Sealed) -> None:
    adversary.run_sql(long.engine, "DELETE FROM verification WHERE organization_id = :id", id=long.id)
    assert long.verify(incremental=True).mode == "full"
    verify_organization(long.engine, long.id, started_by=BY, trust=long.trust, between=(1, 620))
    assert long.verify(incremental=True).mode == "full"
    verify_organization(long.engine, long.id, started_by=BY, trust=long.trust)
    assert long.verify(incremental=True).mode == "incremental"


def test_workers_can_read_what_is_new(long: Sealed, pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SPAN", CHUNK)
    adversary.rechain_record(long.engine, long.id, 512, reason="x")
    alone = long.verify(incremental=True)
    assert alone.mode == "incremental"
    assert said(alone) == [error("chain_broken", 513)]
    assert same(alone, long.verify(incremental=True, workers=pool))


# A range


RANGES: dict[str, tuple[Step, list[Said]]] = {
    "first of it": (do(adversary.alter_record, 5, reason="x"), [error("record_modified", 5)]),
    "last of it": (do(adversary.alter_record, 8, reason="x"), [error("record_modified", 8)]),
    "before it": (do(adversary.alter_record, 4, reason="x"), []),
    "after it": (do(adversary.alter_record, 9, reason="x"), []),
    "first of it deleted": (do(adversary.delete_records, 5), [error("record_missing", 5)]),
    "last of it deleted": (do(adversary.delete_records, 8), [error("record_missing", 8)]),
    "all of it deleted": (do(adversary.delete_records, 5, 8), [error("record_missing", 5, 8)]),
    "the one before it made anew": (do(adversary.rechain_record, 4, reason="x"), [error("chain_broken", 5)]),
    "a count that leads into it": (
        do(adversary.rewrite_history, 5, lambda r: r._replace(actor_seq=r.actor_seq + (r.seq == 5))),
        [error("ordinal_gap", 5)],
    ),
    "its links": (do(adversary.delete_link, 8, "W-1"), [error("link_mismatch", 8)]),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_gives_its_own_findings(sealed: Sealed, name: str) -> None:
    make_sealed(sealed, -SIZE)
    attack, expected = RANGES[name]
    attack(sealed.engine, sealed.id)
    done = sealed.verify(between=(5, 8))
    assert said(done) == expected
    assert (done.mode, done.first_seq, done.sealed) == ("range", 5, 0)


@pytest.mark.parametrize(("between", "records"), [((1, 1), 1), ((12, 12), 1), ((1, 12), 12), ((3, 2**63 - 1), 10)])
def test_a_range_may_be_one_record_or_end_beyond_the_last(
    sealed: Sealed, between: tuple[int, int], records: int
) -> None:
    make_sealed(sealed, SIZE)
    done = sealed.verify(between=between)
    assert (done.status, done.records, said(done)) == ("verified", records, [])


def test_a_range_beyond_the_last_record_proves_nothing(sealed: Sealed) -> None:
    make_sealed(sealed, SIZE)
    done = sealed.verify(between=(13, 20))
    assert (done.status, done.records, said(done)) == ("not_checked", 0, [])


def test_a_range_that_was_cut_off_is_not_called_intact(sealed: Sealed) -> None:
    make_sealed(sealed, SIZE)
    adversary.cut_tail(sealed.engine, sealed.id, 9, mend=True)
    assert sealed.findings(between=(5, 12)) == [error("chain_truncated", 10, 12)]
    assert sealed.findings(between=(5, 9)) == []


@pytest.mark.parametrize("between", [(0, 5), (5, 4), (-3, 2), (1, 2**63)])
def test_positions_that_cannot_be_are_refused(sealed: Sealed, between: tuple[int, int]) -> None:
    make_sealed(sealed, -3)
    with pytest.raises(InvalidFilter):
        sealed.verify(between=between)


# Nothing is trusted


def test_without_keys_at_hand_a_checkpoint_is_not_believed_and_without_trust_not_read(
    sealed: Sealed, tmp_path: Any
) -> None:
    make_sealed(sealed, 4, SIZE)
    nobody = Trust(Keyring(tmp_path / "none", "lab.example"))
    done = verify_organization(sealed.engine, sealed.id, started_by=BY, trust=nobody, keep=False)
    assert (said(done), done.sealed) == ([error("checkpoint_invalid", 4, 12)], 0)
    unread = verify_organization(sealed.engine, sealed.id, started_by=BY, keep=False)
    assert (unread.status, unread.sealed) == ("verified", 0)


def test_spans_begin_with_chunks_wherever_the_first_does() -> None:
    assert list(span.spans(1, 1000, 512, lambda position: position)) == [(1, 512), (513, 1000)]
    assert list(span.spans(513, 1025, 300, lambda position: position)) == [(513, 768), (769, 1024), (1025, 1025)]
    assert list(span.spans(1, 0, 512, lambda position: position)) == []


def test_an_intact_chain_in_spans_is_as_it_was(engine: Engine, lab: str, spans_of_four: None, pool: Executor) -> None:
    make_chain(engine, lab, 9)
    done = verify_organization(engine, lab, started_by=BY, workers=pool, keep=False)
    assert (done.status, done.records, said(done)) == ("verified", 9, [])
