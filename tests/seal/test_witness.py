"""A witness cosigns what extends all that it has seen, refuses everything else, and says why."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flasktrack.core.add_checkpoint import AddCheckpoint, format_request, parse_request
from flasktrack.core.keys import ED25519_COSIGNER, ML_DSA_44, parse_vkey, signature_time
from flasktrack.core.note import format_note, parse_note, parse_signatures, sign_note
from flasktrack.errors import AnchorError, CosignRefused, InvalidNote, InvalidRequest, KeyringError, WitnessError
from flasktrack.seal.witness import Witness
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import open_note
from flasktrack.trust.keyring import TrustedKey
from tests.seal.log import ORIGIN, TIME, Log, honest, rewritten_from

NAME = "witness.example.net/w1"
NOW = datetime(2026, 11, 24, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def witness(tmp_path: Path, log: Log) -> Witness:
    """A witness that trusts the log's keys and has cosigned nothing."""
    made = Witness(tmp_path / "witness")
    made.create(NAME)
    made.trust(log.vkeys)
    return made


def cosign(witness: Witness, request: str) -> str:
    return witness.cosign(request, clock=lambda: NOW)


def refused(witness: Witness, request: str) -> CosignRefused:
    """The refusal, after which the witness knows what it knew before."""
    before = witness.logs()
    with pytest.raises(CosignRefused) as refusal:
        cosign(witness, request)
    assert witness.logs() == before
    return refusal.value


def kept(witness: Witness) -> list[int]:
    return Anchors(witness.directory / "checkpoints" / "lab.example.org").sizes("acme")


def evidence(witness: Witness) -> list[Path]:
    return sorted((witness.directory / "refused").glob("*.request"))


# Cosigning


def test_what_extends_all_that_was_seen_is_cosigned_by_both_keys_with_the_time(witness: Witness, log: Log) -> None:
    keys = [parse_vkey(vkey) for vkey in witness.vkeys()]
    assert [(key.name, key.type) for key in keys] == [(NAME, ED25519_COSIGNER), (NAME, ML_DSA_44)]
    for old, new in [(0, 3), (3, 4), (4, 8), (8, 8), (8, 21)]:
        lines = parse_signatures(cosign(witness, log.request(old, new)))
        assert [line.key_id for line in lines] == [key.key_id for key in keys]
        assert [signature_time(line.signature) for line in lines] == [int(NOW.timestamp())] * 2
        assert all(key.verifies(log.text(new), line.signature) for key, line in zip(keys, lines, strict=True))
        assert witness.logs() == [(ORIGIN, new)]
    assert kept(witness) == [3, 4, 8, 21]


def test_what_it_cosigned_is_kept_as_an_anchor_with_the_logs_signatures_and_its_own(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 5))
    [anchor] = Anchors(witness.directory / "checkpoints" / "lab.example.org").read("acme")
    trusted = [TrustedKey(key.verifier, None) for key in log.keys]
    opened = open_note(anchor.note, ORIGIN, trusted, [parse_vkey(vkey) for vkey in witness.vkeys()])
    assert (anchor.size, opened.checkpoint.size) == (5, 5)
    assert (len(opened.signers), len(opened.cosigners)) == (2, 2)


def test_signatures_of_strangers_are_neither_asked_for_nor_kept(witness: Witness, log: Log) -> None:
    note = format_note(sign_note(log.text(5), [*log.keys, *Log().keys], TIME))
    cosign(witness, format_request(AddCheckpoint(0, (), note)))
    [anchor] = Anchors(witness.directory / "checkpoints" / "lab.example.org").read("acme")
    assert len(parse_note(anchor.note).signatures) == 4


def test_logs_are_kept_apart_by_origin(witness: Witness, log: Log) -> None:
    others = [Log("lab.example.org/other"), Log("lab.example.com/acme")]
    for number, other in enumerate(others, start=2):
        witness.trust(other.vkeys)
        cosign(witness, other.request(0, number, rewritten_from(0)))
    cosign(witness, log.request(0, 9))
    assert dict(witness.logs()) == {ORIGIN: 9, "lab.example.org/other": 2, "lab.example.com/acme": 3}


def test_after_a_rotation_of_the_logs_keys_the_new_ones_are_trusted_too(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 5))
    renewed = Log()
    assert refused(witness, renewed.request(5, 6)).status == 403
    assert witness.trust(renewed.vkeys) == 2
    assert cosign(witness, renewed.request(5, 6))


