"""The log's side: what it asks a witness for, and which answers it takes into its notes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from flasktrack.core.add_checkpoint import format_request
from flasktrack.core.keys import SigningKey
from flasktrack.core.note import format_signatures, parse_note, parse_signatures, sign_note
from flasktrack.errors import InvalidNote, NotIntact, UnknownOrganization, WitnessError
from flasktrack.seal.cosigning import Cosigned, make_request, take_in
from flasktrack.seal.sealing import seal
from flasktrack.seal.witness import Witness
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import BROKEN, VERIFIED
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import StoredCheckpoint, latest_checkpoint, list_checkpoints, open_note
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust, verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record
from tests.trust.leaves import tamper_with

NAME = "witness.example.net/w1"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path / "keys", "lab.example.org")
    made.create()
    return made


@pytest.fixture
def witness(keyring: Keyring, tmp_path: Path) -> Witness:
    """A witness and a log that trust each other's keys."""
    return acquainted(tmp_path / "witness", NAME, keyring)


def acquainted(directory: Path, name: str, keyring: Keyring) -> Witness:
    made = Witness(directory)
    made.create(name)
    made.trust(keyring.vkeys([NORTHWIND, SOUTHPORT]))
    keyring.trust(made.vkeys())
    return made


@pytest.fixture
def lab(engine: Engine, keyring: Keyring) -> Engine:
    """Two organizations, whose three and two records are sealed."""
    organizations(engine, NORTHWIND, SOUTHPORT)
    sealed(engine, keyring, 3)
    sealed(engine, keyring, 2, SOUTHPORT)
    return engine


def sealed(engine: Engine, keyring: Keyring, count: int, organization: str = NORTHWIND) -> None:
    events = [event(number, before=None, after=None) for number in range(1, count + 1)]
    record(engine, *events, organization=organization)
    seal(engine, organization, Trust(keyring), started_by="test")


def newest(engine: Engine, organization: str = NORTHWIND) -> StoredCheckpoint:
    with engine.connect() as connection:
        found = latest_checkpoint(connection, machine_scope(organization))
    assert found is not None
    return found


def ask(engine: Engine, keyring: Keyring, organization: str = NORTHWIND, **options: object) -> str:
    return format_request(make_request(engine, organization, keyring, **options))  # type: ignore[arg-type]


def cosigners(engine: Engine, keyring: Keyring) -> list[list[str]]:
    """The names of the witnesses of each checkpoint, by size."""
    with engine.connect() as connection:
        notes = [row.note for row in list_checkpoints(connection, machine_scope(NORTHWIND))]
    opened = [open_note(n, keyring.origin(NORTHWIND), keyring.trusted(NORTHWIND), keyring.witnesses()) for n in notes]
    return [sorted({cosigner.key.name for cosigner in one.cosigners}) for one in opened]


def test_each_checkpoint_is_cosigned_from_the_last_one_on(lab: Engine, keyring: Keyring, witness: Witness) -> None:
    for count in (1, 4, 300):
        answer = witness.cosign(ask(lab, keyring))
        assert take_in(lab, keyring, answer, [NORTHWIND]) == Cosigned(NORTHWIND, newest(lab).size, 2)
        sealed(lab, keyring, count)
    assert ask(lab, keyring).startswith("old 8\n")
    assert cosigners(lab, keyring) == [[NAME], [NAME], [NAME], []]
    verified = verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring))
    assert (verified.status, verified.findings) == (VERIFIED, ())


def test_checkpoints_that_were_not_sent_are_covered_by_the_next_request(
    lab: Engine, keyring: Keyring, witness: Witness
) -> None:
    take_in(lab, keyring, witness.cosign(ask(lab, keyring)), [NORTHWIND])
    sealed(lab, keyring, 1)
    sealed(lab, keyring, 1)
    take_in(lab, keyring, witness.cosign(ask(lab, keyring)), [NORTHWIND])
    assert cosigners(lab, keyring) == [[NAME], [], [NAME]]


