"""What a command's FILE names: a file, plain or compressed by gzip, a pipe, or a folder of such files.

    for found in files_in(path):                # sorted; one, where the path is a file
        with open_input(found.path) as file:
            file.readline(1000)                 # file.position of file.size bytes of the file itself are read

Compression is seen by the content, whatever a file is called. What a small compressed file may grow to is bounded.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from flasktrack.errors import ImportFailed

NOTHING_IMPORTED = "Nothing was imported."

_BUFFER_BYTES: Final = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_FREE_BYTES: Final = 64 * 1024 * 1024
_MOST_EXPANSION: Final = 200
"""A log's lines differ in ids and times, so that gzip makes them some 10 to 50 times smaller; of a file of nothing but
blanks it makes a thousandth."""


class FoundFile(NamedTuple):
    """A file that is to be read; `name` is its path within the folder, None where the file itself was named.

    `size` is 0 where it is not known yet.
    """

    path: Path
    name: str | None
    size: int


class InputFile:
    """An open file. `size` is the file's, 0 where it is unknown, as for a pipe; `taken` is what was read of its text.

    `position` is how far into the file itself that reaches.
    """

    def __init__(self, path: Path, file: io.FileIO) -> None:
        self.path = path
        self.taken = 0
        status = os.fstat(file.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        self._raw = _Counted(file)
        buffered = io.BufferedReader(self._raw, _BUFFER_BYTES)
        self._stream: io.BufferedIOBase = buffered
        self._compressed = buffered.peek(2)[:2] == _GZIP_MAGIC
        if self._compressed:
            self._stream = gzip.GzipFile(fileobj=buffered)

    @property
    def position(self) -> int:
        """How many bytes of the file are read."""
        return self._raw.count if self._compressed else self.taken

    def readline(self, most: int) -> bytes:
        """The next line, or as many bytes of it. Raises ImportFailed where the file can't be read."""
        return self._read(lambda: self._stream.readline(most))

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end. Raises ImportFailed where the file can't be read."""
        return self._read(lambda: self._stream.read(most))

    def _read(self, step: Callable[[], bytes]) -> bytes:
        try:
            data = step()
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise ImportFailed(
                f"The compressed file {self.path} is damaged or cut off ({problem}).",
                f"Get it anew. {NOTHING_IMPORTED}",
            ) from None
        except OSError as problem:
            raise unreadable(self.path, problem) from None
        self.taken += len(data)
        if self._compressed and self.taken > _FREE_BYTES + _MOST_EXPANSION * self._raw.count:
            raise ImportFailed(
                f"The compressed file {self.path} holds more than {_MOST_EXPANSION} times its size, as no log does.",
                f"If it is one, decompress it first. {NOTHING_IMPORTED}",
            )
        return data


class _Counted(io.RawIOBase):
    """A file that counts what is read of it."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.count += count
        return count


@contextmanager
def open_input(path: Path) -> Iterator[InputFile]:
    """Open a file for reading. Raises ImportFailed where it is absent, unreadable or a folder."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as problem:
        raise unreadable(path, problem) from None
    with file:
        try:
            opened = InputFile(path, file)
        except OSError as problem:
            raise unreadable(path, problem) from None
        yield opened


def files_in(path: Path) -> list[FoundFile]:
    """The file, or all files in a folder and those under it, by their paths; hidden ones (.name) are left aside.

    Raises ImportFailed for a folder that can't be read, or that holds a link to another one.
    """
    if not path.is_dir():
        return [FoundFile(path, None, 0)]
    found: list[FoundFile] = []
    for folder, folders, files in os.walk(path, onerror=_unreadable_folder):
        place = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (place / name).is_symlink():
                raise ImportFailed(
                    f"{place / name} is a link to another folder, which is not followed.",
                    f"Import that folder by itself. {NOTHING_IMPORTED}",
                )
        found += [_found(path, place / name) for name in files if not name.startswith(".")]
    return sorted(found, key=lambda one: one.path.parts)


def _found(folder: Path, path: Path) -> FoundFile:
    try:
        status = path.stat()
    except OSError as problem:
        raise unreadable(path, problem) from None
    if not stat.S_ISREG(status.st_mode):
        raise ImportFailed(f"{path} is no file that could be imported.", f"Move it elsewhere. {NOTHING_IMPORTED}")
    return FoundFile(path, str(path.relative_to(folder)), status.st_size)


def _unreadable_folder(problem: OSError) -> None:
    raise unreadable(Path(problem.filename), problem)


def unreadable(path: Path, problem: OSError) -> ImportFailed:
    """The error for a file that can't be opened or read."""
    return ImportFailed(
        f"The file {path} can't be read ({(problem.strerror or str(problem)).lower()}).",
        f"Check the path, and who may read it. {NOTHING_IMPORTED}",
    )
