"""Files of a key directory: private keys as PKCS #8 PEM, and writes that a crash leaves whole or undone.

The directory is 0700 and every file in it 0600; what others can read is refused, since a key that has been read may
be signing elsewhere. Neither a key nor the passphrase stands in any error.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from flasktrack.core.keys import ED25519, ML_DSA_44, PrivateKey
from flasktrack.errors import KeyringError
from flasktrack.store.durable import synchronize_folder

KEY_FILES = {ED25519: "ed25519.pem", ML_DSA_44: "ml_dsa_44.pem"}
KEY_NAMES = {ED25519: "Ed25519", ML_DSA_44: "ML-DSA-44"}
_KEY_CLASSES: dict[int, type[Ed25519PrivateKey] | type[MLDSA44PrivateKey]] = {
    ED25519: Ed25519PrivateKey,
    ML_DSA_44: MLDSA44PrivateKey,
}
_CLEAR = b"-----BEGIN PRIVATE KEY-----"
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_OTHERS = 0o077  # what group and world may do


def generate_key(kind: int) -> PrivateKey:
    """A new private key of a signature type."""
    return _KEY_CLASSES[kind].generate()


def encode_key(key: PrivateKey, passphrase: str | None) -> bytes:
    """The key as PKCS #8 PEM, encrypted where there is a passphrase. Raises KeyringError for one that is too long."""
    try:
        lock: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            lock = BestAvailableEncryption(_bytes(passphrase))
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    except ValueError:
        raise KeyringError("The passphrase can't be used.", "It has 1 to 1,023 bytes.") from None


def read_key(path: Path, kind: int, passphrase: str | None, *, clear: bool = False) -> PrivateKey:
    """Read a private key; `clear`: also one that is not encrypted although there is a passphrase.

    Raises KeyringError where the file is missing, open to others, damaged, of another kind of key, or encrypted with
    another passphrase.
    """
    data = read_file(path)
    encrypted = data.lstrip().startswith(_ENCRYPTED)
    if not encrypted and not data.lstrip().startswith(_CLEAR):
        raise _damaged(path)
    if encrypted and passphrase is None:
        raise KeyringError(
            f"{path} is encrypted, and no passphrase is set.", "Set FLASKTRACK_KEY_PASSPHRASE to its passphrase."
        )
    if not encrypted and passphrase is not None and not clear:
        raise KeyringError(
            f"{path} is not encrypted, although a passphrase is set.",
            "Unset FLASKTRACK_KEY_PASSPHRASE, or get an encrypted pair with: python -m flasktrack keys rotate",
        )
    try:
        key = load_pem_private_key(data, _bytes(passphrase) if encrypted and passphrase is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise KeyringError(
                f"{path} can't be decrypted: the passphrase is wrong, or the file damaged.",
                "Set FLASKTRACK_KEY_PASSPHRASE to its passphrase, or restore the file from its backup.",
            ) from None
        raise _damaged(path) from None
    if not isinstance(key, Ed25519PrivateKey | MLDSA44PrivateKey) or not isinstance(key, _KEY_CLASSES[kind]):
        raise KeyringError(
            f"{path} holds another kind of key than {KEY_NAMES[kind]}.", "Restore the file from its backup."
        )
    return key


def read_file(path: Path) -> bytes:
    """A file of the key directory. Raises KeyringError where it can't be read, or where others could."""
    try:
        with path.open("rb") as file:
            _refuse_others(path, os.fstat(file.fileno()), "600")
            return file.read()
    except OSError as problem:
        raise cannot("read", path, problem) from None


def check_directory(directory: Path) -> None:
    """Raises KeyringError where the key directory is missing, is none, or is open to others."""
    try:
        status = directory.stat()
    except FileNotFoundError:
        raise KeyringError(
            f"There is no key directory {directory}.",
            "Make the keys with: python -m flasktrack init (or set FLASKTRACK_KEY_DIR to where they are).",
        ) from None
    except OSError as problem:
        raise cannot("read", directory, problem) from None
    if not stat.S_ISDIR(status.st_mode):
        raise KeyringError(f"{directory} is not a directory.", "Set FLASKTRACK_KEY_DIR to the key directory.")
    _refuse_others(directory, status, "700")


def make_directory(directory: Path) -> None:
    """Make the key directory where it is missing. Raises KeyringError where that can't be done."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise cannot("made", directory, problem) from None
    check_directory(directory)


def present(path: Path) -> bool:
    """Whether there is such a file. Raises KeyringError where its directory can't be searched."""
    try:
        return path.exists()
    except OSError as problem:
        raise cannot("read", path, problem) from None


def write_new(path: Path, data: bytes) -> None:
    """Write a file, whole, that is not there yet. Raises KeyringError, also where it is."""
    _write(path, data, exclusive=True)


def write_over(path: Path, data: bytes) -> None:
    """Write a file, whole, in the place of the one that is there. Not for private keys. Raises KeyringError."""
    _write(path, data, exclusive=False)


def move(source: Path, target: Path, *, over: bool) -> None:
    """Give a file its name; `over`: even where another one has it, which is then gone. Raises KeyringError."""
    try:
        if over:
            source.replace(target)
        else:
            target.hardlink_to(source)
            source.unlink()
        synchronize_folder(target.parent)
    except OSError as problem:
        raise cannot("written", target, problem) from None


def remove(path: Path) -> None:
    """Remove a file where there is one. Raises KeyringError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise cannot("removed", path, problem) from None


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep other processes and threads out of a key directory that exists. Raises KeyringError."""
    if os.name != "posix":  # pragma: no cover (there, whoever rotates keys sees to it that nobody else does)
        yield
        return
    import fcntl

    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as problem:
        raise cannot("read", directory, problem) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def cannot(verb: str, path: Path, problem: OSError) -> KeyringError:
    """The error for what the system refused to do with a file."""
    return KeyringError(
        f"{path} can't be {verb} ({problem.strerror or problem}).",
        "Look at its folder's owner, mode and free space, or set FLASKTRACK_KEY_DIR to another folder.",
    )


def _write(path: Path, data: bytes, *, exclusive: bool) -> None:
    unfinished = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if exclusive:
                path.hardlink_to(unfinished)
            else:
                unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        synchronize_folder(path.parent)
    except OSError as problem:
        raise cannot("written", path, problem) from None


def _bytes(passphrase: str) -> bytes:
    """The passphrase as the environment had it, even where that is not UTF-8."""
    return passphrase.encode("utf-8", "surrogateescape")


def _refuse_others(path: Path, status: os.stat_result, mode: str) -> None:
    if os.name == "posix" and status.st_mode & _OTHERS:
        raise KeyringError(
            f"{path} is open to other users of this machine (mode {stat.S_IMODE(status.st_mode):o}).",
            f"Close it with: chmod {mode} {path} - and rotate the keys where somebody may have read them.",
        )


def _damaged(path: Path) -> KeyringError:
    return KeyringError(f"{path} is not a private key in PKCS #8 PEM.", "Restore the file from its backup.")
