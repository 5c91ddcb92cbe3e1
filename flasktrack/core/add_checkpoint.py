"""What a log asks of a witness: the body of `add-checkpoint` in C2SP tlog-witness.

    old 25300                                        size of the last checkpoint that the witness cosigned, or 0
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=     the consistency proof from there, a hash a line
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=

    flasktrack.example.org/northwind-labs            the checkpoint's note
    ...

A witness answers with signature lines. Both are text, and may travel in a file, through a pipe or over HTTP.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from flasktrack.core.merkle import HASH_BYTES
from flasktrack.core.note import MAX_NOTE_CHARACTERS
from flasktrack.errors import InvalidRequest

MAX_PROOF_LINES = 63
MAX_REQUEST_CHARACTERS = MAX_NOTE_CHARACTERS + 64 * 100

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class AddCheckpoint(NamedTuple):
    """A request: `note` is neither opened nor believed yet, and the proof not checked."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str


def format_request(request: AddCheckpoint) -> str:
    """The request as it is sent."""
    lines = [f"old {request.old_size}", *(base64.b64encode(hash_).decode() for hash_ in request.proof)]
    return "\n".join([*lines, "", request.note])


def parse_request(text: str) -> AddCheckpoint:
    """Read a request. Raises InvalidRequest for anything that `format_request` would not have written so."""
    if len(text) > MAX_REQUEST_CHARACTERS:
        raise InvalidRequest("The request is too long.")
    head, blank, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    match = _OLD.fullmatch(first)
    if match is None or not blank:
        raise InvalidRequest("That is no request to a witness.", "Make one with: flasktrack witness request")
    if len(lines) > MAX_PROOF_LINES:
        raise InvalidRequest("The request's proof is too long: no tree needs more than 63 hashes.")
    request = AddCheckpoint(int(match[1]), tuple(_hash(line) for line in lines), note)
    if format_request(request) != text:
        raise InvalidRequest("The request is not written as its content should be.")
    return request


def _hash(line: str) -> bytes:
    try:
        hash_ = base64.b64decode(line, validate=True)
    except ValueError:
        hash_ = b""
    if len(hash_) != HASH_BYTES:
        raise InvalidRequest("A line of the request's proof is not 32 bytes in base64.")
    return hash_
