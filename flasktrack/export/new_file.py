"""A file that appears whole or not at all, and replaces none: what leaves FlaskTrack may be evidence.

    with new_file(Path("deletions.csv")) as file:
        file.write(b"...")
    file.sha256                                     # "deletions.csv" is there now, and on the disk

It is written under another name in the same folder, synchronized, and then linked to its own name, which fails if a
file of that name has appeared meanwhile. Whatever ends the block early (an error, Ctrl-C) removes it; what a killed
process or a power cut left is removed when the folder is next used. A file that is being written is locked, and so
told from one that was left.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, cast

from flasktrack.errors import ExportFailed
from flasktrack.store.durable import synchronize_folder

_BUFFER = 1024 * 1024
_UNFINISHED = re.compile(r"\.flasktrack-[0-9a-f]{16}\.unfinished")
_LEFT = timedelta(hours=1)  # a file is young for a moment before it is locked, and some file systems lock nothing


class NewFile:
    """Takes bytes, and keeps their SHA-256."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._digest = sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hex."""
        return self._digest.hexdigest()

    @property
    def folder(self) -> Path:
        """Where it will be: files that are needed while it is made belong there, since there is room."""
        return self._path.parent

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes, and return how many, as files do. Raises ExportFailed where the disk won't take them."""
        self._digest.update(data)
        try:
            written = self._stream.write(data)
        except OSError as problem:
            raise _cannot_write(self._path, problem) from None
        self.bytes += written
        return written

    def synchronize(self) -> None:
        """Put on the disk what was written. Raises ExportFailed."""
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as problem:
            raise _cannot_write(self._path, problem) from None

    def flush(self) -> None:
        """Nothing yet: libraries call this, and what counts is on the disk at the end."""

    @contextmanager
    def scratch(self) -> Iterator[Scratch]:
        """A place for what is needed to make the file, in its folder, where there should be room.

        It has no name, and is gone at the end of the block, or when the process ends. Raises ExportFailed.
        """
        try:
            stream = TemporaryFile(dir=self._path.parent)  # noqa: SIM115 (closed below)
        except OSError as problem:
            raise _cannot_write(self._path, problem) from None
        try:
            yield Scratch(self._path, cast("BinaryIO", stream))
        finally:
            with suppress(OSError):  # a full disk refuses what is still buffered, once more
                stream.close()


class Scratch:
    """Bytes that are written once and then read, as often as wanted."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append bytes. Raises ExportFailed where the disk won't take them."""
        try:
            self._stream.write(data)
        except OSError as problem:
            raise _cannot_write(self._path, problem) from None
        self.size += len(data)

    def parts(self) -> Iterator[bytes]:
        """All of it, from the beginning. Raises ExportFailed where the disk won't take or give it."""
        try:
            self._stream.seek(0)
            while part := self._stream.read(_BUFFER):
                yield part
        except OSError as problem:
            raise _cannot_write(self._path, problem) from None


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """A file to write; it gets its name at the end of the block, unless that ends early.

    Raises ExportFailed where a file of that name exists, the folder is missing or can't be written, or the disk is
    full.
    """
    _check_free(path)
    unfinished = path.parent / f".flasktrack-{secrets.token_hex(8)}.unfinished"
    try:
        remove_unfinished(path.parent)
        stream = unfinished.open("xb", buffering=_BUFFER)
    except OSError as problem:
        raise _cannot_write(path, problem) from None
    try:
        try:
            _is_mine(stream)
            file = NewFile(path, stream)
            yield file
            file.synchronize()
        finally:
            with suppress(OSError):  # a full disk refuses what is still buffered, once more
                stream.close()
        _publish(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(folder: Path, older_than: timedelta = _LEFT) -> None:
    """Remove what killed processes left half-written in a folder, and nothing that one is writing. Raises OSError."""
    newest = time.time() - older_than.total_seconds()
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if _UNFINISHED.fullmatch(entry.name)]
    for entry in found:
        with suppress(OSError):  # another process was faster, or it is another user's
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime <= newest:
                with Path(entry.path).open("rb") as left:
                    if _is_mine(left):
                        Path(entry.path).unlink()


def _is_mine(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; False where another process has it. Where nothing locks, all are mine."""
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _check_free(path: Path) -> None:
    """Refuse early what `_publish` would refuse after all the work."""
    try:
        path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise ExportFailed(f"There is no folder {path.parent}.", "Make it, or choose another place.") from None
    except (OSError, ValueError) as problem:  # ValueError: a path that holds U+0000
        raise _cannot_write(path, problem) from None
    else:
        raise _exists(path)


def _publish(unfinished: Path, path: Path) -> None:
    try:
        try:
            path.hardlink_to(unfinished)
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # a file system without hard links, such as FAT
            _check_free(path)
            unfinished.rename(path)
        synchronize_folder(path.parent)
    except OSError as problem:
        raise _cannot_write(path, problem) from None


def _exists(path: Path) -> ExportFailed:
    return ExportFailed(
        f"{path} exists already, and an export never replaces a file.", "Give another name, or move that file away."
    )


def _cannot_write(path: Path, problem: OSError | ValueError) -> ExportFailed:
    reason = getattr(problem, "strerror", None) or str(problem)
    return ExportFailed(
        f"{path} can't be written ({reason}).", "Nothing was left behind: free some space, or choose another place."
    )
