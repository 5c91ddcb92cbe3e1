"""Notes, checkpoints and keys: the vectors, strict parsing, and signatures that must not count."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from flasktrack.core.keys import (
    ED25519,
    ED25519_COSIGNER,
    ML_DSA_44,
    SigningKey,
    VerifierKey,
    parse_vkey,
    signature_time,
)
from flasktrack.core.merkle import root, subtrees_of
from flasktrack.core.note import (
    Note,
    Signature,
    format_note,
    format_signatures,
    parse_note,
    parse_signatures,
    sign_note,
    verified_signatures,
)
from flasktrack.errors import InvalidKey, InvalidNote

VECTORS = Path(__file__).parent.parent / "vectors"
VECTOR = json.loads((VECTORS / "checkpoint.json").read_text(encoding="utf-8"))
RECORDS = json.loads((VECTORS / "records.json").read_text(encoding="utf-8"))
ORIGIN = "flasktrack.example.org/northwind-labs"
TRUSTED = [parse_vkey(vkey) for vkey in VECTOR["vkeys"]]
ED = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTOR["ed25519_private_key"])))
ML = SigningKey(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(VECTOR["ml_dsa_44_seed"])))


def _checkpoint() -> Checkpoint:
    leaves = [bytes.fromhex(entry["record"]["hash"]) for entry in RECORDS]
    return Checkpoint(ORIGIN, len(leaves), root(len(leaves), subtrees_of(leaves)))


def _decide(stored: str) -> list[VerifierKey]:
    note = parse_note(stored)
    keys = [key for key, _ in verified_signatures(note, TRUSTED)]
    if parse_checkpoint(note.text).origin != ORIGIN:
        raise InvalidNote("another origin")
    return keys


def test_the_keys_vkeys_are_those_of_the_vector() -> None:
    assert [ED.verifier.vkey, ML.verifier.vkey] == VECTOR["vkeys"]
    assert [key.type for key in TRUSTED] == [ED25519, ML_DSA_44]


def test_the_vectors_checkpoint_covers_its_records_and_both_signatures_verify() -> None:
    assert parse_note(VECTOR["checkpoint"]).text == format_checkpoint(_checkpoint())
    assert _decide(VECTOR["checkpoint"]) == TRUSTED


def test_signing_reproduces_the_ed25519_line_and_makes_an_ml_dsa_line_that_verifies() -> None:
    note = sign_note(format_checkpoint(_checkpoint()), [ED, ML], VECTOR["time"])
    ours, theirs = format_note(note).split("\n"), VECTOR["checkpoint"].split("\n")
    assert ours[:5] == theirs[:5]
    assert _decide(format_note(note)) == TRUSTED
    assert note.signatures[1].signature[:8] == parse_note(VECTOR["checkpoint"]).signatures[1].signature[:8]


@pytest.mark.parametrize("stored", VECTOR["rejected"], ids=["other size", "other origin", "no signature"])
def test_the_vectors_rejected_checkpoints_are_rejected(stored: str) -> None:
    with pytest.raises(InvalidNote):
        _decide(stored)


def test_a_signature_by_an_unknown_key_is_ignored_but_is_not_enough() -> None:
    stranger = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    text = format_checkpoint(_checkpoint())
    both = sign_note(text, [stranger, ED], 0)
    assert [key for key, _ in verified_signatures(both, TRUSTED)] == [ED.verifier]
    with pytest.raises(InvalidNote, match="No trusted key"):
        verified_signatures(sign_note(text, [stranger], 0), TRUSTED)


def test_one_wrong_signature_by_a_known_key_rejects_the_note_even_beside_a_good_one() -> None:
    note = sign_note(format_checkpoint(_checkpoint()), [ED, ML], 5)
    broken = bytearray(note.signatures[1].signature)
    broken[-1] ^= 1
    forged = Note(note.text, (note.signatures[0], note.signatures[1]._replace(signature=bytes(broken))))
    with pytest.raises(InvalidNote, match="is wrong"):
        verified_signatures(forged, TRUSTED)


def test_an_ml_dsa_signature_holds_for_its_time_only() -> None:
    note = sign_note(format_checkpoint(_checkpoint()), [ML], 5)
    later = (6).to_bytes(8) + note.signatures[0].signature[8:]
    assert not ML.verifier.verifies(note.text, later)


def test_a_witness_signs_the_time_and_the_text_as_tlog_cosignature_writes_them() -> None:
    """The example of C2SP tlog-cosignature, byte for byte."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    private = Ed25519PrivateKey.generate()
    witness = SigningKey("witness.example.com/w1", private, cosigns=True)
    signature = witness.sign(text, 1679315147)
    assert (signature[:8], len(signature)) == (bytes.fromhex("00000000641850cb"), 72)
    assert signature_time(signature) == 1679315147
    private.public_key().verify(signature[8:], f"cosignature/v1\ntime 1679315147\n{text}".encode())
    assert witness.verifier.type == ED25519_COSIGNER
    assert witness.verifier.verifies(text, signature)


