"""Sealing signs what is sound and extends what was signed, anchors it, and refuses everything else."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.core.note import parse_note
from flasktrack.errors import AnchorError, KeyringError, NotIntact, SealRefused, UnknownOrganization
from flasktrack.seal.sealing import seal
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.organizations import chain_sizes
from flasktrack.store.schema import checkpoint, verification
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import list_checkpoints, open_note
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.tree import StoredTree
from flasktrack.verify.runner import verify_organization
from tests import adversary, adversary_sealed
from tests.verify.chains import error, new_organization, said
from tests.verify.sealed import BY, Sealed, make_sealed

NORTHWIND = "northwind-labs"


@pytest.fixture
def sealed(engine: Engine, tmp_path: Path) -> Sealed:
    """An organization with three records, keys, and room for anchors."""
    keyring = Keyring(tmp_path / "keys", "lab.example")
    keyring.create()
    return make_sealed(Sealed(engine, NORTHWIND, keyring, Anchors(tmp_path / "anchors")), -3)


def stored(sealed: Sealed) -> list[int]:
    with sealed.engine.connect() as connection:
        return [found.size for found in list_checkpoints(connection, machine_scope(sealed.id))]


def anchored(sealed: Sealed) -> list[int]:
    return [anchor.size for anchor in sealed.anchors.read(sealed.id)]


def refused(sealed: Sealed, kind: type[Exception], words: str) -> None:
    """Sealing is refused, and nothing was signed."""
    before, kept = stored(sealed), anchored(sealed)
    with pytest.raises(kind, match=words):
        seal(sealed.engine, sealed.id, sealed.trust, started_by=BY)
    assert (stored(sealed), anchored(sealed)) == (before, kept)


def test_a_seal_is_stored_and_anchored_and_says_the_root_of_the_records(sealed: Sealed) -> None:
    made = sealed.seal()
    assert (made.organization_id, made.size) == (NORTHWIND, 3)
    assert made.root == adversary_sealed.current_root(sealed.engine, NORTHWIND, 3)
    origin = sealed.keyring.origin(NORTHWIND)
    opened = open_note(made.note, origin, sealed.keyring.trusted(NORTHWIND))
    assert opened.checkpoint == parse_checkpoint(parse_note(made.note).text) == (origin, 3, made.root)
    assert len(opened.signers) == 2
    (anchor,) = sealed.anchors.read(NORTHWIND)
    assert (anchor.size, anchor.note) == (3, made.note)
    assert sealed.verify().sealed == 3


def test_what_it_verified_is_kept_with_who_asked(sealed: Sealed) -> None:
    sealed.seal()
    kept = latest_verification(sealed.engine, NORTHWIND)
    assert kept is not None
    assert (kept.started_by, kept.records, kept.sealed) == (BY, 3, 0)


def test_where_nothing_came_since_the_last_seal_is_given_again(sealed: Sealed) -> None:
    first = sealed.seal()
    assert sealed.seal() == first
    assert stored(sealed) == [3]


def test_where_there_is_no_record_there_is_nothing_to_seal(sealed: Sealed) -> None:
    new_organization(sealed.engine, "empty")
    assert seal(sealed.engine, "empty", sealed.trust, started_by=BY) is None
    with pytest.raises(UnknownOrganization):
        seal(sealed.engine, "nobody", sealed.trust, started_by=BY)


def test_the_record_of_a_persons_verification_stays_unsealed(sealed: Sealed) -> None:
    made = seal(sealed.engine, NORTHWIND, sealed.trust, started_by="user:u-1")
    assert made is not None
    assert (made.size, chain_sizes(sealed.engine)[NORTHWIND]) == (3, 4)
    done = sealed.verify()
    assert (done.status, done.records, done.sealed) == ("verified", 4, 3)


BROKEN = {
    "a record altered": lambda s: adversary.alter_record(s.engine, s.id, 2, reason="x"),
    "a record deleted": lambda s: adversary.delete_records(s.engine, s.id, 2),
    "a section altered": lambda s: adversary.alter_section(s.engine, s.id, 3, "after", "{}"),
    "the tail cut": lambda s: adversary.cut_tail(s.engine, s.id, 2),
    "the head deleted": lambda s: adversary.delete_head(s.engine, s.id),
    "the log emptied": lambda s: adversary.empty_log(s.engine, s.id),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_chain_is_not_sealed_and_why_is_said(sealed: Sealed, name: str) -> None:
    BROKEN[name](sealed)
    refused(sealed, NotIntact, r"not intact: .*\d")


def rewrite_and_sign(sealed: Sealed) -> None:
    adversary.rewrite_history(sealed.engine, sealed.id, 2, lambda r: r._replace(reason="x"))
    adversary_sealed.sign_again(sealed.engine, sealed.id, sealed.keyring, 3)


def empty_and_remove(sealed: Sealed) -> None:
    adversary.empty_log(sealed.engine, sealed.id, mend=True)
    adversary_sealed.remove_checkpoints(sealed.engine, sealed.id)


SINCE = {
    **BROKEN,
    "history rewritten below the last seal": lambda s: adversary.rewrite_history(
        s.engine, s.id, 2, lambda r: r._replace(reason="x")
    ),
    "history rewritten, the checkpoint signed again": lambda s: rewrite_and_sign(s),
    "cut below the last seal, head mended": lambda s: adversary.cut_tail(s.engine, s.id, 2, mend=True),
    "emptied without a trace": lambda s: empty_and_remove(s),
    "the last checkpoint removed": lambda s: adversary_sealed.remove_checkpoints(s.engine, s.id),
}


@pytest.mark.parametrize("grown", [0, 1])
@pytest.mark.parametrize("name", SINCE)
def test_nor_is_one_that_was_sealed_before(sealed: Sealed, name: str, grown: int) -> None:
    sealed.seal()
    if grown:
        sealed.grow(4, 4)
    SINCE[name](sealed)
    refused(sealed, NotIntact, "not intact")


def test_an_older_copy_of_the_database_is_not_sealed(sealed: Sealed) -> None:
    sealed.seal()
    before = adversary_sealed.copy_database(sealed.engine, sealed.id)
    sealed.grow(4, 5)
    sealed.seal()
    adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    refused(sealed, NotIntact, "older copy")
    sealed.grow(4, 6)
    refused(sealed, NotIntact, "not the ones that were sealed|is not in the database")


def test_keys_that_cannot_be_used_are_refused(sealed: Sealed) -> None:
    path = sealed.keyring.directory / "ed25519.pem"
    path.chmod(0o644)
    refused(sealed, KeyringError, "ed25519.pem")
    path.unlink()
    refused(sealed, KeyringError, "missing")
    shutil.rmtree(sealed.keyring.directory)
    refused(sealed, KeyringError, "keys")


def test_other_keys_than_those_that_sealed_before_are_refused_until_they_are_trusted(sealed: Sealed) -> None:
    sealed.seal()
    sealed.grow(4, 4)
    vkeys = sealed.keyring.vkeys([NORTHWIND])
    shutil.rmtree(sealed.keyring.directory)
    sealed.keyring.create()
    refused(sealed, SealRefused, "No trusted key has signed")
    sealed.keyring.trust(vkeys)
    assert sealed.seal().size == 4
    assert sealed.verify().sealed == 4


def test_a_last_checkpoint_whose_row_was_altered_is_not_built_on(sealed: Sealed) -> None:
    sealed.seal()
    sealed.grow(4, 4)
    adversary_sealed.alter_checkpoint(sealed.engine, NORTHWIND, 3, root=b"x" * 32)
    refused(sealed, SealRefused, "not stored as it was signed")


def test_after_a_rotation_the_new_key_seals_on(sealed: Sealed) -> None:
    sealed.seal()
    sealed.keyring.rotate({NORTHWIND: 3})
    assert sealed.seal().size == 3, "nothing new"
    sealed.grow(4, 5)
    assert sealed.seal().size == 5
    assert (sealed.findings(), sealed.verify().sealed) == ([], 5)


def test_a_rotation_while_it_verifies_is_no_harm(sealed: Sealed) -> None:
    """The key that was retired meanwhile must not sign what came after its retirement."""
    sealed.seal()

    def rotate(*_: int) -> None:
        if sealed.keyring.own(NORTHWIND)[-1].until is None:
            sealed.keyring.rotate({NORTHWIND: 3})

    sealed.grow(4, 5)
    made = seal(sealed.engine, NORTHWIND, sealed.trust, started_by=BY, progress=rotate)
    assert made is not None
    assert (made.size, sealed.findings(), sealed.verify().sealed) == (5, [], 5)


def test_anchors_that_could_not_be_written_are_written_later(sealed: Sealed, tmp_path: Path) -> None:
    blocked = sealed.anchors.directory
    blocked.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(AnchorError):
        sealed.seal()
    blocked.unlink()
    for size in (4, 5):
        sealed.grow(size, size)
        sealed.seal(anchor=False)
    assert anchored(sealed) == []
    sealed.seal()
    assert anchored(sealed) == stored(sealed)[-len(anchored(sealed)) :] == [4, 5]
    assert sealed.verify().anchored == 5


def test_an_anchor_is_written_even_where_nothing_is_new(sealed: Sealed) -> None:
    sealed.seal(anchor=False)
    assert anchored(sealed) == []
    sealed.seal()
    assert anchored(sealed) == [3]


def test_a_checkpoint_that_nobody_signed_is_never_anchored(sealed: Sealed) -> None:
    """An anchor is never written over: what is in it once would accuse the chain for ever."""
    sealed.seal()
    adversary_sealed.add_checkpoint(sealed.engine, NORTHWIND, 2, b"x" * 32, "Dear inspector,\n")
    refused(sealed, NotIntact, "can't be believed")
    assert anchored(sealed) == [3]


def test_an_anchor_that_contradicts_is_not_written_over(sealed: Sealed) -> None:
    sealed.seal()
    (anchor,) = sealed.anchors.read(NORTHWIND)
    anchor.path.write_text("Dear inspector,\n", encoding="utf-8")
    refused(sealed, NotIntact, "can't be believed")
    assert anchor.path.read_text(encoding="utf-8") == "Dear inspector,\n"


def test_of_two_sealers_at_once_one_signs_and_both_give_its_checkpoint(sealed: Sealed) -> None:
    for size in (4, 8, 12):
        sealed.grow(size, size)
        together = Barrier(2)

        def wait(*_: int, together: Barrier = together) -> None:
            together.wait(10)

        def one(wait: Any = wait) -> Any:
            return seal(sealed.engine, NORTHWIND, sealed.trust, started_by=BY, progress=wait)

        with ThreadPoolExecutor(2) as threads:
            first, second = (future.result() for future in [threads.submit(one), threads.submit(one)])
        assert first == second
    assert stored(sealed) == anchored(sealed) == [4, 5, 6]
    assert sealed.findings() == []


def test_sealing_a_thousand_new_records_reads_none_of_the_old_ones(sealed: Sealed) -> None:
    sealed.grow(4, 1500)
    sealed.seal()
    sealed.grow(1501, 2500)
    calls: list[tuple[int, int]] = []
    made = seal(sealed.engine, NORTHWIND, sealed.trust, started_by=BY, progress=lambda *call: calls.append(call))
    assert made is not None
    assert made.size == 2500
    read = calls[-1][0]
    assert 1000 <= read < 1000 + 2 * 256 + 256, "the new ones, and up to two chunks of the tree before them"
    kept = latest_verification(sealed.engine, NORTHWIND)
    assert kept is not None
    assert (kept.mode, kept.sealed, kept.last_seq) == ("incremental", 1500, 2500)
    assert kept.first_seq > 1000


def test_the_nodes_that_a_seal_stores_give_every_proof(sealed: Sealed) -> None:
    sealed.grow(4, 600)
    first = sealed.seal()
    sealed.grow(601, 1100)
    second = sealed.seal()
    with sealed.engine.connect() as connection:
        tree = StoredTree(connection, NORTHWIND)
        assert (tree.root(600), tree.root(1100)) == (first.root, second.root)


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_altered_nodes_of_the_stored_tree_are_never_signed(sealed: Sealed, position: int) -> None:
    """Whether they are of what was sealed, or prepared for what will be: the records alone give what is signed."""
    sealed.grow(4, 600)
    sealed.seal()
    adversary_sealed.alter_node(sealed.engine, NORTHWIND, 8, position, b"x" * 32)
    sealed.grow(601, 1100)
    made = sealed.seal()
    assert made.root == adversary_sealed.current_root(sealed.engine, NORTHWIND, 1100)
    assert (sealed.findings(), sealed.verify().sealed) == ([], 1100)
    with sealed.engine.connect() as connection:
        assert StoredTree(connection, NORTHWIND).root(1100) == made.root, "they were made anew"


def test_cancelling_signs_and_keeps_nothing(sealed: Sealed) -> None:
    class Cancelled(Exception):
        pass

    def cancel(*_: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        seal(sealed.engine, NORTHWIND, sealed.trust, started_by=BY, progress=cancel)
    with sealed.engine.connect() as connection:
        for table in (checkpoint, verification):
            assert connection.scalar(select(func.count()).select_from(table)) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("import"), st.sampled_from([60, 250, 256, 300])),
        st.tuples(st.sampled_from(["erase", "rotate", "seal", "seal by a person", "verify by a person"]), st.none()),
        st.tuples(st.sampled_from(["incremental", "full"]), st.none()),
    ),
    min_size=3,
    max_size=9,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_an_intact_chain_is_never_accused_whatever_is_done_in_whatever_order(
    sqlite_engine: Engine, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("lab")
    keyring = Keyring(folder / "keys", "lab.example")
    keyring.create()
    lab = Sealed(sqlite_engine, folder.name.replace("_", "-"), keyring, Anchors(folder / "anchors"))
    new_organization(lab.engine, lab.id)
    acts = through = first_act = 0

    def size() -> int:
        return chain_sizes(lab.engine)[lab.id]

    for step, count in steps:
        if step in ("append", "import"):
            first_act = first_act or size() + 1  # a person may have verified before anything was done
            lab.grow(acts + 1, acts + (count or 0))
            acts += count or 0
        elif step == "erase" and acts and not erased(lab):
            with writing(lab.engine) as connection:
                erase(connection, lab.id, first_act, first_act, ["context"], actor=("user", "u-1"), reason="GDPR")
        elif step == "rotate":
            keyring.rotate(chain_sizes(lab.engine))
        elif step.startswith("seal"):
            before = size()
            made = seal(lab.engine, lab.id, lab.trust, started_by="user:u-1" if "person" in step else BY)
            assert (made.size if made else 0) == before
            through = before
        elif step == "verify by a person":
            before = size()
            done = verify_organization(lab.engine, lab.id, started_by="user:u-1", trust=lab.trust)
            assert (done.last_seq, size()) == (before, before + 1)
        else:
            options = {"incremental": step == "incremental"}
            verify_organization(lab.engine, lab.id, started_by=BY, trust=lab.trust, **options)  # type: ignore[arg-type]
        for done in (lab.verify(), lab.verify(incremental=True)):
            assert {finding.severity for finding in done.findings} <= {"info"}
            assert (done.sealed, done.anchored, done.last_seq) == (through, through, size())
            assert done.status == ("verified" if size() else "not_checked")


def erased(lab: Sealed) -> bool:
    return any(finding.code == "payload_erased" for finding in lab.verify().findings)


def test_what_was_found_before_a_seal_is_found_after_it(sealed: Sealed) -> None:
    """A finding in what is sealed already stops no later seal of what is new, and stays."""
    sealed.grow(4, 600)
    sealed.seal()
    adversary.alter_section(sealed.engine, NORTHWIND, 5, "after", "{}")
    sealed.grow(601, 610)
    assert sealed.seal().size == 610
    done = sealed.verify()
    assert (said(done), done.sealed) == ([error("payload_modified", 5, section="after")], 610)
