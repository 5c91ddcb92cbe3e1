"""Cutting a JSON file into its entries, whatever they are wrapped in, in constant memory.

    {"Records": [{…}, {…}]}            wrapper ("Records",): CloudTrail's files
    [{…}, {…}]                         a list
    {…}                                one after the other: JSON Lines, or files that were put together
    {…}

An entry is given as the text that it is, so that its numbers lose nothing; what stands around a wrapped list (a count
of results) is passed over.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final

from flasktrack.capture.files import InputFile
from flasktrack.capture.lines import MAX_LINE_BYTES, UTF16_MARKS, Place, bad_line
from flasktrack.errors import ImportFailed

Wrapper = tuple[str, ...]
"""The keys that lead to a list of entries; an object that begins with the first of them is a wrapper."""

_CHUNK: Final = 256 * 1024
_LOOK: Final = 64 * 1024  # how far in the first key of an object may be
_SPACE = re.compile(r"[ \t\n\r]*")
_FIRST_KEY = re.compile(r'\{[ \t\n\r]*"([^"\\]*)"')
_SCAN = json.JSONDecoder().raw_decode


def read_documents(file: InputFile, wrappers: tuple[Wrapper, ...] = ()) -> Iterator[tuple[Place, str]]:
    """The entries' texts with their places: lines where they stand one after the other, and else their numbers.

    Raises ImportFailed for a file that is not UTF-8, is not JSON, or holds an entry of more than MAX_LINE_BYTES.
    """
    text = _Text(file)
    while text.skip_space():
        if text.peek() == "[":
            yield from text.items()
        elif text.peek() == "{":
            wrapper = text.wrapper(wrappers)
            if wrapper is None:
                yield Place(text.line), text.value(Place(text.line))
            else:
                yield from text.wrapped(wrapper)
        else:
            raise bad_line(text.line, None, "is not JSON: it begins with neither { nor [")


class _Text:
    """A file's text, of which a part is at hand."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._at_hand = ""
        self._place = 0
        self._count = 0
        self._ended = False
        self.line = 1
        self._more(first=True)

    def _more(self, *, first: bool = False) -> bool:
        """Take in the next part; what was passed is let go. False at the end."""
        if self._ended:
            return False
        data = self._file.read(_CHUNK)
        if first:
            if data.startswith(UTF16_MARKS):
                raise bad_line(1, None, "is UTF-16, not UTF-8; save the file as UTF-8")
            data = data.removeprefix(codecs.BOM_UTF8) or self._file.read(_CHUNK)
        self._ended = not data
        try:
            decoded = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as problem:
            raise self._bad(f"is not UTF-8 (0x{problem.object[problem.start]:02x})") from None
        self._at_hand, self._place = self._at_hand[self._place :] + decoded, 0
        return not self._ended

    def skip_space(self) -> bool:
        """Go on to what is no space; whether there is anything."""
        while True:
            end = _SPACE.match(self._at_hand, self._place).end()  # type: ignore[union-attr]
            self._pass(end)
            if end < len(self._at_hand):
                return True
            if not self._more() and self._place == len(self._at_hand):
                return False

    def peek(self) -> str:
        """The next character that is no space; none at the end."""
        return self._at_hand[self._place] if self.skip_space() else ""

    def wrapper(self, wrappers: tuple[Wrapper, ...]) -> Wrapper | None:
        """The wrapper that begins here; None where an entry does."""
        if not wrappers:
            return None
        while (found := _FIRST_KEY.match(self._at_hand, self._place)) is None:
            if len(self._at_hand) - self._place > _LOOK or not self._more():
                return None
        return next((one for one in wrappers if one[0] == found[1]), None)

    def wrapped(self, wrapper: Wrapper) -> Iterator[tuple[Place, str]]:
        """The entries of the list to which the keys lead, in the object that begins here."""
        self._expect("{")
        missing = True
        while self.peek() != "}":
            key = json.loads(self.value(None))
            self._expect(":")
            if key != wrapper[0]:
                self.value(None)
                if self.peek() != "}":
                    self._expect(",")
                continue
            missing = False
            yield from self.wrapped(wrapper[1:]) if len(wrapper) > 1 else self.items()
            if self.peek() != "}":
                self._expect(",")
        if missing:
            raise self._bad(f"holds no {wrapper[0]!r}")
        self._expect("}")

    def items(self) -> Iterator[tuple[Place, str]]:
        """The items of the list that begins here."""
        self._expect("[")
        while self.peek() != "]":
            self._count += 1
            place = Place(self._count, "record")
            yield place, self.value(place)
            if self.peek() != "]":
                self._expect(",")
        self._expect("]")

    def value(self, place: Place | None) -> str:
        """The text of the value that begins here."""
        self.skip_space()
        while True:
            try:
                _, end = _SCAN(self._at_hand, self._place)
                if end < len(self._at_hand) or self._ended or self._at_hand[end - 1] in '}]"':  # no number goes on
                    break
                problem = ""
            except RecursionError:
                raise self._bad("is nested too deeply", place) from None
            except ValueError as found:  # not JSON; or an integer of thousands of digits, which Python refuses to read
                problem = self._words(found)
            if len(self._at_hand) - self._place > MAX_LINE_BYTES:
                raise self._bad(f"is longer than {MAX_LINE_BYTES:,} characters, or is not JSON", place)
            if not self._more() and problem:
                raise self._bad(problem, place)
        text = self._at_hand[self._place : end]
        if len(text) > MAX_LINE_BYTES:
            raise self._bad(f"is longer than {MAX_LINE_BYTES:,} characters", place)
        self._pass(end)
        return text

    def _words(self, problem: ValueError) -> str:
        if not isinstance(problem, json.JSONDecodeError):
            return str(problem)[:200]
        if problem.pos >= len(self._at_hand):
            return "is cut off: the file ends within it"
        return f"is not JSON ({problem.msg}, at character {problem.pos - self._place + 1})"

    def _expect(self, character: str) -> None:
        found = self.peek()
        if found != character:
            after = f" after record {self._count}" if self._count else ""
            what = f"{found!r} stands" if found else "the file ends"
            raise self._bad(f"is not JSON: {what} where {character!r} should be{after}")
        self._pass(self._place + 1)

    def _pass(self, end: int) -> None:
        self.line += self._at_hand.count("\n", self._place, end)
        self._place = end

    def _bad(self, problem: str, place: Place | None = None) -> ImportFailed:
        return bad_line(place or self.line, None, problem)