def test_an_answer_that_was_lost_is_given_again(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 5))
    assert "--old 5" in str(refused(witness, log.request(0, 5)))
    assert cosign(witness, log.request(5, 5))
    assert kept(witness) == [5]


# Refusing


@pytest.mark.parametrize("first", [0, 2, 4])
@pytest.mark.parametrize("new", [5, 6, 16])
def test_a_fork_is_refused_and_kept_as_evidence(witness: Witness, log: Log, first: int, new: int) -> None:
    cosign(witness, log.request(0, 5))
    request = log.request(5, new, rewritten_from(first))
    refusal = refused(witness, request)
    assert (refusal.status, refusal.unsound, refusal.size) == (422, True, 5)
    [path] = evidence(witness)
    assert str(path) in str(refusal)
    assert path.read_text() == request
    assert kept(witness) == [5]


def test_a_fork_at_an_earlier_checkpoint_is_told_from_an_old_request(witness: Witness, log: Log) -> None:
    for old, new in [(0, 5), (5, 9)]:
        cosign(witness, log.request(old, new))
    stale = refused(witness, log.request(0, 5))
    assert (stale.status, stale.unsound, evidence(witness)) == (409, True, [])
    assert "covers 5 records, and one over 9 was cosigned before" in str(stale)
    fork = refused(witness, log.request(0, 5, rewritten_from(4)))
    assert (fork.status, len(evidence(witness))) == (422, 1)
    assert "two different histories of 5 records" in str(fork)


def test_a_log_that_lost_its_newest_records_is_refused(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 9))
    for old in (0, 8):
        refusal = refused(witness, log.request(old, 8))
        assert (refusal.status, refusal.unsound, refusal.size) == (409, True, 9)


@pytest.mark.parametrize("old", [0, 4, 6, 9])
def test_a_proof_from_elsewhere_is_refused_with_the_size_to_begin_at(witness: Witness, log: Log, old: int) -> None:
    cosign(witness, log.request(0, 5))
    refusal = refused(witness, log.request(old, 9))
    assert (refusal.status, refusal.unsound, refusal.size) == (409, False, 5)
    assert "--old 5" in str(refusal)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof[:-1],
        lambda proof: proof[1:],
        lambda proof: (*proof, bytes(32)),
        lambda proof: (),
        lambda proof: (bytes(32), *proof[1:]),
        lambda proof: proof[::-1],
    ],
    ids=["cut", "beheaded", "longer", "none", "altered", "reversed"],
)
def test_a_wrong_proof_is_refused(witness: Witness, log: Log, change: object) -> None:
    cosign(witness, log.request(0, 5))
    request = parse_request(log.request(5, 9))
    wrong = request._replace(proof=change(request.proof))  # type: ignore[operator]
    refusal = refused(witness, format_request(wrong))
    assert (refusal.status, refusal.unsound) == (422, True)
    assert cosign(witness, log.request(5, 9)), "the right one still is cosigned"


def test_a_proof_of_nothing_is_refused(witness: Witness, log: Log) -> None:
    request = parse_request(log.request(0, 5))
    assert refused(witness, format_request(request._replace(proof=(bytes(32),)))).status == 422


def test_a_log_whose_keys_are_unknown_is_refused(witness: Witness) -> None:
    refusal = refused(witness, Log("stranger.example.org/acme").request(0, 5))
    assert (refusal.status, refusal.unsound) == (404, False)
    assert "stranger.example.org/acme" in str(refusal)


def test_a_checkpoint_that_the_log_did_not_sign_is_refused(witness: Witness, log: Log) -> None:
    forged = log.note(5).replace("\n5\n", "\n6\n")
    for note in (Log().note(5), forged):
        refusal = refused(witness, format_request(AddCheckpoint(0, (), note)))
        assert (refusal.status, refusal.unsound) == (403, True)
    assert evidence(witness) == [], "which anybody could have made"


def test_what_is_no_request_is_refused(witness: Witness, log: Log) -> None:
    request = log.request(0, 5)
    for broken in ("", "old 0\n", request.replace("old 0", "old 00"), request.replace("old 0\n", "old 0\nAA==\n")):
        with pytest.raises(InvalidRequest):
            cosign(witness, broken)
    with pytest.raises(InvalidNote):
        cosign(witness, request[:-1])


def test_sending_a_fork_again_with_other_proofs_fills_no_disk(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 5))
    request = parse_request(log.request(5, 9, rewritten_from(2)))
    for number in range(5):
        refused(witness, format_request(request._replace(proof=(bytes([number]) * 32,))))
    assert len(evidence(witness)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 24), st.sampled_from([0, 3, 12, 99]), st.booleans()), max_size=8))
