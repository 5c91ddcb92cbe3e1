"""Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature.

    flasktrack.example.org/northwind-labs
    4
    lQYDX4lyNjhE8kVx1fqSFTwKs/LCHguh5BWF2esP340=

    \u2014 flasktrack.example.org/northwind-labs ga7xUuvHVnVM...

A signature line names its key by name and by four bytes of key id. Nothing of a note may be believed before a
signature of a trusted key was verified. Parsing is strict: what is not written exactly as `format_note` writes it is
refused, so that two readers can't see two notes in the same bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from flasktrack.core.keys import KEY_ID_BYTES, SigningKey
from flasktrack.errors import InvalidNote

MAX_NOTE_CHARACTERS = 1024 * 1024
MAX_SIGNATURES = 64  # the specification asks for 16 at least

# A note is printed as it is, names of unknown keys too: what a terminal obeys, or what turns text around, has no place.
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LINE = re.compile("\u2014 (?P<name>[^\\s+]+) (?P<blob>[A-Za-z0-9+/]+={0,2})")


class Signature(NamedTuple):
    """A signature line: `signature` is what follows the key id, in the form of the key's type."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A text, which ends with a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]


class Verifier(Protocol):
    """Whoever's signature lines can be told by name and key id, and checked: a public key, for one."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the signature is its own, over this text."""


Known = TypeVar("Known", bound=Verifier)


def sign_note(text: str, keys: Iterable[SigningKey], time: int) -> Note:
    """Sign a text with all keys, at a POSIX time in seconds."""
    return Note(text, tuple(Signature(key.name, key.verifier.key_id, key.sign(text, time)) for key in keys))


def format_note(note: Note) -> str:
    """The note as it is stored and sent."""
    return f"{note.text}\n{format_signatures(note.signatures)}"


def format_signatures(signatures: Iterable[Signature]) -> str:
    """Signature lines by themselves, as a witness answers."""
    return "".join(
        f"\u2014 {line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n" for line in signatures
    )


def parse_note(stored: str) -> Note:
    """Read a note. Raises InvalidNote for anything that `format_note` would not have written so."""
    if len(stored) > MAX_NOTE_CHARACTERS:
        raise InvalidNote("The note is too long.")
    if _CONTROLS.search(stored):
        raise InvalidNote("The note holds control characters.")
    text, blank, tail = stored.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise InvalidNote("The note has no signature.")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidNote("The note has too many signatures.")
    note = Note(f"{text}\n", tuple(_signature(line) for line in lines))
    if format_note(note) != stored:
        raise InvalidNote("The note is not written as its content should be.")
    return note


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Read signature lines. Raises InvalidNote for anything that `format_signatures` would not have written so."""
    note = parse_note(f"\n\n{lines}")
    if note.text != "\n":
        raise InvalidNote("There is more than signature lines.")
    return note.signatures


def verified_signatures(note: Note, keys: Iterable[Known]) -> list[tuple[Known, Signature]]:
    """The signatures that known keys made over the note's text; those of unknown keys are ignored.

    Raises InvalidNote where a known key's signature is wrong, and where no known key has signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if not key.verifies(note.text, line.signature):
            raise InvalidNote(f"The signature by the trusted key {key.name} ({key.key_id.hex()}) is wrong.")
        found.append((key, line))
    if not found:
        raise InvalidNote("No trusted key has signed the note.")
    return found


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    try:
        blob = base64.b64decode(match["blob"], validate=True) if match is not None else b""
    except ValueError:
        blob = b""
    if match is None or len(blob) <= KEY_ID_BYTES:
        raise InvalidNote("A signature line of the note is malformed.")
    return Signature(match["name"], blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])
