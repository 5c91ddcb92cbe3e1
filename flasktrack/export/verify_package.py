"""Check an evidence package: python verify.py PACKAGE.zip --trust KEYS

This file stands alone. It needs Python 3.9 or later and, for signatures, the package `cryptography`; without that it
checks all the rest and says what it left. It reads a package and writes nothing. A copy of it is in every package, but
who altered a package may have altered that copy, too: take it from where you trust it.

KEYS is a text file of public keys (vkeys, one a line) that you had before you opened the package. A key that came with
the package proves nothing.

What a package holds, and what is checked of it:

    manifest.note     signed: who exported what, when, and the SHA-256 of every other file
    checkpoint.note   signed: the root of the Merkle tree (RFC 6962) over all records of the organization
    records.jsonl     a record a line: header, hash, sections, proof
                          hash   = SHA-256(0x00 || canonical JSON of the header)        header["prev"]: the one before
                          digest = SHA-256(salt || body)                                of a section
                          proof    leads from the hash, at leaf seq - 1, to the checkpoint's root
    records.csv       says the same as records.jsonl
    other files       have the SHA-256 that the manifest says; what report.html shows is not looked at

Signatures are those of signed notes: a text, a blank line, and a line for each signature.
"""

from __future__ import annotations

import argparse
import binascii
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:  # all but signatures can be checked without it
    Ed25519PublicKey = None  # type: ignore[assignment, misc]
try:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
except ImportError:  # an older release
    MLDSA44PublicKey = None  # type: ignore[assignment, misc]

FORMAT = "flasktrack-evidence/1"
MANIFEST, CHECKPOINT, RECORDS, TABLE = "manifest.note", "checkpoint.note", "records.jsonl", "records.csv"
SECTIONS = ("before", "after", "context")
VERIFIED, BROKEN, NOT_CHECKED = "verified", "broken", "not_checked"
SEVERITY = {"payload_erased": "info", "payload_absent": "warning"}  # all other findings are errors
TYPES = {1: ("Ed25519", 32), 4: ("Ed25519 of a witness", 32), 6: ("ML-DSA-44", 1312)}  # signature type: name, bytes

MAX_NOTE = 1024 * 1024
MAX_LINE = 32 * 1024 * 1024  # three sections of 1 MiB, every character written as six
MAX_INTEGER = 2**53 - 1  # beyond it JSON readers disagree
MAX_FILES = 100
UNPACKED, TIMES = 1024**3, 100  # a package unpacks to at most 1 GiB and a hundred times its size

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
FILTER_NAME = re.compile(r"[a-z_]{1,40}")
HASH = re.compile(r"[0-9a-f]{64}")
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
SIGNATURE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
TREE_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
POSITIONS = re.compile(r"([1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?")


class Malformed(ValueError):
    """Something is not written as the format says."""


@dataclass
class Finding:
    """What is wrong: a code, the first and last position (None: the package as a whole), the section, a sentence."""

    code: str
    seq: int | None
    seq_end: int | None
    section: str | None
    problem: str

    @property
    def severity(self) -> str:
        return SEVERITY.get(self.code, "error")

    @property
    def detail(self) -> str:
        if self.seq is None or self.seq_end is None:
            return self.problem
        where = f"Record {self.seq:,}" if self.seq == self.seq_end else f"Records {self.seq:,} to {self.seq_end:,}"
        return f"{where}: {self.problem}"

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "seq": self.seq,
            "seq_end": self.seq_end,
            "section": self.section,
            "detail": self.detail,
        }


@dataclass
class Result:
    """What a check found. `signed` are the notes under which a trusted key's signature was verified."""

    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    signed: set[str] = field(default_factory=set)
    records: int = 0
    manifest: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        if any(finding.severity == "error" for finding in self.findings):
            return BROKEN
        return VERIFIED if self.signed == {MANIFEST, CHECKPOINT} else NOT_CHECKED

    def add(self, code: str, problem: str, seq: int | None = None, section: str | None = None) -> None:
        """Note a finding; the same one at the next position makes the last one longer."""
        for last in reversed(self.findings):
            if (last.code, last.section, last.problem) == (code, section, problem):
                if seq is not None and last.seq_end is not None and seq == last.seq_end + 1:
                    last.seq_end = seq
                    return
                break
        self.findings.append(Finding(code, seq, seq, section, problem))


# Keys and notes