def test_whatever_is_asked_in_whatever_order_all_that_was_cosigned_is_one_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    log, witness = Log(), Witness(tmp_path_factory.mktemp("witness"))
    witness.create(NAME)
    witness.trust(log.vkeys)
    seen: list[tuple[int, int]] = []
    for size, first, current in steps:
        leaf = rewritten_from(first)
        old = dict(witness.logs())[ORIGIN] if current else size // 2
        try:
            cosign(witness, log.request(old, size, leaf))
        except CosignRefused:
            continue
        seen.append((size, first))
    sizes = [size for size, _ in seen]
    assert sizes == sorted(sizes)
    if seen:
        _, first = seen[-1]
        for size, other in seen:
            assert log.text(size, rewritten_from(first)) == log.text(size, rewritten_from(other))


# Its directory


def test_private_keys_are_the_witnesss_alone(witness: Witness) -> None:
    for name in ("ed25519.pem", "ml_dsa_44.pem"):
        assert (witness.directory / "keys" / name).stat().st_mode & 0o777 == 0o600
    (witness.directory / "keys" / "ed25519.pem").chmod(0o644)
    with pytest.raises(KeyringError, match="open to other users"):
        cosign(witness, Log().request(0, 5))


def test_a_passphrase_guards_the_keys_and_is_not_needed_to_hand_out_the_public_ones(tmp_path: Path, log: Log) -> None:
    locked = Witness(tmp_path / "w", "correct horse")
    locked.create(NAME)
    locked.trust(log.vkeys)
    without = Witness(tmp_path / "w")
    assert without.vkeys() == locked.vkeys()
    with pytest.raises(KeyringError, match="passphrase"):
        cosign(without, log.request(0, 5))
    assert cosign(locked, log.request(0, 5))


def test_making_it_again_changes_nothing_and_under_another_name_is_refused(witness: Witness) -> None:
    before = witness.vkeys()
    witness.create(NAME)
    assert witness.vkeys() == before
    with pytest.raises(WitnessError, match=r"is of the witness witness\.example\.net/w1"):
        witness.create("witness.example.net/w2")


@pytest.mark.parametrize("name", ["", "w1", "Witness.example/w1", "../w1", "a b/w1", "a/b/c", "a/w+1"])
def test_a_name_that_can_be_no_witnesss_is_refused_and_nothing_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(WitnessError, match="can't be a witness's name"):
        Witness(tmp_path / "w").create(name)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_witness_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for ask in (Witness(tmp_path).vkeys, Witness(tmp_path).logs, lambda: Witness(tmp_path).cosign(Log().request(0, 5))):
        with pytest.raises(WitnessError, match="witness init"):
            ask()


def test_only_keys_of_logs_that_are_not_its_own_are_trusted(witness: Witness) -> None:
    with pytest.raises(WitnessError, match="another party"):
        witness.trust(Log("witness.example.net/acme").vkeys)
    with pytest.raises(WitnessError, match="is no log's"):
        witness.trust([*Log("lab.example.org/other").vkeys, *witness.vkeys()])
    with pytest.raises(WitnessError, match="is no log's"):
        witness.trust(Log("../acme").vkeys)
    assert witness.logs() == [(ORIGIN, 0)]


def test_a_kept_checkpoint_that_was_altered_stops_cosigning(witness: Witness, log: Log) -> None:
    cosign(witness, log.request(0, 5))
    [path] = (witness.directory / "checkpoints").glob("*/*/*.note")
    for content in ("", log.note(4)):
        path.write_text(content)
        with pytest.raises(WitnessError, match="is not the checkpoint that was cosigned"):
            cosign(witness, log.request(5, 9))
    assert kept(witness) == [5]


def test_what_cannot_be_kept_is_not_cosigned(witness: Witness, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnchorError, match="can't be written"):
        cosign(witness, log.request(0, 5))
    assert kept(witness) == []


def test_of_two_forks_that_are_asked_for_at_once_one_is_cosigned(witness: Witness, log: Log) -> None:
    """Also of two sizes: the larger one may come first, but then the smaller one is refused."""
    requests = [log.request(0, size, leaf) for size in (7, 8) for leaf in (honest, rewritten_from(3))]

    def ask(request: str) -> bool:
        try:
            Witness(witness.directory).cosign(request)
        except CosignRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, requests)) == 1
    assert len(kept(witness)) == 1
