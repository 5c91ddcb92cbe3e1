"""Text as a PDF can print it: every character that a font has, and the others by number; nothing overlong.

The fonts are Noto's, from PyPI: what a report shows must not depend on what a machine has installed. A character that
none of them has would be an empty box, and PDF/UA forbids those: it is printed as `[U+12000]`. A mark that is set on
a letter (an accent, a vowel sign) needs a font that has both.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from unicodedata import category

import manimgx_fonts
import manimgx_fonts_cjk
from fontTools.ttLib import TTFont

FOLDERS: Final = tuple(Path(str(package.__file__)).parent for package in (manimgx_fonts, manimgx_fonts_cjk))
_LONG_WORD: Final = re.compile(r"\S{20,}")
_BREAK: Final = "\u200b"  # zero-width space: a line may break here
_BREAK_EVERY: Final = 4  # characters of a word that is too long for a column
_IGNORED: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")  # joiners and selectors: no font needs a glyph for them


def printed(text: str) -> str:
    """The text, made printable. What is invisible in it must have been replaced before (`core.display`)."""
    if not text.isascii():
        text = "".join(_characters(text))
    return _LONG_WORD.sub(_with_breaks, text)


def plain(text: str) -> str:
    """The text in ASCII, everything else by number: for what can't be typeset otherwise."""
    return _LONG_WORD.sub(_with_breaks, "".join(char if char.isascii() else _by_number(char) for char in text))


def _characters(text: str) -> list[str]:
    fonts = _coverage()
    written: list[str] = []
    cluster = 0  # the fonts that have all of the letter with its marks
    for char in text:
        if char in _IGNORED:
            written.append(char)
            continue
        having = fonts.get(ord(char), 0)
        mark = category(char).startswith("M")
        if mark:
            having &= cluster
        if having:
            cluster = having
            written.append(char)
        else:
            cluster = cluster if mark else 0
            written.append(_by_number(char))
    return written


def _by_number(char: str) -> str:
    return f"[U+{ord(char):04X}]"


def _with_breaks(match: re.Match[str]) -> str:
    """A long word with places where it may break: never before a mark, a joiner or what it joins."""
    word, parts, since = match[0], [], 0
    for place, char in enumerate(word):
        joined = char in _IGNORED or category(char)[0] == "M" or category(char) == "Sk" or word[place - 1] == "\u200d"
        if since >= _BREAK_EVERY and not joined:
            parts.append(_BREAK)
            since = 0
        parts.append(char)
        since += 1
    return "".join(parts)


@lru_cache(maxsize=1)
def _coverage() -> dict[int, int]:
    """For each character, by number, which fonts have it, as bits."""
    found: dict[int, int] = {}
    files = sorted(file for folder in FOLDERS for file in folder.iterdir() if file.suffix in (".ttf", ".otf", ".ttc"))
    for bit, file in enumerate(files):
        with TTFont(file, lazy=True, fontNumber=0) as font:  # a collection's fonts have the same characters
            codes = list(font.getBestCmap())
        for code in codes:
            if category(chr(code)) != "Co":  # what a private character looks like says nothing
                found[code] = found.get(code, 0) | 1 << bit
    return found
