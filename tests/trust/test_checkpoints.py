"""Checkpoints come back as they were stored, one a size; a note is believed for its trusted signatures alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import Engine, select

from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.keys import SigningKey
from flasktrack.core.note import Note, Signature, format_note, parse_note, sign_note
from flasktrack.errors import CheckpointConflict, InvalidNote
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.schema import checkpoint
from flasktrack.store.scope import machine_scope
from flasktrack.trust.checkpoints import (
    Cosigner,
    Opened,
    StoredCheckpoint,
    add_cosignatures,
    latest_checkpoint,
    list_checkpoints,
    open_note,
    store_checkpoint,
)
from flasktrack.trust.keyring import TrustedKey
from tests.store.samples import NORTHWIND, SOUTHPORT
from tests.trust.leaves import leaf, tamper_with

ORIGIN = f"flasktrack.example.org/{NORTHWIND}"
ED = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
ML = SigningKey(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes(32)))
RETIRED = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
WITNESS = SigningKey("witness.example.net", Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32))
TRUSTED = [
    TrustedKey(ED.verifier, None), TrustedKey(ML.verifier, None), TrustedKey(RETIRED.verifier, 100),
]  # fmt: skip
TIME = 1_795_000_000


def made(size: int = 7, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, leaf(size))


def note(*keys: SigningKey, size: int = 7, origin: str = ORIGIN) -> Note:
    return sign_note(format_checkpoint(made(size, origin)), keys, TIME)


def row(size: int, *keys: SigningKey, organization: str = NORTHWIND) -> StoredCheckpoint:
    stored = format_note(note(*(keys or (ED,)), size=size))
    return StoredCheckpoint(organization, size, leaf(size), stored, "2026-11-24T05:06:07.123456Z")


def store(engine: Engine, *stored: StoredCheckpoint) -> None:
    with writing(engine) as connection:
        for one in stored:
            store_checkpoint(connection, one)


def listed(engine: Engine, organization: str = NORTHWIND) -> list[StoredCheckpoint]:
    with engine.connect() as connection:
        return list_checkpoints(connection, machine_scope(organization))


def latest(engine: Engine, organization: str = NORTHWIND) -> StoredCheckpoint | None:
    with engine.connect() as connection:
        return latest_checkpoint(connection, machine_scope(organization))


# Rows


def test_checkpoints_come_back_by_size_each_organizations_own(engine: Engine) -> None:
    assert (listed(engine), latest(engine)) == ([], None)
    rows = [row(9, ED, ML), row(10_000_000_000), row(100)]
    theirs = row(11, organization=SOUTHPORT)
    store(engine, *rows, theirs)
    assert listed(engine) == sorted(rows, key=lambda stored: stored.size)
    assert latest(engine) == rows[1]
    assert (listed(engine, SOUTHPORT), latest(engine, SOUTHPORT)) == ([theirs], theirs)


def test_a_checkpoint_is_kept_in_the_callers_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        store_checkpoint(connection, row(9))
        connection.rollback()
    assert listed(engine) == []


def test_cosignatures_are_taken_into_the_note_that_is_kept(engine: Engine) -> None:
    store(engine, row(9), row(9))
    cosigned = row(9, ED, WITNESS)
    store(engine, cosigned)
    assert listed(engine) == [cosigned]
    store(engine, cosigned._replace(created_at="2030-01-01T00:00:00.000000Z"))
    assert listed(engine) == [cosigned]


@pytest.mark.parametrize(
    "other",
    [
        row(9, ED)._replace(root=leaf(1)),
        row(9, ED, ML)._replace(root=leaf(1)),
        row(9, ED),
        row(9, WITNESS, ED),
        row(9, ED, WITNESS)._replace(note=""),
    ],
    ids=["root", "root, note longer", "note shorter", "note other", "no note"],
)
def test_another_checkpoint_of_that_size_is_refused_and_the_kept_one_stays(
    engine: Engine, other: StoredCheckpoint
) -> None:
    kept = row(9, ED, WITNESS)
    store(engine, kept)
    with pytest.raises(CheckpointConflict, match=r"over 9 records of northwind-labs .* Run a verification"):
        store(engine, row(12), other)
    assert listed(engine) == [kept]


def test_two_that_store_the_same_at_once_keep_one(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    initialize(engine)
    with engine.connect() as first, ThreadPoolExecutor(2) as threads:
        store_checkpoint(first, row(9))
        same = threads.submit(store, engine, row(9))
        other = threads.submit(store, engine, row(9)._replace(root=leaf(1)))
        with pytest.raises(TimeoutError):
            same.result(0.3)
        first.commit()
        same.result(20)
        with pytest.raises(CheckpointConflict):
            other.result(20)
    assert listed(engine) == [row(9)]
    engine.dispose()


def test_whatever_sqlite_was_made_to_keep_is_read_and_not_believed(sqlite_engine: Engine) -> None:
    store(sqlite_engine, row(3), row(9))
    tamper_with(
        sqlite_engine,
        "UPDATE checkpoint SET size = 'many', root = 'text', note = x'FF00', created_at = 4.5 WHERE size = 3",
    )
    found, sound = listed(sqlite_engine)
    assert sound == row(9)
    assert (found.size, found.root, type(found.note), found.created_at) == (0, b"text", str, "4.5")
    with pytest.raises(InvalidNote):
        open_note(found.note, ORIGIN, TRUSTED)
    assert latest(sqlite_engine) is not None


def test_nulls_behind_constraints_that_were_dropped_are_read_and_not_believed(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    initialize(engine)
    store(engine, row(9))
    for name in ("root", "note", "created_at"):
        tamper_with(engine, f"ALTER TABLE checkpoint ALTER {name} DROP NOT NULL")
        tamper_with(engine, f"UPDATE checkpoint SET {name} = NULL")
    assert listed(engine) == [StoredCheckpoint(NORTHWIND, 9, b"", "", "")]
    engine.dispose()


def test_the_columns_are_what_was_given(engine: Engine) -> None:
    store(engine, row(9))
    with engine.connect() as connection:
        assert tuple(connection.execute(select(checkpoint)).one()) == tuple(row(9))


# Notes


def opened(stored: Note | str, trusted: Sequence[TrustedKey] = TRUSTED, origin: str = ORIGIN) -> Opened:
    return open_note(stored if isinstance(stored, str) else format_note(stored), origin, trusted)


def wrong(signed: Note, line: int) -> Note:
    """The note with a bit of one signature flipped."""
    lines = list(signed.signatures)
    bad = bytes([*lines[line].signature[:-1], lines[line].signature[-1] ^ 1])
    lines[line] = lines[line]._replace(signature=bad)
    return Note(signed.text, tuple(lines))


def test_a_note_says_its_checkpoint_and_which_trusted_keys_signed_it() -> None:
    assert opened(note(ED, ML)) == Opened(made(), (ED.verifier, ML.verifier))
    assert opened(note(ML, WITNESS, RETIRED)) == Opened(made(), (ML.verifier, RETIRED.verifier))
    assert opened(note(ED, ED)).signers == (ED.verifier,)


@pytest.mark.parametrize(("size", "believed"), [(0, True), (99, True), (100, True), (101, False), (10**12, False)])
def test_a_retired_key_is_trusted_up_to_the_size_at_which_it_was(size: int, believed: bool) -> None:
    signed = note(RETIRED, size=size)
    if believed:
        assert opened(signed) == Opened(made(size), (RETIRED.verifier,))
    else:
        with pytest.raises(InvalidNote, match=rf"Only keys that were retired before record {size:,} have signed"):
            opened(signed)
    assert opened(note(RETIRED, ED, size=size)).signers[-1] == ED.verifier


def test_a_key_that_is_trusted_again_without_limit_is_trusted() -> None:
    trusted = [TrustedKey(RETIRED.verifier, 100), TrustedKey(RETIRED.verifier, None)]
    assert opened(note(RETIRED, size=101), trusted).signers == (RETIRED.verifier,)


@pytest.mark.parametrize("trusted", [[], [TrustedKey(RETIRED.verifier, None)]])
def test_a_note_that_no_trusted_key_signed_is_refused(trusted: list[TrustedKey]) -> None:
    with pytest.raises(InvalidNote, match="No trusted key has signed"):
        opened(note(ED, WITNESS), trusted)


@pytest.mark.parametrize(("line", "size"), [(0, 7), (1, 7), (2, 7), (2, 101)])
def test_a_known_keys_bad_signature_rejects_the_note_beside_good_ones(line: int, size: int) -> None:
    signed = note(ED, ML, RETIRED, size=size)
    assert opened(signed).checkpoint.size == size
    with pytest.raises(InvalidNote, match="is wrong"):
        opened(wrong(signed, line))


def test_an_unknown_keys_bad_signature_is_ignored() -> None:
    assert opened(wrong(note(ED, WITNESS), 1)).signers == (ED.verifier,)


def test_a_signature_of_another_size_or_root_is_none() -> None:
    signed = note(ED, ML)
    for other in (made(8), made()._replace(root=leaf(1))):
        with pytest.raises(InvalidNote, match="is wrong"):
            opened(signed._replace(text=format_checkpoint(other)))


def test_another_origin_is_refused_even_if_rightly_signed() -> None:
    theirs = f"flasktrack.example.org/{SOUTHPORT}"
    signed = note(ED, origin=theirs)
    assert opened(signed, origin=theirs).signers == (ED.verifier,)
    with pytest.raises(InvalidNote, match=f"is of {theirs}, not of {ORIGIN}"):
        opened(signed)


@pytest.mark.parametrize("stored", ["", "nonsense", format_checkpoint(made()), format_note(note(ED))[:-1]])
def test_what_is_no_note_is_refused(stored: str) -> None:
    with pytest.raises(InvalidNote):
        opened(stored)


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(InvalidNote, match="not a checkpoint"):
        opened(sign_note("Everything is fine.\n", [ED], TIME))


def test_a_line_that_claims_a_known_keys_name_and_id_must_verify() -> None:
    forged = Note(note(ED).text, (*note(ML).signatures, Signature(ORIGIN, ED.verifier.key_id, bytes(64))))
    assert parse_note(format_note(forged)) == forged
    with pytest.raises(InvalidNote, match="is wrong"):
        opened(forged)


# Witnesses

COSIGNERS = [
    SigningKey("witness.example.net", Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32), cosigns=True),
    SigningKey("witness.example.net", MLDSA44PrivateKey.from_seed_bytes(bytes([3]) * 32)),
]
KNOWN = [key.verifier for key in COSIGNERS]


def test_a_known_witness_is_named_with_the_time_at_which_it_cosigned() -> None:
    cosigned = open_note(format_note(note(ED, *COSIGNERS)), ORIGIN, TRUSTED, KNOWN)
    assert cosigned == Opened(made(), (ED.verifier,), tuple(Cosigner(key, TIME) for key in KNOWN))


def test_a_known_witness_has_no_part_in_a_note_that_it_did_not_cosign() -> None:
    assert open_note(format_note(note(ED)), ORIGIN, TRUSTED, KNOWN) == Opened(made(), (ED.verifier,))


def test_witnesses_alone_vouch_for_nothing() -> None:
    with pytest.raises(InvalidNote, match="No trusted key"):
        open_note(format_note(note(*COSIGNERS)), ORIGIN, TRUSTED, KNOWN)


@pytest.mark.parametrize("which", [1, 2])
def test_a_wrong_cosignature_of_a_known_witness_rejects_the_note(which: int) -> None:
    forged = format_note(wrong(note(ED, *COSIGNERS), which))
    with pytest.raises(InvalidNote, match=r"witness\.example\.net .* is wrong"):
        open_note(forged, ORIGIN, TRUSTED, KNOWN)
    assert open_note(forged, ORIGIN, TRUSTED).signers == (ED.verifier,), "a stranger's line is ignored"


def test_cosignatures_are_added_once_each_at_the_end_of_the_note(engine: Engine) -> None:
    kept = row(7, ED, ML)
    store(engine, kept)
    lines = note(*COSIGNERS, size=7).signatures
    later = sign_note(format_checkpoint(made()), COSIGNERS, TIME + 1).signatures
    with writing(engine) as connection:
        assert add_cosignatures(connection, NORTHWIND, 7, lines[:1]) == 1
    with writing(engine) as connection:
        assert add_cosignatures(connection, NORTHWIND, 7, [*later, *lines]) == 1
        assert add_cosignatures(connection, NORTHWIND, 7, lines) == 0
    with engine.connect() as connection:
        [stored] = list_checkpoints(connection, machine_scope(NORTHWIND))
    assert stored.note.startswith(kept.note)
    assert len(open_note(stored.note, ORIGIN, TRUSTED, KNOWN).cosigners) == 2
    assert stored == kept._replace(note=stored.note)


def test_a_checkpoint_that_is_not_there_gets_no_cosignature(engine: Engine) -> None:
    with writing(engine) as connection, pytest.raises(CheckpointConflict, match="no checkpoint over 7"):
        add_cosignatures(connection, NORTHWIND, 7, note(*COSIGNERS).signatures)


def test_a_note_takes_no_more_lines_than_can_be_read_again(engine: Engine) -> None:
    store(engine, row(7))
    lines = [Signature("w.example", number.to_bytes(4), b"-") for number in range(64)]
    with writing(engine) as connection, pytest.raises(InvalidNote, match="too many"):
        add_cosignatures(connection, NORTHWIND, 7, lines)
    with engine.connect() as connection:
        assert list_checkpoints(connection, machine_scope(NORTHWIND)) == [row(7)]


def test_two_witnesses_that_answer_at_once_are_both_added(engine: Engine) -> None:
    store(engine, row(7))

    def add(signer: SigningKey) -> int:
        with writing(engine) as connection:
            return add_cosignatures(connection, NORTHWIND, 7, note(signer).signatures)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(add, COSIGNERS)) == [1, 1]
    with engine.connect() as connection:
        [stored] = list_checkpoints(connection, machine_scope(NORTHWIND))
    assert {cosigner.key for cosigner in open_note(stored.note, ORIGIN, TRUSTED, KNOWN).cosigners} == set(KNOWN)
