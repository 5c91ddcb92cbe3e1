"""Small files and standard streams that commands read and write whole."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from flasktrack.errors import FileFailed

MAX_VKEYS_BYTES = 16 * 1024 * 1024  # 10,000 ML-DSA-44 keys, at about 1,800 bytes each


def read_bytes(file: Path | None, limit: int, kind: str) -> bytes:
    """A file, or standard input. Raises FileFailed where it can't be read, or has more than `limit` bytes."""
    place = "Standard input" if file is None or str(file) == "-" else str(file)
    try:
        if file is None or str(file) == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with file.open("rb") as stream:
                data = stream.read(limit + 1)
    except OSError as problem:
        raise FileFailed(
            f"{place} can't be read ({problem.strerror or problem}).", "Look at its path and mode."
        ) from None
    if len(data) > limit:
        raise FileFailed(f"{place} is too large to be {kind}.", "Give another file.")
    if not data:
        raise FileFailed(f"{place} is empty, and not {kind}.", "Did the command that makes it fail?")
    return data


def read_text(file: Path | None, limit: int, kind: str) -> str:
    """The same as text in UTF-8, of up to `limit` characters."""
    try:
        return read_bytes(file, 4 * limit, kind).decode()
    except ValueError:
        raise FileFailed(
            f"{file or 'Standard input'} is not {kind}: it is no text in UTF-8.", "Give another."
        ) from None


def read_lines(file: Path) -> list[str]:
    """The lines of a list of public keys."""
    return read_text(file, MAX_VKEYS_BYTES // 4, "a list of vkeys").removeprefix("\ufeff").splitlines()


def write_text(file: Path, text: str) -> None:
    """Write a file, whole or not at all, over one that is there. Raises FileFailed."""
    write_bytes(file, text.encode())


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file, whole or not at all, over one that is there. Raises FileFailed."""
    unfinished = file.parent / f".{file.name}.{secrets.token_hex(8)}"
    try:
        try:
            with unfinished.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as problem:
        raise FileFailed(
            f"{file} can't be written ({problem.strerror or problem}).", "Look at its folder's mode and free space."
        ) from None
