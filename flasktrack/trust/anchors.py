"""Anchors: copies of checkpoints outside the database, where its owner can't rewrite them (spec section 4).

    <directory>/northwind-labs/00000000000000025300.note

An anchor is written once: under another name first, synchronized, and then linked to its own name, which fails where
that is taken. So it is there whole or not at all, even after a crash, and none is ever written over. Who keeps them
safe is whoever owns the directory: a share of another department, a disk that takes no second write.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from flasktrack.core.note import MAX_NOTE_CHARACTERS
from flasktrack.core.record import check_organization_id, is_organization_id
from flasktrack.errors import AnchorError
from flasktrack.store.durable import synchronize_folder

_NAME = re.compile(r"[0-9]{20}\.note")
_MODE = 0o644  # auditors read them; nothing in a note is secret
_MAX_BYTES = 4 * MAX_NOTE_CHARACTERS


class Anchor(NamedTuple):
    """An anchored note, and the size that its file's name says. Whether the note says so too, the reader checks."""

    size: int
    note: str
    path: Path


class Anchors:
    """An anchor directory. It is made when the first anchor is written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, organization_id: str, size: int, note: str) -> Path:
        """Anchor a note over `size` records; it is on the disk when this returns. The same note again is harmless.

        Raises AnchorError where another note of that size is anchored, or the directory can't be written.
        """
        path = self._folder(organization_id) / f"{size:020d}.note"
        if not _NAME.fullmatch(path.name):
            raise ValueError(f"no tree has {size} leaves")
        try:
            if not os.path.lexists(path):
                _make_folder(path.parent)
                _write_once(path, note.encode())
        except OSError as problem:
            raise _cannot("written", path, problem) from None
        if _read(path) != note:
            raise AnchorError(
                f"The anchor {path} holds another note, and an anchor is never written over.",
                "Keep the file as evidence, and run a verification: it says which note the records agree with.",
            )
        return path

    def read(self, organization_id: str) -> list[Anchor]:
        """An organization's anchors by size, none of them believed yet; [] where nothing was anchored.

        Files with other names are no anchors. Raises AnchorError where the directory or an anchor can't be read.
        """
        return [Anchor(int(path.stem), _read(path), path) for path in self._paths(organization_id)]

    def sizes(self, organization_id: str) -> list[int]:
        """The sizes at which there are anchors, in order. Raises AnchorError where the directory can't be read."""
        return [int(path.stem) for path in self._paths(organization_id)]

    def get(self, organization_id: str, size: int) -> Anchor:
        """The anchor of a size. Raises AnchorError where there is none, or it can't be read."""
        path = self._folder(organization_id) / f"{size:020d}.note"
        return Anchor(size, _read(path), path)

    def organizations(self) -> list[str]:
        """The organizations that have anchors, by name. Raises AnchorError where the directory can't be read."""
        try:
            return sorted(folder.name for folder in self.directory.iterdir() if is_organization_id(folder.name))
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise _cannot("read", self.directory, problem) from None

    def _paths(self, organization_id: str) -> list[Path]:
        folder = self._folder(organization_id)
        try:
            return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise _cannot("read", folder, problem) from None

    def _folder(self, organization_id: str) -> Path:
        return self.directory / check_organization_id(organization_id)


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _synchronize(made.parent)


def _write_once(path: Path, data: bytes) -> None:
    """Make a file whole; one that is there meanwhile stays as it is."""
    unfinished = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        _create(unfinished, data)
        with suppress(FileExistsError):
            try:
                path.hardlink_to(unfinished)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                _create(path, data)
    finally:
        unfinished.unlink(missing_ok=True)
    _synchronize(path.parent)


def _create(path: Path, data: bytes) -> None:
    """Create a file exclusively and synchronize it; where that fails half-way, it is removed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            with suppress(OSError):  # a umask may have narrowed the mode, and some shares have none
                path.chmod(_MODE)
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _synchronize(folder: Path) -> None:
    """Put a folder's names on the disk, where its file system can."""
    try:
        synchronize_folder(folder)
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # which some network file systems answer
            raise


def _read(path: Path) -> str:
    """A note as it is in the file; what is no UTF-8, or too long for a note, becomes what no signature fits."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise OSError(errno.EINVAL, "it is not a file")
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1).decode(errors="replace")
    except OSError as problem:
        raise _cannot("read", path, problem) from None


def _cannot(verb: str, path: Path, problem: OSError) -> AnchorError:
    return AnchorError(
        f"The anchors at {path} can't be {verb} ({problem.strerror or problem}).",
        "Look at the folder's owner, mode and free space, and whether it is mounted; FLASKTRACK_ANCHOR_DIR names it.",
    )
