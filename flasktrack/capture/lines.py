"""A text file from outside, read line by line: numbered, decoded strictly, in constant memory.

    with open_lines(path) as lines:
        for number, text in lines:      # 1, 'first line\n'
            ...                         # lines.position of lines.size bytes are read

Lines end at U+000A only. Python's own text mode also ends one at a lone carriage return, and `str.splitlines` at
U+2028 and others, which JSON text may hold.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flasktrack.errors import ImportFailed

NOTHING_IMPORTED = "Nothing was imported."

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Three sections of 1 MiB and the other fields fit, half of it escaped as \\uXXXX. It bounds what parsing takes:
`[[],[],` and so on becomes some 25 bytes of memory for each byte."""

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def bad_line(line: int, field: str | None, problem: str, columns: Sequence[str] = ()) -> ImportFailed:
    """The error for one line: `line 17, occurred_at (column 'time'): <problem>. Nothing was imported.`"""
    place = f"line {line}" if field is None else f"line {line}, {field}"
    if columns:
        place += f" (column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))})"
    return ImportFailed(f"{place}: {problem}.", NOTHING_IMPORTED, line=line, field=field)


class Lines:
    """The lines of an open file with their numbers, from 1. `size` is 0 where it is unknown, as for a pipe."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        status = os.fstat(file.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        self.position = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Raises ImportFailed for a line that is not UTF-8 or is longer than MAX_LINE_BYTES."""
        number = 0
        while line := self._readline():
            number += 1
            self.position += len(line)
            if len(line) > MAX_LINE_BYTES:
                raise bad_line(number, None, f"is longer than {MAX_LINE_BYTES:,} bytes; is this the right file?")
            if number == 1:
                if line.startswith(_UTF16_MARKS):
                    raise bad_line(1, None, "is UTF-16, not UTF-8; save the file as UTF-8")
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield number, line.decode()
            except UnicodeDecodeError as problem:
                raise bad_line(
                    number, None, f"is not UTF-8 (byte {problem.start + 1} of the line is 0x{line[problem.start]:02x})"
                ) from None

    def _readline(self) -> bytes:
        try:
            return self._file.readline(MAX_LINE_BYTES + 1)
        except OSError as problem:
            raise unreadable(self._path, problem) from None


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """Open a file for reading. Raises ImportFailed where it is absent, unreadable or a directory."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise unreadable(path, problem) from None
    with file:
        yield Lines(path, file)


def unreadable(path: Path, problem: OSError) -> ImportFailed:
    """The error for a file that can't be opened or read."""
    return ImportFailed(
        f"The file {path} can't be read ({(problem.strerror or str(problem)).lower()}).",
        f"Check the path, and who may read it. {NOTHING_IMPORTED}",
    )
