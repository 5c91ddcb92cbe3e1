"""Every attack on a sealed chain gives the findings of spec section 5 that it should, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.core.keys import SigningKey
from flasktrack.errors import UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.organizations import list_chains
from flasktrack.store.scope import machine_scope
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import list_checkpoints
from flasktrack.trust.keyring import Keyring
from tests import adversary, adversary_sealed
from tests.adversary_sealed import signed
from tests.verify.attacks import ATTACKS, SIZE, do
from tests.verify.chains import Said, error, event, grow, make_chain, said
from tests.verify.sealed import Sealed, make_sealed

Attack = Callable[[Sealed], None]


def on(attack: Callable[..., None], *arguments: object, **changes: object) -> Attack:
    return lambda sealed: attack(sealed.engine, sealed.id, *arguments, **changes)


def both(*attacks: Attack) -> Attack:
    def carry_out(sealed: Sealed) -> None:
        for attack in attacks:
            attack(sealed)

    return carry_out


def remade(seq: int) -> Attack:
    """One record with another content, and every hash from there on made anew, head mended."""
    return on(adversary.rewrite_history, seq, lambda r: r._replace(reason="x") if r.seq == seq else r)


def sign_again(*sizes: int) -> Attack:
    def carry_out(sealed: Sealed) -> None:
        for size in sizes:
            adversary_sealed.sign_again(sealed.engine, sealed.id, sealed.keyring, size)

    return carry_out


def put_note(size: int, origin: str | None = None, of_size: int | None = None, root: bytes | None = None) -> Attack:
    """A note that the true key has signed, of whatever the arguments say, in the place of one that is stored."""

    def carry_out(sealed: Sealed) -> None:
        true = sealed.keyring.signing_keys(sealed.id)
        own = adversary_sealed.current_root(sealed.engine, sealed.id, size)
        keys = [SigningKey(origin or key.name, key.private) for key in true]
        note = signed(origin or sealed.keyring.origin(sealed.id), of_size or size, root or own, keys)
        adversary_sealed.add_checkpoint(sealed.engine, sealed.id, size, own, note)

    return carry_out


def forge_signature(size: int) -> Attack:
    """A note over another root, under the signatures of the true one."""

    def carry_out(sealed: Sealed) -> None:
        with sealed.engine.connect() as connection:
            (stored,) = (c for c in list_checkpoints(connection, machine_scope(sealed.id)) if c.size == size)
        lines = stored.note.split("\n")
        lines[2] = signed("any", size, sha256(b"x").digest(), []).split("\n")[2]
        adversary_sealed.alter_checkpoint(
            sealed.engine, sealed.id, size, note="\n".join(lines), root=sha256(b"x").digest()
        )

    return carry_out


X = sha256(b"x").digest()

# Attack; findings where every checkpoint is anchored, and sealed; findings where none is, and sealed.
SEALED_ATTACKS: dict[str, tuple[Attack, list[Said], int, list[Said], int]] = {
    # history_rewritten
    "everything from the first record on": (
        remade(1), [error("history_rewritten", 1, 12)], 0, [error("history_rewritten", 1, 12)], 0,
    ),
    "from the last record of the oldest checkpoint on": (
        remade(4), [error("history_rewritten", 1, 12)], 0, [error("history_rewritten", 1, 12)], 0,
    ),
    "from the first record after it on": (
        remade(5), [error("history_rewritten", 5, 12)], 4, [error("history_rewritten", 5, 12)], 4,
    ),
    "from the first record of the newest checkpoint on": (
        remade(9), [error("history_rewritten", 9, 12)], 8, [error("history_rewritten", 9, 12)], 8,
    ),
    "the last sealed record": (
        remade(12), [error("history_rewritten", 9, 12)], 8, [error("history_rewritten", 9, 12)], 8,
    ),
    "the first unsealed record": (remade(13), [], 12, [], 12),
    "everything, and all checkpoints removed": (
        both(remade(1), on(adversary_sealed.remove_checkpoints)),
        [error("history_rewritten", 1, 12), error("checkpoint_missing", 4, 12)], 0, [], 0,
    ),
    "everything, and the checkpoints signed again with the stolen key": (
        both(remade(1), sign_again(4, 8, 12)),
        [error("history_rewritten", 1, 12), error("checkpoint_missing", 4, 12)], 0, [], 12,
    ),
    "the end, and the newest checkpoint signed again with the stolen key": (
        both(remade(9), sign_again(12)),
        [error("history_rewritten", 9, 12), error("checkpoint_missing", 12)], 8, [], 12,
    ),
    # chain_truncated
    "cut, the head left": (
        on(adversary.cut_tail, 10), [error("chain_truncated", 11, 12)], 8, [error("chain_truncated", 11, 12)], 8,
    ),
    "cut, the head mended": (
        on(adversary.cut_tail, 10, mend=True),
        [error("chain_truncated", 11, 12)], 8, [error("chain_truncated", 11, 12)], 8,
    ),
    "cut in haste, sections and links left, the head mended": (
        both(on(adversary.cut_tail, 12, mend=True), on(adversary.delete_rows_only, 11, 12), on(adversary.mend_head)),
        [error("chain_truncated", 11, 12)], 8, [error("chain_truncated", 11, 12)], 8,
    ),
    "the last sealed record cut, the head mended": (
        on(adversary.cut_tail, 11, mend=True),
        [error("chain_truncated", 12)], 8, [error("chain_truncated", 12)], 8,
    ),
    "cut at the newest checkpoint, the head mended": (on(adversary.cut_tail, 12, mend=True), [], 12, [], 12),
    "cut, the head mended, its checkpoint removed": (
        both(on(adversary.cut_tail, 10, mend=True), on(adversary_sealed.remove_checkpoints, 12)),
        [error("chain_truncated", 11, 12)], 8, [], 8,
    ),
    "cut, the head mended, all checkpoints removed": (
        both(on(adversary.cut_tail, 10, mend=True), on(adversary_sealed.remove_checkpoints)),
        [error("checkpoint_missing", 4, 8), error("chain_truncated", 11, 12)], 8, [], 0,
    ),
    "cut below the oldest checkpoint, the head mended": (
        on(adversary.cut_tail, 3, mend=True),
        [error("chain_truncated", 4, 12)], 0, [error("chain_truncated", 4, 12)], 0,
    ),
    "emptied, the head left": (
        on(adversary.empty_log), [error("chain_truncated", 1, 12)], 0, [error("chain_truncated", 1, 12)], 0,
    ),
    "emptied, the head mended": (
        on(adversary.empty_log, mend=True), [error("chain_truncated", 1, 12)], 0, [error("chain_truncated", 1, 12)], 0,
    ),
    "emptied, the head deleted": (
        both(on(adversary.empty_log), on(adversary.delete_head)),
        [error("chain_truncated", 1, 12)], 0, [error("chain_truncated", 1, 12)], 0,
    ),
    "emptied, head and checkpoints deleted": (
        both(on(adversary.empty_log), on(adversary.delete_head), on(adversary_sealed.remove_checkpoints)),
        [error("chain_truncated", 1, 12)], 0, [], 0,
    ),
    "cut, and what is left made anew": (
        both(on(adversary.cut_tail, 10), remade(6)),
        [error("history_rewritten", 5, 8), error("chain_truncated", 11, 12)], 4,
        [error("history_rewritten", 5, 8), error("chain_truncated", 11, 12)], 4,
    ),
    # checkpoint_missing
    "the oldest checkpoint removed": (
        on(adversary_sealed.remove_checkpoints, 4), [error("checkpoint_missing", 4)], 12, [], 12,
    ),
    "the newest checkpoint removed": (
        on(adversary_sealed.remove_checkpoints, 12), [error("checkpoint_missing", 12)], 12, [], 8,
    ),
    "the oldest and the newest removed": (
        on(adversary_sealed.remove_checkpoints, 4, 12),
        [error("checkpoint_missing", 4), error("checkpoint_missing", 12)], 12, [], 8,
    ),
    "all checkpoints removed": (
        on(adversary_sealed.remove_checkpoints), [error("checkpoint_missing", 4, 12)], 12, [], 0,
    ),
    # checkpoint_invalid
    "a signature forged": (
        forge_signature(8), [error("checkpoint_invalid", 8)], 12, [error("checkpoint_invalid", 8)], 12,
    ),
    "the newest signature forged": (
        forge_signature(12), [error("checkpoint_invalid", 12)], 12, [error("checkpoint_invalid", 12)], 8,
    ),
    "a note of another organization": (
        put_note(8, origin="lab.example/other"),
        [error("checkpoint_invalid", 8)], 12, [error("checkpoint_invalid", 8)], 12,
    ),
    "a note of another size": (
        put_note(8, of_size=4, root=X),  # of another history at that, which an anchor of that size outweighs
        [error("checkpoint_invalid", 8)], 12, [error("history_rewritten", 1, 4), error("checkpoint_invalid", 8)], 12,
    ),
    "an older note in the place of the newest": (
        lambda s: put_note(12, of_size=8, root=adversary_sealed.current_root(s.engine, s.id, 8))(s),
        [error("checkpoint_invalid", 12)], 12, [error("checkpoint_invalid", 12)], 8,
    ),
    "a checkpoint's root altered": (
        on(adversary_sealed.alter_checkpoint, 8, root=X),
        [error("checkpoint_invalid", 8)], 12, [error("checkpoint_invalid", 8)], 12,
    ),
    "a checkpoint's size altered": (
        on(adversary_sealed.alter_checkpoint, 12, size=11),
        [error("checkpoint_invalid", 11)], 12, [error("checkpoint_invalid", 11)], 12,
    ),
    "a checkpoint put in that nobody signed": (
        on(adversary_sealed.add_checkpoint, 6, X, "Dear inspector,\n"),
        [error("checkpoint_invalid", 6)], 12, [error("checkpoint_invalid", 6)], 12,
    ),
    "a checkpoint over records to come that nobody signed": (
        on(adversary_sealed.add_checkpoint, 99, X, signed("lab.example/any", 99, X, [])),
        [error("checkpoint_invalid", 99)], 12, [error("checkpoint_invalid", 99)], 12,
    ),
}  # fmt: skip


Attacked = tuple[Sealed, adversary_sealed.Copy]


@pytest.fixture(scope="module")
def fourteen(engine: Engine, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    """A chain that is sealed through its twelfth record, and what it was before any attack."""
    return _sealed(engine, "fourteen", keyring, tmp_path_factory, 4, 8, 12, -14)


@pytest.fixture(scope="module")
def twelve(engine: Engine, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    """A chain that is sealed through its last record."""
    return _sealed(engine, "twelve", keyring, tmp_path_factory, 4, 8, SIZE)


def _sealed(
    engine: Engine, organization_id: str, keyring: Keyring, factory: pytest.TempPathFactory, *sizes: int
) -> Attacked:
    anchors = Anchors(factory.mktemp("anchors"))
    sealed = make_sealed(Sealed(engine, organization_id, keyring, anchors), *sizes)
    return sealed, adversary_sealed.copy_database(engine, sealed.id)


@pytest.mark.parametrize("name", SEALED_ATTACKS)
def test_an_attack_gives_exactly_its_findings_with_anchors_and_without(fourteen: Attacked, name: str) -> None:
    """What is not found without them is what an anchor is for: see docs/trust.md."""
    attack, anchored, anchored_through, stored, stored_through = SEALED_ATTACKS[name]
    sealed, before = fourteen
    try:
        attack(sealed)
        done, alone = sealed.verify(), sealed.verify(anchors=False)
    finally:
        adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    assert said(done) == anchored
    assert (done.sealed, done.anchored) == (anchored_through, anchored_through)
    assert said(alone) == stored
    assert (alone.sealed, alone.anchored) == (stored_through, 0)
    for verification in (done, alone):
        sound = "verified" if verification.records else "not_checked"
        assert verification.status == ("broken" if verification.findings else sound)


def in_a_sealed_chain(name: str) -> list[Said]:
    """What an attack on a chain says where the chain is sealed through its last record."""
    expected = ATTACKS[name][1]
    cut = {
        "last record deleted": 12, "tail cut": 8, "tail cut, traces left": 8, "log emptied": 1,
    }  # fmt: skip
    rewritten = {
        "an actor's ordinal wrong": 5, "an entity's first ordinal wrong": 1, "an actor's last ordinal repeated": 9,
        "an actor's and an entity's ordinal wrong in one record": 5, "recorder's clock put back": 5,
        "recorder's clock put back for the last record": 9,
    }  # fmt: skip
    if name in cut:
        return [error("chain_truncated", cut[name], 12)]
    if name in rewritten:
        expected = [*expected, error("history_rewritten", rewritten[name], 12)]
    if name == "an act taken out, everything after it renumbered and chained anew":
        expected = [*expected, error("history_rewritten", 5, 8), error("chain_truncated", 12)]
    return sorted(expected, key=lambda finding: (finding[2], finding[0], finding[4] or ""))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_single_records_is_told_as_such_in_a_sealed_chain(twelve: Attacked, name: str) -> None:
    """And not as a rewritten history as well, unless it is one."""
    sealed, before = twelve
    try:
        for step in ATTACKS[name][0]:
            step(sealed.engine, sealed.id)
        assert sealed.findings() == in_a_sealed_chain(name)
    finally:
        adversary_sealed.replay_copy(sealed.engine, sealed.id, before)


@pytest.mark.parametrize("seq", range(1, SIZE + 1))
def test_one_record_altered_with_its_hash_still_leaves_the_rest_sealed(twelve: Attacked, seq: int) -> None:
    sealed, before = twelve
    try:
        adversary.rechain_record(sealed.engine, sealed.id, seq, reason="x")
        done = sealed.verify()
        assert said(done) == [error("chain_broken", seq + 1) if seq < SIZE else error("head_mismatch", SIZE)]
        assert (done.sealed, done.anchored) == (SIZE, SIZE)
        adversary.alter_record(sealed.engine, sealed.id, seq, reason="y")
        done = sealed.verify()
        assert error("record_modified", seq) in said(done)
        assert "history_rewritten" not in {finding.code for finding in done.findings}
    finally:
        adversary_sealed.replay_copy(sealed.engine, sealed.id, before)


@pytest.mark.parametrize(("copied", "now"), [(4, 8), (8, 12), (6, 12), (14, 20)])
@pytest.mark.parametrize("grown", [0, 2])
def test_an_older_copy_of_the_whole_database(sealed: Sealed, copied: int, now: int, grown: int) -> None:
    """With what was recorded since, it is another history; without, all that is proved is that the newest are gone."""
    steps = [size for size in (4, 8, 12, 20) if size <= copied]
    make_sealed(sealed, *steps, *([-copied] if copied not in steps else []))
    before = adversary_sealed.copy_database(sealed.engine, sealed.id)
    sealed.grow(copied + 1, now)
    sealed.seal()
    adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    if grown:
        sealed.grow(copied + 1, copied + grown)
    done = sealed.verify()
    assert said(done) == [error("chain_truncated", copied + grown + 1, now)]
    assert "older copy" in done.findings[0].detail
    assert done.sealed == max(steps)


def test_an_older_copy_that_has_outgrown_its_anchors(sealed: Sealed) -> None:
    make_sealed(sealed, 4)
    before = adversary_sealed.copy_database(sealed.engine, sealed.id)
    sealed.grow(5, 8)
    sealed.seal()
    adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    grow(sealed.engine, sealed.id, *(event(number, reason="otherwise") for number in range(5, 15)))
    assert sealed.findings() == [error("history_rewritten", 5, 8), error("checkpoint_missing", 8)]


def test_nothing_is_left_at_all(sealed: Sealed) -> None:
    make_sealed(sealed, 4, 8)
    adversary_sealed.remove_everything(sealed.engine, sealed.id)
    assert sealed.id not in list_chains(sealed.engine)
    done = sealed.verify()
    assert said(done) == [error("chain_truncated", 1, 8)]
    assert (done.status, done.records, done.sealed) == ("broken", 0, 0)
    with pytest.raises(UnknownOrganization):
        sealed.verify(anchors=False)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513])
def test_checkpoints_of_any_size_are_guarded(sealed: Sealed, size: int) -> None:
    make_sealed(sealed, size, -(size + 1))
    assert (sealed.findings(), sealed.verify().sealed) == ([], size)
    before = adversary_sealed.copy_database(sealed.engine, sealed.id)
    adversary.cut_tail(sealed.engine, sealed.id, size - 1, mend=True)
    assert sealed.findings() == [error("chain_truncated", size)]
    adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    remade(size)(sealed)
    assert sealed.findings() == [error("history_rewritten", 1, size)]


def test_after_a_rotation_both_keys_checkpoints_count_each_in_its_time(
    engine: Engine, lab: str, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "keys", "lab.example")
    keyring.create()
    sealed = make_sealed(Sealed(engine, lab, keyring, Anchors(tmp_path / "anchors")), 4, 8)
    stolen = keyring.signing_keys(lab)
    keyring.rotate({lab: 8})
    sealed.grow(9, 12)
    assert (sealed.findings(), sealed.verify().sealed) == ([], 8)
    sealed.seal()
    assert (sealed.findings(), sealed.verify().sealed) == ([], 12)
    origin = keyring.origin(lab)
    root = adversary_sealed.current_root(engine, lab, 12)
    adversary_sealed.add_checkpoint(engine, lab, 12, root, signed(origin, 12, root, stolen))
    assert sealed.findings() == [error("checkpoint_invalid", 12)]
    assert "retired" in sealed.verify().findings[0].detail


def test_an_anchor_that_was_altered_or_put_in_is_reported(sealed: Sealed) -> None:
    make_sealed(sealed, 4, 8)
    folder = sealed.anchors.directory / sealed.id
    (folder / f"{8:020d}.note").write_text("Dear inspector,\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not an anchor", encoding="utf-8")
    done = sealed.verify()
    assert said(done) == [error("checkpoint_invalid", 8)]
    assert "in the anchors" in done.findings[0].detail
    assert (done.sealed, done.anchored) == (8, 4)


def test_an_erasure_leaves_every_checkpoint_valid(sealed: Sealed) -> None:
    make_sealed(sealed, 4, 8)
    with writing(sealed.engine) as connection:
        erase(connection, sealed.id, 2, 5, ["after", "context"], actor=("user", "u-1"), reason="GDPR")
    done = sealed.verify()
    assert said(done) == [("payload_erased", "info", 2, 5, "after"), ("payload_erased", "info", 2, 5, "context")]
    assert (done.status, done.sealed) == ("verified", 8)
    sealed.seal()
    assert sealed.verify().sealed == 9


def test_one_organizations_checkpoints_do_not_speak_for_another(sealed: Sealed) -> None:
    make_sealed(sealed, 4)
    other = sealed._replace(id=f"{sealed.id}-2")
    make_chain(other.engine, other.id, 4)
    adversary.run_sql(
        sealed.engine, "UPDATE checkpoint SET organization_id = :other WHERE organization_id = :id",
        other=other.id, id=sealed.id,
    )  # fmt: skip
    assert other.findings() == [error("checkpoint_invalid", 4)]
    assert sealed.findings() == [error("checkpoint_missing", 4)]


def test_every_sentence_names_the_positions_and_fits_one_line(fourteen: Attacked) -> None:
    sealed, before = fourteen
    seen = set()
    for attack, *_ in SEALED_ATTACKS.values():
        attack(sealed)
        for finding in sealed.verify().findings:
            seen.add(finding.code)
            numbers = {int(digits) for digits in re.findall(r"\d+", finding.detail.replace(",", ""))}
            assert {finding.seq, finding.seq_end} <= numbers, finding
            assert re.fullmatch(r"[A-Z][^\n{}]+[a-z0-9)]\.", finding.detail), finding
            assert ".." not in finding.detail
        adversary_sealed.replay_copy(sealed.engine, sealed.id, before)
    assert seen == {"history_rewritten", "chain_truncated", "checkpoint_missing", "checkpoint_invalid"}


def test_a_cut_tells_what_the_head_still_counts(sealed: Sealed) -> None:
    make_sealed(sealed, 4, 8, -12)
    do(adversary.cut_tail, 6)(sealed.engine, sealed.id)
    (finding,) = sealed.verify().findings
    assert (finding.code, finding.seq, finding.seq_end) == ("chain_truncated", 7, 8)
    assert finding.detail.endswith("the chain's head still counts 12.")
