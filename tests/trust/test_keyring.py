"""The key directory: what signs, what is trusted and up to where, and everything that is refused."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flasktrack.core.keys import ED25519, ML_DSA_44, SigningKey, VerifierKey
from flasktrack.errors import FlaskTrackError, InvalidKey, KeyringError
from flasktrack.trust.keyring import Keyring

DEPLOYMENT = "flasktrack.example.org"
SECRET = "correct horse \u00fcber staple"
ACME = f"{DEPLOYMENT}/acme"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deployment" / "keys"


@pytest.fixture
def keyring(directory: Path) -> Keyring:
    """A key directory with its first pair, which is not encrypted."""
    made = Keyring(directory, DEPLOYMENT)
    made.create()
    return made


def stranger(name: str) -> VerifierKey:
    return SigningKey(name, Ed25519PrivateKey.generate()).verifier


def verifiers(keyring: Keyring, organization_id: str = "acme") -> list[VerifierKey]:
    return [key.verifier for key in keyring.signing_keys(organization_id)]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# The pair


def test_create_makes_a_directory_and_files_that_nobody_else_can_read(keyring: Keyring, directory: Path) -> None:
    keyring.trust([stranger("witness.example").vkey])
    assert mode(directory) == 0o700
    assert {path.name: mode(path) for path in directory.iterdir()} == dict.fromkeys(
        ["ed25519.pem", "ml_dsa_44.pem", "public.json", "trusted.vkeys"], 0o600
    )


def test_create_changes_nothing_where_the_keys_are(keyring: Keyring, directory: Path) -> None:
    before = contents(directory)
    keyring.create()
    Keyring(directory, DEPLOYMENT, SECRET).create()
    assert contents(directory) == before


def test_the_pair_signs_under_each_organizations_origin(keyring: Keyring) -> None:
    pair = keyring.signing_keys("acme")
    assert [(key.name, key.verifier.type) for key in pair] == [(ACME, ED25519), (ACME, ML_DSA_44)]
    assert [(key.key, key.until) for key in keyring.trusted("acme")] == [(key.verifier, None) for key in pair]
    assert keyring.vkeys(["acme", "other"]) == [
        key.vkey for name in ("acme", "other") for key in verifiers(keyring, name)
    ]
    text = f"{ACME}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert all(key.verifier.verifies(text, key.sign(text, 5)) for key in pair)


def test_many_that_create_at_once_make_one_pair(directory: Path) -> None:
    keyrings = [Keyring(directory, DEPLOYMENT) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Keyring.create, keyrings))
    assert sorted(contents(directory)) == ["ed25519.pem", "ml_dsa_44.pem", "public.json"]
    assert len({tuple(verifiers(each)) for each in keyrings}) == 1


def test_verifying_needs_neither_passphrase_nor_private_keys(directory: Path) -> None:
    signer = Keyring(directory, DEPLOYMENT, SECRET)
    signer.create()
    expected = verifiers(signer)
    for name in ("ed25519.pem", "ml_dsa_44.pem"):
        assert (directory / name).read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        (directory / name).unlink()
    assert [key.key for key in Keyring(directory, DEPLOYMENT).trusted("acme")] == expected


def test_without_a_directory_nothing_is_trusted_and_nothing_signs(directory: Path) -> None:
    keyring = Keyring(directory, DEPLOYMENT)
    assert not keyring.exists()
    assert keyring.trusted("acme") == []
    assert keyring.witnesses() == []
    with pytest.raises(KeyringError, match="no key directory"):
        keyring.signing_keys("acme")
    with pytest.raises(KeyringError, match="no key directory"):
        keyring.rotate({})
    assert not directory.exists()


def test_an_empty_directory_has_no_keys_to_sign_with_and_says_how_to_make_them(directory: Path) -> None:
    directory.mkdir(0o700, parents=True)
    with pytest.raises(KeyringError, match=r"no keys.*init"):
        Keyring(directory, DEPLOYMENT).signing_keys("acme")


# Refusals


@pytest.mark.parametrize("bits", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
@pytest.mark.parametrize("name", ["", "ed25519.pem", "ml_dsa_44.pem", "public.json"])
def test_what_others_can_use_is_refused(keyring: Keyring, directory: Path, name: str, bits: int) -> None:
    path = directory / name
    path.chmod(mode(path) | bits)
    with pytest.raises(KeyringError, match=r"open to other users.*chmod"):
        keyring.signing_keys("acme")


def test_trusted_keys_that_others_could_have_put_there_are_refused(keyring: Keyring, directory: Path) -> None:
    keyring.trust([stranger("witness.example").vkey])
    (directory / "trusted.vkeys").chmod(0o620)
    for ask in (lambda: keyring.trusted("acme"), keyring.witnesses):
        with pytest.raises(KeyringError, match="open to other users"):
            ask()


@pytest.mark.parametrize("name", ["ed25519.pem", "ml_dsa_44.pem"])
@pytest.mark.parametrize(
    "damage",
    [lambda pem: b"", lambda pem: pem[:40], lambda pem: b"\x00\xff" * 50, lambda pem: pem[:50] + b"!!!!" + pem[54:]],
    ids=["empty", "cut", "binary", "altered"],
)
def test_a_damaged_key_is_refused(
    keyring: Keyring, directory: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    pem = (directory / name).read_bytes()
    (directory / name).write_bytes(damage(pem))
    with pytest.raises(KeyringError, match="not a private key") as refused:
        keyring.signing_keys("acme")
    assert name in str(refused.value)


def test_keys_in_each_others_place_are_refused(keyring: Keyring, directory: Path) -> None:
    (directory / "ed25519.pem").rename(directory / "x")
    (directory / "ml_dsa_44.pem").rename(directory / "ed25519.pem")
    (directory / "x").rename(directory / "ml_dsa_44.pem")
    with pytest.raises(KeyringError, match="another kind of key"):
        keyring.signing_keys("acme")


@pytest.mark.parametrize("name", ["ed25519.pem", "ml_dsa_44.pem"])
@pytest.mark.parametrize("public", [True, False])
def test_half_a_pair_is_refused_and_not_completed(keyring: Keyring, directory: Path, name: str, public: bool) -> None:
    (directory / name).unlink()
    if not public:
        (directory / "public.json").unlink()
    before = contents(directory)
    for attempt in (keyring.create, lambda: keyring.signing_keys("acme")):
        with pytest.raises(KeyringError, match=f"{name} is missing"):
            attempt()
    assert contents(directory) == before


@pytest.mark.parametrize("name", ["ed25519.pem", "ml_dsa_44.pem"])
def test_another_deployments_key_is_refused(keyring: Keyring, directory: Path, tmp_path: Path, name: str) -> None:
    other = Keyring(tmp_path / "other", DEPLOYMENT)
    other.create()
    (directory / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(KeyringError, match="is not the"):
        keyring.signing_keys("acme")


@pytest.mark.parametrize("kind", ["missing", "wrong", "needless"])
def test_a_passphrase_that_does_not_fit_is_refused(directory: Path, kind: str) -> None:
    Keyring(directory, DEPLOYMENT, None if kind == "needless" else SECRET).create()
    given, said = {
        "missing": (None, "no passphrase is set"),
        "wrong": ("pass-wrong", "passphrase is wrong"),
        "needless": ("pass-needless", "not encrypted"),
    }[kind]
    keyring = Keyring(directory, DEPLOYMENT, given)
    before = contents(directory)
    with pytest.raises(KeyringError, match=said) as refused:
        keyring.signing_keys("acme")
    assert given is None or given not in "".join(traceback.format_exception(refused.value))
    assert contents(directory) == before


@pytest.mark.parametrize("passphrase", ["x" * 1024, "\u00fc" * 512], ids=["ASCII", "UTF-8"])
def test_a_passphrase_that_is_too_long_is_refused_before_anything_is_written(directory: Path, passphrase: str) -> None:
    with pytest.raises(KeyringError, match="passphrase can't be used") as refused:
        Keyring(directory, DEPLOYMENT, passphrase).create()
    assert passphrase not in "".join(traceback.format_exception(refused.value))
    assert contents(directory) == {}


def test_neither_keys_nor_passphrase_show(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    keyring = Keyring(directory, DEPLOYMENT, SECRET)
    with caplog.at_level(0):
        keyring.create()
        keyring.rotate({"acme": 3})
        pair = keyring.signing_keys("acme")
    shown = repr(keyring) + str(keyring) + repr(pair) + caplog.text
    assert SECRET not in shown
    assert not any(key.private.private_bytes_raw().hex() in shown for key in pair)


def test_a_key_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "keys"):
        with pytest.raises(KeyringError, match=str(place)):
            Keyring(place, DEPLOYMENT).create()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"type": "RSA"}]}', "\x00", "[" * 5000], ids=range(7)
)
def test_damaged_public_keys_are_refused(keyring: Keyring, directory: Path, content: str) -> None:
    (directory / "public.json").write_text(content)
    for ask in (lambda: keyring.trusted("acme"), lambda: keyring.signing_keys("acme"), lambda: keyring.rotate({})):
        with pytest.raises(KeyringError, match=r"public\.json is damaged"):
            ask()


# Rotation


def test_after_rotations_old_keys_are_trusted_up_to_where_they_were_retired(keyring: Keyring) -> None:
    first = verifiers(keyring)
    keyring.rotate({"acme": 10, "other": 0})
    second = verifiers(keyring)
    keyring.rotate({"acme": 25, "other": 4, "new": 1})
    third = verifiers(keyring)
    assert len({*first, *second, *third}) == 6
    assert keyring.trusted("acme") == [
        *((key, None) for key in third), *((key, 10) for key in first), *((key, 25) for key in second)
    ]  # fmt: skip
    assert [key.until for key in keyring.trusted("other")] == [None, None, 0, 0, 4, 4]
    assert [key.until for key in keyring.trusted("new")] == [None, None, 1, 1], "the first pair was gone before it came"
    assert [key.until for key in keyring.trusted("later")] == [None, None]
    assert keyring.vkeys(["acme"]) == [key.vkey for key in third]


def test_rotation_deletes_the_old_private_keys(keyring: Keyring, directory: Path) -> None:
    old = [key.private.private_bytes_raw() for key in keyring.signing_keys("acme")]
    keyring.rotate({"acme": 1})
    assert sorted(contents(directory)) == ["ed25519.pem", "ml_dsa_44.pem", "public.json"]
    assert not {key.private.private_bytes_raw() for key in keyring.signing_keys("acme")} & set(old)
    assert {mode(path) for path in directory.iterdir()} == {0o600}


def test_a_mistyped_passphrase_rotates_nothing(directory: Path) -> None:
    Keyring(directory, DEPLOYMENT, SECRET).create()
    before = contents(directory)
    with pytest.raises(KeyringError, match="passphrase is wrong"):
        Keyring(directory, DEPLOYMENT, "mistyped").rotate({"acme": 1})
    assert contents(directory) == before


def test_rotation_is_the_way_to_an_encrypted_pair(keyring: Keyring, directory: Path) -> None:
    encrypted = Keyring(directory, DEPLOYMENT, SECRET)
    encrypted.rotate({"acme": 1})
    assert [key.key for key in encrypted.trusted("acme")][:2] == verifiers(encrypted)


def test_rotation_replaces_private_keys_that_are_lost(keyring: Keyring, directory: Path) -> None:
    old = verifiers(keyring)
    (directory / "ed25519.pem").unlink()
    keyring.rotate({"acme": 7})
    assert [(key.key, key.until) for key in keyring.trusted("acme")][2:] == [(key, 7) for key in old]
    assert [key.key for key in keyring.trusted("acme")][:2] == verifiers(keyring)


# Keys of others


def test_a_witnesss_kind_of_key_seals_nothing_whatever_its_name(keyring: Keyring) -> None:
    cosigner = SigningKey(ACME, Ed25519PrivateKey.generate(), cosigns=True).verifier
    keyring.trust([cosigner.vkey])
    assert keyring.witnesses() == [cosigner]
    assert len(keyring.trusted("acme")) == 2


def test_keys_of_others_are_trusted_as_cosigners_or_as_signers_by_their_name(keyring: Keyring, directory: Path) -> None:
    witness, sibling, foreign = stranger("witness.example"), stranger(ACME), stranger("other.example/acme")
    lines = ["# from the auditor", "", f"{witness.vkey}\r", f"  {sibling.vkey}", foreign.vkey]
    assert keyring.trust(lines) == 3
    assert keyring.witnesses() == [witness, foreign]
    assert keyring.trusted("acme")[2:] == [(sibling, None)]
    assert len(keyring.trusted("other")) == 2
    before = contents(directory)
    assert keyring.trust([*lines, *lines]) == 0
    assert contents(directory) == before
    assert keyring.trust([stranger("second.example").vkey]) == 1
    assert len(keyring.witnesses()) == 3


def test_who_has_no_keys_of_their_own_can_trust_others(directory: Path) -> None:
    auditor = Keyring(directory, DEPLOYMENT)
    lab = stranger(ACME)
    assert auditor.trust([lab.vkey]) == 1
    assert auditor.trusted("acme") == [(lab, None)]
    assert mode(directory) == 0o700
    auditor.create()
    assert [key.key for key in auditor.trusted("acme")] == [*verifiers(auditor), lab]


def test_one_malformed_key_is_named_by_its_line_and_none_is_taken_in(keyring: Keyring, directory: Path) -> None:
    before = contents(directory)
    with pytest.raises(InvalidKey, match="Line 3"):
        keyring.trust([stranger("a.example").vkey, "", "not a vkey", "nor this"])
    assert contents(directory) == before


def test_a_retired_key_stays_retired_even_where_it_is_taken_in_again(keyring: Keyring) -> None:
    old = keyring.vkeys(["acme"])
    keyring.rotate({"acme": 5})
    keyring.trust(old)
    assert [key.until for key in keyring.trusted("acme")] == [None, None, 5, 5]


def test_a_key_made_to_have_anothers_id_is_refused(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifierKey, "key_id", property(lambda key: b"same"))
    keyring.trust([stranger("witness.example").vkey])
    for name in ("witness.example", ACME):
        with pytest.raises(InvalidKey, match="Two different keys"):
            keyring.trust([stranger(name).vkey])


def test_a_damaged_list_of_trusted_keys_is_refused(keyring: Keyring, directory: Path) -> None:
    keyring.trust([stranger("witness.example").vkey])
    for content in (b"junk\n", b"\xff\xfe"):
        (directory / "trusted.vkeys").write_bytes(content)
        with pytest.raises(FlaskTrackError, match=r"trusted\.vkeys is damaged"):
            keyring.witnesses()