def test_an_answer_that_was_lost_can_be_asked_for_again(lab: Engine, keyring: Keyring, witness: Witness) -> None:
    witness.cosign(ask(lab, keyring))
    sealed(lab, keyring, 1)
    take_in(lab, keyring, witness.cosign(ask(lab, keyring, old=3)), [NORTHWIND])
    assert cosigners(lab, keyring) == [[], [NAME]]


def test_two_witnesses_are_asked_each_from_where_it_stands(
    lab: Engine, keyring: Keyring, witness: Witness, tmp_path: Path
) -> None:
    take_in(lab, keyring, witness.cosign(ask(lab, keyring)), [NORTHWIND])
    second = acquainted(tmp_path / "second", "auditor.example.com/w", keyring)
    sealed(lab, keyring, 1)
    with pytest.raises(WitnessError, match="Several witnesses"):
        ask(lab, keyring)
    for one in (second, witness):
        take_in(lab, keyring, one.cosign(ask(lab, keyring, witness=one.name)), [NORTHWIND])
    assert cosigners(lab, keyring) == [[NAME], ["auditor.example.com/w", NAME]]


def test_an_answer_finds_its_organization_and_its_checkpoint_even_when_it_comes_late(
    lab: Engine, keyring: Keyring, witness: Witness
) -> None:
    late = witness.cosign(ask(lab, keyring, SOUTHPORT))
    sealed(lab, keyring, 1, SOUTHPORT)
    assert take_in(lab, keyring, late, [NORTHWIND, SOUTHPORT]) == Cosigned(SOUTHPORT, 2, 2)
    assert take_in(lab, keyring, late, [NORTHWIND, SOUTHPORT]) == Cosigned(SOUTHPORT, 2, 0)
    with pytest.raises(InvalidNote, match="fits no checkpoint here"):
        take_in(lab, keyring, late, [NORTHWIND])


def test_what_the_witness_kept_is_an_anchor_that_a_verification_can_be_held_to(
    lab: Engine, keyring: Keyring, witness: Witness
) -> None:
    """The whole history is replaced by somebody who has the database and the keys; the witness has the old one."""
    take_in(lab, keyring, witness.cosign(ask(lab, keyring)), [NORTHWIND])
    anchors = Anchors(witness.directory / "checkpoints" / "lab.example.org")
    assert verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring, anchors)).anchored == 3
    for table in ("audit_record", "audit_payload", "record_link", "chain_head", "checkpoint", "tree_node"):
        tamper_with(lab, f"DELETE FROM {table} WHERE organization_id = '{NORTHWIND}'")
    tamper_with(lab, "DELETE FROM verification")
    tamper_with(lab, f"INSERT INTO chain_head VALUES ('{NORTHWIND}', 0, :zero)", zero=bytes(32))
    record(lab, *(event(number) for number in range(11, 15)))
    seal(lab, NORTHWIND, Trust(keyring), started_by="insider")
    assert verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring)).status == VERIFIED
    with pytest.raises(Exception, match="It is not proved"):
        witness.cosign(ask(lab, keyring, old=3))
    found = verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring, anchors))
    assert found.status == BROKEN
    assert "history_rewritten" in {finding.code for finding in found.findings}


# Answers that are not taken in


def test_an_answer_by_nobody_who_is_trusted_adds_nothing(lab: Engine, keyring: Keyring, witness: Witness) -> None:
    stranger = SigningKey("stranger.example", Ed25519PrivateKey.generate(), cosigns=True)
    text = parse_note(newest(lab).note).text
    lines = format_signatures(sign_note(text, [stranger], 5).signatures)
    with pytest.raises(WitnessError, match=r"stranger\.example"):
        take_in(lab, keyring, lines, [NORTHWIND])
    own = format_signatures(parse_note(newest(lab).note).signatures)
    with pytest.raises(WitnessError, match="Nobody"):
        take_in(lab, keyring, own, [NORTHWIND])
    answer = witness.cosign(ask(lab, keyring))
    assert take_in(lab, keyring, lines + answer, [NORTHWIND]).added == 2, "the stranger's line is left out"


