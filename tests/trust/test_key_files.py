"""PEM files come back as they were written; the vectors' keys go through them; nothing is written over; kill -9."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.core.keys import ED25519, ML_DSA_44, PrivateKey
from flasktrack.core.note import format_note, parse_note, sign_note
from flasktrack.errors import InvalidKey, KeyringError
from flasktrack.trust import key_files
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.public_keys import PublicKey, format_public_keys, in_use, parse_public_keys, retire

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "checkpoint.json").read_text(encoding="utf-8"))
DEPLOYMENT = "flasktrack.example.org"
PAIR: dict[int, PrivateKey] = {
    ED25519: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTOR["ed25519_private_key"])),
    ML_DSA_44: MLDSA44PrivateKey.from_seed_bytes(bytes.fromhex(VECTOR["ml_dsa_44_seed"])),
}
CRASH_POINTS = ("fsync", "link", "replace", "unlink")  # what a name or a content is put on the disk with

passphrases = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
sizes = st.dictionaries(st.sampled_from(["acme", "other", "northwind-labs"]), st.integers(0, 2**63 - 1))


def put_vector_keys(directory: Path, passphrase: str | None) -> None:
    directory.mkdir(0o700)
    for kind, key in PAIR.items():
        key_files.write_new(directory / key_files.KEY_FILES[kind], key_files.encode_key(key, passphrase))


@pytest.mark.parametrize("passphrase", [None, "a passphrase"])
def test_the_vectors_keys_sign_the_vectors_checkpoint_from_their_pem_files(
    tmp_path: Path, passphrase: str | None
) -> None:
    put_vector_keys(tmp_path / "keys", passphrase)
    keyring = Keyring(tmp_path / "keys", DEPLOYMENT, passphrase)
    keyring.create()  # takes in what is there
    assert keyring.vkeys(["northwind-labs"]) == VECTOR["vkeys"]
    note = parse_note(VECTOR["checkpoint"])
    signed = sign_note(note.text, keyring.signing_keys("northwind-labs"), VECTOR["time"])
    assert format_note(signed).split("\n")[:5] == VECTOR["checkpoint"].split("\n")[:5]
    assert keyring.trusted("northwind-labs")[1].key.verifies(note.text, note.signatures[1].signature)


def test_a_pair_that_was_put_there_is_used_even_before_create(tmp_path: Path) -> None:
    put_vector_keys(tmp_path / "keys", None)
    keyring = Keyring(tmp_path / "keys", DEPLOYMENT)
    assert [key.verifier.vkey for key in keyring.signing_keys("northwind-labs")] == VECTOR["vkeys"]
    keyring.rotate({"northwind-labs": 4})
    assert [key.key.vkey for key in keyring.trusted("northwind-labs") if key.until == 4] == VECTOR["vkeys"]


@given(st.binary(min_size=32, max_size=32), st.sampled_from([ED25519, ML_DSA_44]), passphrases)
def test_any_key_comes_back_from_its_file_with_its_passphrase_alone(
    seed: bytes, kind: int, passphrase: str | None
) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed) if kind == ED25519 else MLDSA44PrivateKey.from_seed_bytes(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key.pem"
        key_files.write_new(path, key_files.encode_key(key, passphrase))
        assert key_files.read_key(path, kind, passphrase).private_bytes_raw() == seed
        with pytest.raises(KeyringError):
            key_files.read_key(path, kind, f"{passphrase}x")
        with pytest.raises(KeyringError):
            key_files.read_key(path, ED25519 + ML_DSA_44 - kind, passphrase)


@given(st.lists(sizes, max_size=4))
def test_public_keys_come_back_as_they_were_written(rotations: list[dict[str, int]]) -> None:
    keys: list[PublicKey] = []
    for number, retired_at in enumerate([*rotations, None]):
        keys += [PublicKey(ED25519, bytes([number]) * 32), PublicKey(ML_DSA_44, bytes([number]) * 1312)]
        assert parse_public_keys(format_public_keys(keys)) == keys
        assert in_use(keys) == {ED25519: bytes([number]) * 32, ML_DSA_44: bytes([number]) * 1312}
        if retired_at is not None:
            keys = retire(keys, retired_at)
    assert [key.retired_at for key in keys[:-2:2]] == rotations


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["keys", "type", "public", "retired_at"]), inner),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_as_public_keys_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(InvalidKey):
        parse_public_keys(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row | {"public": row["public"][4:]},
        lambda row: row | {"type": "RSA"},
        lambda row: row | {"retired_at": {"acme": -1}},
        lambda row: row | {"retired_at": {"acme": 1.5}},
        lambda row: row | {"retired_at": {"acme": True}},
        lambda row: row | {"retired_at": {"acme": 1}},  # then none is in use
        lambda row: {name: value for name, value in row.items() if name != "retired_at"},
    ],
    ids=["short", "type", "negative", "fraction", "boolean", "none in use", "unsaid"],
)
@pytest.mark.parametrize("place", [0, 1])
def test_one_wrong_public_key_refuses_them_all(change: Callable[[Any], Any], place: int) -> None:
    rows = json.loads(format_public_keys([PublicKey(ED25519, bytes(32)), PublicKey(ML_DSA_44, bytes(1312))]))["keys"]
    rows[place] = change(rows[place])
    with pytest.raises(InvalidKey):
        parse_public_keys(json.dumps({"keys": rows}).encode())


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "ed25519.pem"
    path.write_bytes(b"somebody's key")
    with pytest.raises(KeyringError, match="can't be written"):
        key_files.write_new(path, b"another")
    staged = tmp_path / "ed25519.pem.new"
    staged.write_bytes(b"another")
    with pytest.raises(KeyringError, match="can't be written"):
        key_files.move(staged, path, over=False)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "ed25519.pem": b"somebody's key", "ed25519.pem.new": b"another",
    }  # fmt: skip


# Killed while it writes


def killed_before_call(number: int, act: Callable[[], None]) -> bool:
    """Run it in another process, which ends there and then before its n-th change on the disk; whether it did so."""
    child = os.fork()
    if child == 0:
        left = [number]

        def counting(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*arguments: Any, **options: Any) -> Any:
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                return call(*arguments, **options)

            return wrapped

        try:
            for name in CRASH_POINTS:
                setattr(os, name, counting(getattr(os, name)))
            act()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


@pytest.mark.parametrize("passphrase", [None, "a passphrase"])
def test_create_that_is_killed_anywhere_is_finished_by_the_next(tmp_path: Path, passphrase: str | None) -> None:
    for number in range(100):
        keyring = Keyring(tmp_path / str(number), DEPLOYMENT, passphrase)
        if not killed_before_call(number, keyring.create):
            break
        keyring.create()
        assert [key.verifier for key in keyring.signing_keys("acme")] == [key.key for key in keyring.trusted("acme")]
        keyring.rotate({"acme": 1})
        assert len(keyring.trusted("acme")) == 4
    assert 10 < number < 99


@pytest.mark.parametrize("was_encrypted", [False, True])
def test_a_rotation_that_is_killed_anywhere_leaves_a_pair_that_signs_and_is_trusted(
    tmp_path: Path, was_encrypted: bool
) -> None:
    outcomes = set()
    for number in range(100):
        Keyring(tmp_path / str(number), DEPLOYMENT, "a passphrase" if was_encrypted else None).create()
        keyring = Keyring(tmp_path / str(number), DEPLOYMENT, "a passphrase")
        old = [key.key for key in keyring.trusted("acme")]
        killed = killed_before_call(number, lambda keyring=keyring: keyring.rotate({"acme": 5}))  # type: ignore[misc]
        trusted = dict(keyring.trusted("acme"))
        rotated = trusted[old[0]] == 5
        outcomes.add(rotated)
        assert [trusted[key] for key in old] == ([5, 5] if rotated else [None, None])
        if rotated or was_encrypted:
            signing = [key.verifier for key in keyring.signing_keys("acme")]
            assert [trusted[key] for key in signing] == [None, None]
            assert (signing == old) is not rotated
        keyring.rotate({"acme": 6})
        expected = [None, None, *([5, 5] if rotated else []), 6, 6]
        assert [key.until for key in keyring.trusted("acme")] == expected
        if not killed:
            break
    assert 10 < number < 99
    assert outcomes == {False, True}