@dataclass(frozen=True)
class Key:
    """A public key, the name under which it signs, and its type."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key)[:4]"""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def verifies(self, text: str, signature: bytes) -> bool | None:
        """Whether it made this signature of a note's text; None where that can't be checked here."""
        signed, message = signature, text.encode()
        if self.type != 1:  # the signature begins with its time
            time, signed = signature[:8], signature[8:]
            if len(time) < 8 or time[0] > 127:
                return False
            message = f"cosignature/v1\ntime {int.from_bytes(time, 'big')}\n{text}".encode()
            if self.type == 6:
                origin, size, root = read_checkpoint(text)
                names = [bytes([len(name)]) + name for name in (self.name.encode(), origin.encode())]
                message = b"subtree/v1\n\0" + names[0] + time + names[1] + struct.pack(">QQ", 0, size) + root
        scheme: Any = MLDSA44PublicKey if self.type == 6 else Ed25519PublicKey
        if scheme is None:
            return None
        try:
            scheme.from_public_bytes(self.public).verify(signed, message)
        except UnsupportedAlgorithm:
            return None
        except (InvalidSignature, ValueError):
            return False
        return True


def read_keys(lines: Iterable[str]) -> list[Key]:
    """The vkeys in lines of text: name+id+base64(type || key). Raises Malformed, naming the line."""
    keys = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                name, key_id, encoded = text.split("+", 2)
                material = unbase64(encoded)
                key = Key(name, material[0], material[1:])
                known = re.fullmatch(r"[^\s+]{1,255}", name) and len(name.encode()) < 256
                if not known or len(key.public) != TYPES[key.type][1] or key.id.hex() != key_id:
                    raise ValueError
            except (ValueError, IndexError, KeyError):
                raise Malformed(f"Line {number} of the keys is no vkey.") from None
            keys.append(key)
    return keys