def test_a_witness_signature_holds_for_its_time_its_text_and_its_type_of_key_only() -> None:
    private = Ed25519PrivateKey.generate()
    witness = SigningKey("witness.example", private, cosigns=True)
    plain = SigningKey("witness.example", private)
    text = format_checkpoint(_checkpoint())
    signature = witness.sign(text, 5)
    assert not witness.verifier.verifies(text, (6).to_bytes(8) + signature[8:])
    assert not witness.verifier.verifies(text.replace("\n4\n", "\n5\n"), signature)
    assert not witness.verifier.verifies(text, plain.sign(text, 5))
    assert not plain.verifier.verifies(text, signature[8:])
    assert witness.verifier.key_id != plain.verifier.key_id
    assert parse_vkey(witness.verifier.vkey) == witness.verifier


@pytest.mark.parametrize("signature", [b"", bytes(7), b"\x80" + bytes(71), bytes(8)])
def test_a_timed_signature_without_a_time_or_without_a_signature_does_not_verify(signature: bytes) -> None:
    witness = SigningKey("witness.example", Ed25519PrivateKey.generate(), cosigns=True)
    assert not witness.verifier.verifies(format_checkpoint(_checkpoint()), signature)
    assert not ML.verifier.verifies(format_checkpoint(_checkpoint()), signature)


def test_an_ml_dsa_key_signs_checkpoints_only() -> None:
    with pytest.raises(InvalidNote, match="not a checkpoint"):
        ML.sign("some other text\n", 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.replace("\n4\n", "\n04\n"),
        lambda s: s.replace("\n4\n", "\n+4\n"),
        lambda s: s.replace("\n4\n", "\n4 \n"),
        lambda s: s.replace("\n", "\r\n"),
        lambda s: s + "\u2014 \x9b2Jkey AAAAAAAA\n",
        lambda s: s + "\u2014 \u202egnp.key AAAAAAAA\n",
        lambda s: s[:-1],
        lambda s: s + "\n",
        lambda s: s.replace("\n\n", "\nextension\n\n"),
        lambda s: s.replace("\u2014", "-"),
        lambda s: s.replace("P340=", "P341="),  # bits beyond the 32 bytes
        lambda s: s.replace("P340=", "P340"),
        lambda s: "",
    ],
    ids=[
        "zero",
        "sign",
        "space",
        "CRLF",
        "C1 in a name",
        "text turned around",
        "cut",
        "more",
        "extension",
        "dash",
        "stray bits",
        "unpadded",
        "empty",
    ],
)
def test_anything_but_the_one_way_to_write_a_checkpoint_is_refused(change: object) -> None:
    with pytest.raises(InvalidNote):
        _decide(change(VECTOR["checkpoint"]))  # type: ignore[operator]


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=60),
    st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=4),
)
def test_a_note_comes_back_as_it_was_written(text: str, blobs: list[bytes]) -> None:
    note = Note(f"{text}\n", tuple(Signature("k.example/1", b"abcd", blob) for blob in blobs))
    assert parse_note(format_note(note)) == note


def test_signature_lines_by_themselves_are_read_as_strictly_as_in_a_note() -> None:
    lines = format_signatures(parse_note(VECTOR["checkpoint"]).signatures)
    assert parse_signatures(lines) == parse_note(VECTOR["checkpoint"]).signatures
    for broken in ("", "\n", lines[:-1], f"{lines}\n", f"\n{lines}", f"text\n\n{lines}", VECTOR["checkpoint"]):
        with pytest.raises(InvalidNote):
            parse_signatures(broken)


@given(st.text(max_size=200))
def test_arbitrary_text_is_refused_and_nothing_worse(stored: str) -> None:
    with pytest.raises(InvalidNote):
        _decide(stored)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000+",
        "name+00000000+AQ==",
        VECTOR["vkeys"][0].replace("+81aef152+", "+81aef153+"),
        VECTOR["vkeys"][0].replace("flasktrack", "flask track"),
        VECTOR["vkeys"][0].replace("81aef152", "81AEF152"),
        VECTOR["vkeys"][0] + "\n",
        f"n+00000000+{base64.b64encode(bytes(33)).decode()}",
    ],
)
def test_a_vkey_that_is_not_one_is_refused(vkey: str) -> None:
    with pytest.raises(InvalidKey):
        parse_vkey(vkey)