@pytest.mark.parametrize("which", [0, 1])
def test_an_answer_with_one_wrong_signature_adds_nothing(
    lab: Engine, keyring: Keyring, witness: Witness, which: int
) -> None:
    lines = list(parse_signatures(witness.cosign(ask(lab, keyring))))
    wrong = bytearray(lines[which].signature)
    wrong[-1] ^= 1
    lines[which] = lines[which]._replace(signature=bytes(wrong))
    before = newest(lab)
    with pytest.raises(InvalidNote, match="fits no checkpoint"):
        take_in(lab, keyring, format_signatures(lines), [NORTHWIND])
    assert newest(lab) == before


def test_a_cosignature_without_a_time_is_not_taken_in(lab: Engine, keyring: Keyring) -> None:
    timeless = SigningKey("w.example", Ed25519PrivateKey.generate(), cosigns=True)
    keyring.trust([timeless.verifier.vkey])
    lines = format_signatures(sign_note(parse_note(newest(lab).note).text, [timeless], 0).signatures)
    with pytest.raises(InvalidNote, match="fits no checkpoint"):
        take_in(lab, keyring, lines, [NORTHWIND])


@pytest.mark.parametrize("answer", ["", "flasktrack: It failed.\n", "\u2014 w x\n"])
def test_what_is_no_answer_adds_nothing(lab: Engine, keyring: Keyring, answer: str) -> None:
    with pytest.raises(InvalidNote):
        take_in(lab, keyring, answer, [NORTHWIND])


# Requests that can't be made


def test_without_a_witness_or_a_checkpoint_it_says_what_to_do(engine: Engine, keyring: Keyring, tmp_path: Path) -> None:
    organizations(engine)
    with pytest.raises(UnknownOrganization):
        ask(engine, keyring, "nobody")
    with pytest.raises(WitnessError, match="keys trust FILE"):
        ask(engine, keyring)
    acquainted(tmp_path / "witness", NAME, keyring)
    with pytest.raises(WitnessError, match="no trusted witness 'other"):
        ask(engine, keyring, witness="other.example/w")
    with pytest.raises(WitnessError, match="flasktrack checkpoint"):
        ask(engine, keyring)


@pytest.mark.parametrize("old", [-1, 4])
def test_a_size_that_the_log_never_had_is_refused(lab: Engine, keyring: Keyring, witness: Witness, old: int) -> None:
    with pytest.raises(WitnessError, match="covers 3 records"):
        ask(lab, keyring, old=old)


def test_a_stored_tree_that_proves_nothing_is_not_sent(lab: Engine, keyring: Keyring, witness: Witness) -> None:
    take_in(lab, keyring, witness.cosign(ask(lab, keyring)), [NORTHWIND])
    sealed(lab, keyring, 4)
    tamper_with(lab, f"UPDATE audit_record SET hash = :hash WHERE seq = 2 AND organization_id = '{NORTHWIND}'",
                hash=bytes(32))  # fmt: skip
    with pytest.raises(NotIntact, match="does not prove"):
        ask(lab, keyring)


def test_a_forged_cosignature_in_the_database_breaks_the_checkpoint(
    lab: Engine, keyring: Keyring, witness: Witness
) -> None:
    answer = witness.cosign(ask(lab, keyring))
    take_in(lab, keyring, answer, [NORTHWIND])
    sealed(lab, keyring, 1)
    note = newest(lab).note + answer  # moved from an older checkpoint onto this one
    tamper_with(
        lab, f"UPDATE checkpoint SET note = :note WHERE size = 4 AND organization_id = '{NORTHWIND}'", note=note
    )
    found = verify_organization(lab, NORTHWIND, started_by="test", trust=Trust(keyring))
    assert [(finding.code, finding.seq) for finding in found.findings] == [("checkpoint_invalid", 4)]
    assert NAME in found.findings[0].detail
    with pytest.raises(InvalidNote, match="is wrong"):
        ask(lab, keyring)