def read_note(data: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text, and its signatures: a key's name, its id, and what it signed. Raises Malformed."""
    if len(data) > MAX_NOTE:
        raise Malformed("it is no signed note")
    try:
        stored = data.decode()
    except ValueError:
        raise Malformed("it is no text in UTF-8") from None
    text, blank, tail = stored.rpartition("\n\n")
    lines = tail[:-1].split("\n")
    if CONTROLS.search(stored) or not blank or not tail.endswith("\n") or len(lines) > 64:
        raise Malformed("it is no signed note")
    signatures = []
    for line in lines:
        match = SIGNATURE.fullmatch(line)
        blob = unbase64(match[2]) if match else b""
        if match is None or len(blob) < 5:
            raise Malformed("it is no signed note")
        signatures.append((match[1], blob[:4], blob[4:]))
    return f"{text}\n", signatures


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Origin, tree size and root of a checkpoint's text. Raises Malformed."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not 0 < len(lines[0].encode()) < 256 or not TREE_SIZE.fullmatch(lines[1]):
        raise Malformed("it is no checkpoint")
    root = unbase64(lines[2])
    if len(root) != 32 or int(lines[1]) > MAX_INTEGER:
        raise Malformed("it is no checkpoint")
    return lines[0], int(lines[1]), root


def check_signatures(result: Result, file: str, origin: str, note: tuple[str, Any], keys: list[Key] | None) -> str:
    """What is wrong with a note's signatures ("" for nothing): a trusted key of this origin's must have signed it.

    A known key's bad signature rejects the note; unknown keys' signatures are ignored. Only Ed25519 signs a manifest.
    """
    if keys is None:
        result.unchecked.append(f"The signatures of {file} were not checked: no key was given.")
        return ""
    text, signatures = note
    of_manifest = [key for key in keys if key.name == origin and key.type == 1]
    known = {(key.name, key.id): key for key in (of_manifest if file == MANIFEST else keys)}
    signed = left = False
    for name, key_id, signature in signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        good = key.verifies(text, signature)
        if good is False:
            return f"The signature of {file} by the trusted key {name} ({key_id.hex()}) is wrong."
        if good is None:
            left = True
            kind = TYPES[key.type][0]
            result.unchecked.append(f"The {kind} signature of {file} was not checked: this needs `cryptography`.")
        elif name == origin and key.type != 4:
            signed = True
    if signed:
        result.signed.add(file)
    return "" if signed or left else f"No trusted key has signed {file}."


# JSON and base64, of which there is to be one reading


def unbase64(text: str) -> bytes:
    """Standard base64 in the one way to write it. Raises Malformed."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        data = b""
    if binascii.b2a_base64(data, newline=False).decode() != text:
        raise Malformed("it is no base64")
    return data


def parse(text: str) -> Any:
    """JSON without what readers differ on: a key twice, numbers but integers of 0 to 2^53 - 1, half characters."""
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse, object_pairs_hook=_unique
        )
        if "\\u" in text:  # half a character can only come from an escape
            canonical(value)
    except (ValueError, RecursionError):
        raise Malformed("it is not the JSON that it should be") from None
    return value


def _integer(digits: str) -> int:
    if digits.startswith("-") or len(digits) > 16 or int(digits) > MAX_INTEGER:
        raise ValueError
    return int(digits)


def _refuse(_: str) -> Any:
    raise ValueError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def canonical(value: Any) -> bytes:
    """RFC 8785, for values without other numbers than integers and with keys in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# The manifest

TEXT, NUMBER, LIST, OBJECT = (str,), (int,), (list,), (dict,)
MAYBE, SECTION = (str, type(None)), (dict, type(None))
MANIFEST_SHAPE = {
    "format": TEXT, "organization_id": TEXT, "origin": TEXT, "created_at": TEXT, "created_by": TEXT, "filter": OBJECT,
    "withheld": LIST, "records": NUMBER, "first_seq": NUMBER, "last_seq": NUMBER, "tree_size": NUMBER,
    "complete": TEXT, "files": OBJECT,
}  # fmt: skip


def is_shaped(value: Any, shape: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether it is an object with exactly these keys, and values of these types."""
    return (
        isinstance(value, dict)
        and value.keys() == shape.keys()
        and all(type(value[name]) in types for name, types in shape.items())
    )


def is_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def format_manifest(manifest: dict[str, Any]) -> str:
    """The one way to write it: sorted keys, indented by 2, in ASCII, and a newline."""
    return f"{json.dumps(manifest, indent=2, sort_keys=True)}\n"


def read_manifest(text: str) -> dict[str, Any]:
    """What a manifest's text says. Raises Malformed."""
    value = parse(text)
    good = (
        is_shaped(value, MANIFEST_SHAPE)
        and value["format"] == FORMAT
        and value["complete"] in ("none", "range", "entity", "actor")
        and value["origin"].rpartition("/")[2] == value["organization_id"]
        and is_texts(value["withheld"])
        and set(value["withheld"]) <= set(SECTIONS)
        and all(FILTER_NAME.fullmatch(name) and is_texts(values) for name, values in value["filter"].items())
        and all(NAME.fullmatch(name) and is_hash(digest) for name, digest in value["files"].items())
        and format_manifest(value) == text
    )
    if not good:
        raise Malformed("it is no manifest of this format")
    return dict(value)


# Records

LINE = {"header": OBJECT, "hash": TEXT, "before": SECTION, "after": SECTION, "context": SECTION, "proof": LIST}
HEADER = {
    "v": NUMBER, "organization_id": TEXT, "seq": NUMBER, "record_id": TEXT, "occurred_at": TEXT, "recorded_at": TEXT,
    "actor": OBJECT, "actor_seq": NUMBER, "credential_id": MAYBE, "on_behalf_of": MAYBE, "action": TEXT,
    "outcome": TEXT, "entity": OBJECT, "entity_seq": NUMBER, "related": LIST, "reason": MAYBE,
    "correlation_id": MAYBE, "before": MAYBE, "after": MAYBE, "context": MAYBE, "prev": TEXT,
}  # fmt: skip


def read_line(line: bytes, organization_id: str | None) -> dict[str, Any]:
    """A line of records.jsonl. Raises Malformed for anything but a record (version 1) of the organization."""
    try:
        value = parse(line.decode())
    except UnicodeDecodeError:
        raise Malformed("it is no text in UTF-8") from None
    if not is_shaped(value, LINE) or not is_shaped(header := value["header"], HEADER):
        raise Malformed("it is no record")
    good = (
        header["v"] == 1
        and organization_id in (None, header["organization_id"])
        and min(header["seq"], header["actor_seq"], header["entity_seq"]) >= 1
        and is_shaped(header["actor"], {"type": TEXT, "id": TEXT, "name": MAYBE, "role": MAYBE})
        and is_shaped(header["entity"], {"type": TEXT, "id": TEXT, "name": MAYBE})
        and all(is_shaped(item, {"type": TEXT, "id": TEXT}) for item in header["related"])
        and all(value[name] is None or is_shaped(value[name], {"salt": TEXT, "body": TEXT}) for name in SECTIONS)
        and all(is_hash(header[name]) for name in SECTIONS if header[name] is not None)
        and is_hash(header["prev"])
        and is_hash(value["hash"])
        and is_texts(value["proof"])
    )
    if not good:
        raise Malformed("it is no record")
    return dict(value)


def is_included(leaf: bytes, index: int, proof: list[str], size: int, root: bytes) -> bool:
    """Whether a proof leads from a leaf to the root (RFC 9162 section 2.1.3.2)."""
    at, last, computed = index, size - 1, leaf
    if not 0 <= index < size:
        return False
    for encoded in proof:
        try:
            sibling = unbase64(encoded)
        except Malformed:
            return False
        if last == 0 or len(sibling) != 32:
            return False
        if at % 2 or at == last:
            computed = sha256(b"\1" + sibling + computed).digest()
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            computed = sha256(b"\1" + computed + sibling).digest()
        at, last = at // 2, last // 2
    return last == 0 and computed == root


def section_is_sound(section: dict[str, str], digest: str | None) -> bool:
    """Whether SHA-256(salt || body) is the digest, with a salt of 16 bytes."""
    try:
        salt = unbase64(section["salt"])
    except Malformed:
        return False
    return len(salt) == 16 and sha256(salt + section["body"].encode()).hexdigest() == digest


class Claim:
    """The manifest's claim that nothing is missing, checked as records come by."""

    def __init__(self, manifest: dict[str, Any], result: Result) -> None:
        self.result = result
        self.kind: str = manifest["complete"]
        self.next = 1  # the position, or the entity's or actor's ordinal, that must come now
        self.first = self.last = 0
        self.outside = False
        self.whose: list[str] = []  # type and id, of which the first colon parts them
        if self.kind == "none":
            return
        asked = manifest["filter"].get("seq" if self.kind == "range" else self.kind, [])
        if self.kind == "range" and len(asked) == 1 and (match := POSITIONS.fullmatch(asked[0])):
            self.next = self.first = int(match[1])
            self.last = int(match[2] or match[1])
        elif self.kind != "range" and len(asked) == 1 and ":" in asked[0]:
            self.whose = asked[0].split(":", 1)
        if len(manifest["filter"]) != 1 or not (self.last or self.whose):
            self.kind = "none"
            self.refuse("The package claims to be complete for what its filter does not ask for.")

    def refuse(self, problem: str, first: int | None = None, last: int | None = None) -> None:
        self.result.findings.append(Finding("completeness_false", first, last or first, None, problem))

    def take(self, header: dict[str, Any]) -> None:
        seq = header["seq"]
        if self.kind == "range":
            self.outside |= not self.first <= seq <= self.last
            self.missing_before(min(seq, self.last))
            self.next = max(self.next, seq + 1)
        elif self.kind != "none":
            ordinal = header[f"{self.kind}_seq"]
            if [header[self.kind]["type"], header[self.kind]["id"]] != self.whose:
                return self.refuse(f"the package claims a history of one {self.kind}, and this is of another.", seq)
            if ordinal != self.next:
                self.refuse(f"before it, records of the {self.kind} are missing that the package claims to hold.", seq)
            self.next = ordinal + 1
        return None

    def missing_before(self, seq: int) -> None:
        if self.next < seq:
            self.refuse("missing, although the package claims to hold all of its range.", self.next, seq - 1)

    def end(self) -> None:
        if self.kind == "range":
            self.missing_before(self.last + 1)
            if self.outside:
                self.refuse("The package holds records outside of the range that it claims to be.")


class Records:
    """The checks of records, one after the other; `checkpoint`: its size and root, None where it can't be read."""

    def __init__(self, result: Result, manifest: dict[str, Any] | None, checkpoint: tuple[int, bytes] | None) -> None:
        self.result = result
        self.manifest = manifest
        self.checkpoint = checkpoint
        self.claim = Claim(manifest, result) if manifest else None
        self.withheld = manifest["withheld"] if manifest else []
        self.row = table_head()  # of records.csv, as the last record gives it
        self.table = sha256(self.row)
        self.malformed: list[int] = []  # lines
        self.first = self.last = 0
        self.before: tuple[int, str] | None = None  # the record before, if it was sound: position and hash
        self.absent: list[tuple[int, str]] = []
        self.shown: set[str] = set()  # withheld sections that are there all the same
        self.erasures: list[tuple[int, int, int, list[str]]] = []

    def take(self, number: int, line: bytes) -> None:
        try:
            record = read_line(line, self.manifest["organization_id"] if self.manifest else None)
        except Malformed:
            self.malformed.append(number)
            return
        header, stated = record["header"], record["hash"]
        seq: int = header["seq"]
        sound = True
        if seq <= self.last:
            self.result.add("record_reordered", "it stands after a record of the same or a later position.", seq)
            sound = False
        if sha256(b"\0" + canonical(header)).hexdigest() != stated:
            self.result.add("record_modified", "the header does not give the hash.", seq)
            sound = False
        leaf = bytes.fromhex(stated)
        if self.checkpoint and not is_included(leaf, seq - 1, record["proof"], *self.checkpoint):
            self.result.add("proof_invalid", "the proof does not lead to the checkpoint's root.", seq)
            sound = False
        before = (0, "0" * 64) if seq == 1 else self.before
        if sound and before and before[0] == seq - 1 and header["prev"] != before[1]:
            self.result.add("chain_broken", "the link is not the hash of the record before.", seq)
        self._sections(record, seq, sound)
        if self.claim:
            self.claim.take(header)
        self.row = table_row(record)
        self.table.update(self.row)
        self.result.records += 1
        self.before = (seq, stated) if sound else None
        self.first = self.first or seq
        self.last = max(self.last, seq)

    def _sections(self, record: dict[str, Any], seq: int, sound: bool) -> None:
        for name in SECTIONS:
            section, digest = record[name], record["header"][name]
            if section is None:
                if digest is not None and name not in self.withheld:
                    self.absent.append((seq, name))
            elif not section_is_sound(section, digest):
                self.result.add("payload_modified", f"the section {name} does not give its digest.", seq, name)
            elif name in self.withheld:
                self.shown.add(name)
            elif name == "after" and sound:
                self._erasure(record)

    def _erasure(self, record: dict[str, Any]) -> None:
        """Remember what the record of an erasure says."""
        header = record["header"]
        whose = header["action"], header["entity"]["type"], header["entity"]["id"]
        if whose != ("erase", "organization", header["organization_id"]):
            return
        try:
            said = parse(record["after"]["body"])
        except Malformed:
            return
        shape = {"seq": NUMBER, "seq_end": NUMBER, "sections": LIST}
        if is_shaped(said, shape) and is_texts(said["sections"]) and said["seq_end"] < header["seq"]:
            self.erasures.append((header["seq"], said["seq"], said["seq_end"], said["sections"]))

    def end(self) -> None:
        if self.malformed:
            lines = f"{len(self.malformed):,} lines" if len(self.malformed) > 1 else "A line"
            problem = (
                f"{lines} of {RECORDS}, the first at {self.malformed[0]:,}, can't be read as records of this chain."
            )
            self.result.add("record_malformed", problem)
        if self.claim:
            self.claim.end()
        for seq, name in self.absent:
            by = [at for at, first, last, names in self.erasures if first <= seq <= last and name in names]
            problem = f"the section {name} is absent and not declared withheld: it was erased by law, or left out."
            if by:
                problem = f"the section {name} was erased; record {by[0]:,} says why."
            self.result.add("payload_erased" if by else "payload_absent", problem, seq, name)
        if self.manifest is None:
            return
        for name in SECTIONS:
            if name in self.shown:
                self.result.add("manifest_invalid", f"The manifest says that {name} is withheld, but it is there.")
        said = [self.manifest[name] for name in ("records", "first_seq", "last_seq")]
        here = [self.result.records, self.first, self.last]
        if said != here:
            problem = "The manifest speaks of {:,} records from {:,} to {:,}; there are {:,} from {:,} to {:,}."
            self.result.add("manifest_invalid", problem.format(*said, *here))


# records.csv: as records.jsonl, with what a spreadsheet could run as a formula defused by apostrophes

SKIPPED = ";\t\r\n\\s\x00-\x1f\x7f-\x9f\"'\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
TRIGGERS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
HARMFUL = re.compile(f"['\t\r\n\x00]|[{SKIPPED}]*[{TRIGGERS}]")
CELLS = re.compile(f"[;\t\r\n][{SKIPPED}]*([{TRIGGERS}]?)")
COLUMNS = (
    "organization_id", "seq", "record_id", "occurred_at", "recorded_at", "actor_type", "actor_id", "actor_name",
    "actor_role", "actor_seq", "credential_id", "on_behalf_of", "action", "outcome", "entity_type", "entity_id",
    "entity_name", "entity_seq", "related", "reason", "correlation_id", "before", "before_digest", "after",
    "after_digest", "context", "context_digest", "prev_hash", "hash",
)  # fmt: skip


def table_head() -> bytes:
    return b"\xef\xbb\xbf" + ",".join(f'"{name}"' for name in COLUMNS).encode() + b"\r\n"


def table_row(record: dict[str, Any]) -> bytes:
    """A record's row: text in quotes, numbers without, nothing for what is null."""
    header = record["header"]
    cells = dict(header)
    for name in ("actor", "entity"):
        cells.update({f"{name}_{part}": value for part, value in header[name].items()})
    for name in SECTIONS:
        cells[f"{name}_digest"] = header[name]
        cells[name] = record[name]["body"] if record[name] else None
    cells["related"] = canonical(header["related"]).decode()
    cells["prev_hash"], cells["hash"] = header["prev"], record["hash"]
    return ",".join(_cell(cells[name]) for name in COLUMNS).encode() + b"\r\n"


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if value and value.isalnum():  # most are: nothing to look for
        return f'"{value}"'
    return '"' + defuse(value or "").replace('"', '""') + '"'


def defuse(text: str) -> str:
    """An apostrophe before each place where a spreadsheet could see a formula begin."""
    inside = CELLS.sub(lambda run: re.sub("[;\t\r\n]", "\\g<0>'", run[0]) if run[1] else run[0], text)
    return f"'{inside}" if HARMFUL.match(text) else inside


# The package


def check_package(file: BinaryIO, keys: list[Key] | None) -> Result:
    """Check a package by keys that are trusted; None: without any, which leaves the signatures."""
    result = Result()
    archive = _open(file, result)
    if archive is None:
        return result
    names = archive.namelist()
    digests: dict[str, str] = {}
    for name in sorted(names):
        digest = sha256()
        try:
            for part in _parts(archive, name):
                digest.update(part)
        except Malformed:
            result.add("package_invalid", f"{name} is damaged: it can't be unpacked to what the archive says.")
        digests[name] = digest.hexdigest()
    if result.findings:
        return result
    _check_manifest(result, archive, digests, keys)
    checkpoint = _check_checkpoint(result, archive, keys)
    records = Records(result, result.manifest, checkpoint)
    with archive.open(RECORDS) as lines:
        number = 0
        while line := lines.readline(MAX_LINE):
            number += 1
            records.take(number, line)
    records.end()
    if not result.records:
        result.add("package_invalid", "The package holds no record.")
    agreed = result.manifest is not None and all(
        digests.get(name) == result.manifest["files"].get(name) for name in (RECORDS, TABLE)
    )
    if agreed and TABLE in digests and not records.malformed and digests[TABLE] != records.table.hexdigest():
        result.add("table_differs", f"{TABLE} does not say what {RECORDS} says.")
    return result


def _open(file: BinaryIO, result: Result) -> zipfile.ZipFile | None:
    """The archive, if it is one that every program unpacks to the same files and to no others."""
    try:
        size = file.seek(0, 2)
        file.seek(max(0, size - 22))
        whole = file.read(4) == b"PK\5\6"  # the record that ends an archive stands at its end
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
        whole = whole and min((entry.header_offset for entry in entries), default=1) == 0
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, struct.error, OverflowError):
        whole = False
    if not whole:
        result.add("package_invalid", "This is no ZIP archive, or it is truncated or has something before or after it.")
        return None
    if len(entries) > MAX_FILES:
        result.add("package_invalid", "The package holds more files than a package has.")
        return None
    names = [entry.orig_filename for entry in entries]
    for number, name in enumerate(names, 1):
        if not NAME.fullmatch(name):
            result.add("package_invalid", f"File {number:,} of the package has a name that no file of a package has.")
        elif names.index(name) < number - 1:
            result.add("package_invalid", f"The package holds {name} more than once.")
    if sum(entry.file_size for entry in entries) > UNPACKED + TIMES * size:
        result.add("package_invalid", "The package would unpack to far more than its size: it was not unpacked.")
    for name in (MANIFEST, CHECKPOINT, RECORDS):
        if name not in names:
            result.add("package_invalid", f"The package holds no {name}.")
    return None if result.findings else archive


def _parts(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    entry = archive.getinfo(name)
    try:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Malformed(name)
        with archive.open(entry) as packed:
            left = entry.file_size
            while part := packed.read(1024 * 1024):
                left -= len(part)
                yield part
        if left:
            raise Malformed(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError):
        raise Malformed(name) from None


def _start(archive: zipfile.ZipFile, name: str) -> bytes:
    """As much of a file as a note may have, and a byte more: what unpacks to a gigabyte is never held whole."""
    with archive.open(name) as file:
        return file.read(MAX_NOTE + 1)


def _check_manifest(result: Result, archive: zipfile.ZipFile, digests: dict[str, str], keys: list[Key] | None) -> None:
    try:
        note = read_note(_start(archive, MANIFEST))
        manifest = result.manifest = read_manifest(note[0])
    except Malformed as problem:
        result.add("manifest_invalid", f"{MANIFEST} can't be read: {problem}.")
        return
    if wrong := check_signatures(result, MANIFEST, manifest["origin"], note, keys):
        result.add("manifest_invalid", wrong)
    files = manifest["files"]
    for name in sorted({*files, *digests} - {MANIFEST}):
        if name not in digests:
            result.add("file_modified", f"{name} is in the manifest, but not in the package.")
        elif name not in files:
            result.add("file_modified", f"{name} is in the package, but not in the manifest.")
        elif files[name] != digests[name]:
            result.add("file_modified", f"{name} is not the file that was exported: its SHA-256 differs.")


def _check_checkpoint(result: Result, archive: zipfile.ZipFile, keys: list[Key] | None) -> tuple[int, bytes] | None:
    try:
        note = read_note(_start(archive, CHECKPOINT))
        origin, size, root = read_checkpoint(note[0])
    except Malformed as problem:
        result.add("checkpoint_invalid", f"{CHECKPOINT} can't be read: {problem}.")
        return None
    manifest = result.manifest
    if manifest is not None and (origin, size) != (manifest["origin"], manifest["tree_size"]):
        result.add("checkpoint_invalid", f"{CHECKPOINT} is not the checkpoint of which the manifest speaks.")
    elif wrong := check_signatures(result, CHECKPOINT, origin, note, keys):
        result.add("checkpoint_invalid", wrong)
    return size, root


# The program


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 verified, 1 broken or not all checked, 2 could not do it."""
    parser = argparse.ArgumentParser(description="Check an evidence package.")
    parser.add_argument("package", type=Path)
    parser.add_argument("--trust", type=Path, metavar="KEYS", help="a file of vkeys that you had before")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    try:
        keys = None
        if options.trust:
            keys = read_keys(options.trust.read_text(encoding="utf-8-sig").splitlines())
        with options.package.open("rb") as file:
            result = check_package(file, keys)
    except (OSError, ValueError) as problem:
        print(f"verify.py: {printable(str(problem))}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(as_json(result), indent=2))
    else:
        print("\n".join(map(printable, as_text(result))))
    return 0 if result.status == VERIFIED else 1


def as_json(result: Result) -> dict[str, Any]:
    return {
        "status": result.status,
        "records": result.records,
        "findings": [finding.as_json() for finding in result.findings],
        "unchecked": result.unchecked,
        "manifest": result.manifest,
    }


def as_text(result: Result) -> list[str]:
    """What was found, in lines for people."""
    words = {VERIFIED: "VERIFIED", BROKEN: "BROKEN", NOT_CHECKED: "NOT CHECKED"}
    lines = [f"{words[result.status]}: {result.records:,} records read."]
    if result.manifest:
        said = result.manifest
        lines += [
            f"Origin: {said['origin']}. Exported {said['created_at']} by {said['created_by']}.",
            f"Filter: {json.dumps(said['filter'])}. Positions {said['first_seq']:,} to {said['last_seq']:,} of "
            f"{said['tree_size']:,} under the checkpoint. Withheld: {', '.join(said['withheld']) or 'nothing'}. "
            f"Claimed to be complete: {said['complete']}.",
        ]
    lines += [f"- {finding.severity} {finding.code}: {finding.detail}" for finding in result.findings]
    return lines + [f"- {left}" for left in result.unchecked]


def printable(text: str) -> str:
    """Text that a terminal neither obeys nor hides."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


if __name__ == "__main__":
    sys.exit(main())
