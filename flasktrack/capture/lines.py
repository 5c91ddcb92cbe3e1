"""A text file from outside, read line by line: numbered, decoded strictly, in constant memory.

    with open_input(path) as file:
        for number, text in Lines(file):      # 1, 'first line\n'
            ...

Lines end at U+000A only. Python's own text mode also ends one at a lone carriage return, and `str.splitlines` at
U+2028 and others, which JSON text may hold.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flasktrack.capture.files import NOTHING_IMPORTED, InputFile
from flasktrack.errors import ImportFailed

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Three sections of 1 MiB and the other fields fit, half of it escaped as \\uXXXX. It bounds what parsing takes:
`[[],[],` and so on becomes some 25 bytes of memory for each byte."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Place(NamedTuple):
    """Where in a file an event stands: a line, or a record of several on one line; from 1."""

    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.unit} {self.number}"


def bad_line(place: Place | int, field: str | None, problem: str, columns: Sequence[str] = ()) -> ImportFailed:
    """The error for one place: `line 17, occurred_at (column 'time'): <problem>. Nothing was imported.`"""
    if not isinstance(place, Place):
        place = Place(place)
    where = str(place) if field is None else f"{place}, {field}"
    if columns:
        where += f" (column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))})"
    line = place.number if place.unit == "line" else None
    return ImportFailed(f"{where}: {problem}.", NOTHING_IMPORTED, line=line, field=field)


class Lines:
    """The lines of an open file with their numbers, from 1."""

    def __init__(self, file: InputFile) -> None:
        self._file = file

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Raises ImportFailed for a line that is not UTF-8 or is longer than MAX_LINE_BYTES."""
        number = 0
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise bad_line(number, None, f"is longer than {MAX_LINE_BYTES:,} bytes; is this the right file?")
            if number == 1:
                if line.startswith(UTF16_MARKS):
                    raise bad_line(1, None, "is UTF-16, not UTF-8; save the file as UTF-8")
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield number, line.decode()
            except UnicodeDecodeError as problem:
                raise bad_line(
                    number, None, f"is not UTF-8 (byte {problem.start + 1} of the line is 0x{line[problem.start]:02x})"
                ) from None
