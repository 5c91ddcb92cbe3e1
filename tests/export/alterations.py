"""The corpus of altered packages: what is done, by whom, and all that every check must say of it."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.core.note import parse_note
from flasktrack.insight.filter import RecordFilter
from flasktrack.trust.keyring import Keyring
from tests.export.packages import ORGANIZATION, SIZE, Lab, Package, rehash, reseal, zipped

Said = tuple[str, int | None, int | None, str | None]
"""A finding: code, seq, seq_end, section."""

ENTITY = RecordFilter(entities=("sample:S-1",))  # positions 1, 5 and 9
ACTOR = RecordFilter(actors=("user:u-1",))  # positions 1, 4, 7 and 10
DELETIONS = RecordFilter(actions=("update",))


class Case(NamedTuple):
    """An alteration, and the findings on the package that it leaves; `status` follows from them."""

    name: str
    alter: Callable[[Lab], bytes]
    findings: list[Said]


def whole(code: str) -> Said:
    """A finding on the package as a whole."""
    return code, None, None, None


def at(code: str, seq: int, seq_end: int | None = None, section: str | None = None) -> Said:
    return code, seq, seq if seq_end is None else seq_end, section


MANIFEST, FILE, TABLE = whole("manifest_invalid"), whole("file_modified"), whole("table_differs")
PACKAGE, CHECKPOINT, LINE = whole("package_invalid"), whole("checkpoint_invalid"), whole("record_malformed")
ALL_UNPROVED = at("proof_invalid", 1, SIZE)


# What is in records.jsonl


def _set(lab: Lab, *path: str, value: Any, seq: int = 3, mended: bool = False) -> Package:
    """Set a value somewhere in a line; `mended`: with the hash that it gives then."""

    def change(line: dict[str, Any]) -> None:
        place = line
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        if mended:
            rehash(line)

    return lab.package().line(seq, change)


def _edited(lab: Lab) -> bytes:
    return _set(lab, "header", "action", value="delete").zip()


def _edited_by_insider(lab: Lab) -> bytes:
    return _set(lab, "header", "action", value="delete", mended=True).signed().zip()


def _dropped(lab: Lab) -> bytes:
    package = lab.package()
    package.lines = package.lines[:4] + package.lines[6:]
    return package.zip()


def _dropped_by_insider(lab: Lab) -> bytes:
    package = lab.package()
    package.lines = package.lines[:4] + package.lines[6:]
    return package.signed(records=10).zip()


def _last_dropped_by_insider(lab: Lab) -> bytes:
    package = lab.package()
    package.lines = package.lines[:-1]
    return package.signed(records=11, last_seq=11).zip()


def _reordered(lab: Lab) -> bytes:
    package = lab.package(DELETIONS)
    lines = package.lines
    lines[2], lines[3] = lines[3], lines[2]
    package.lines = lines
    return package.signed().zip()


def _twice(lab: Lab) -> bytes:
    package = lab.package()
    package.lines = [*package.lines[:3], *package.lines[2:]]
    return package.signed(records=13).zip()


def _added(lab: Lab) -> bytes:
    """A record of somebody's own after the last one."""
    package = lab.package()
    lines = package.lines
    new = json.loads(json.dumps(lines[-1]))
    new["header"] |= {"seq": SIZE + 1, "prev": lines[-1]["hash"]}
    rehash(new)
    package.lines = [*lines, new]
    return package.signed(records=13, last_seq=13, filter={"seq": ["1-13"]}, tree_size=SIZE).zip()


def _body_of_another(lab: Lab) -> bytes:
    package = lab.package()
    other = package.lines[6]["after"]
    return package.line(3, lambda line: line.update(after=other)).signed().zip()


def _byte_from_salt_to_body(lab: Lab) -> bytes:
    def move(line: dict[str, Any]) -> None:
        salt = base64.b64decode(line["after"]["salt"])
        body = line["after"]["body"]
        line["after"] = {"salt": base64.b64encode(salt + body[:1].encode()).decode(), "body": body[1:]}

    return lab.package().line(3, move).signed().zip()


def _section_without_digest(lab: Lab) -> bytes:
    package = lab.package()  # record 1 has no `before`
    return package.line(1, lambda line: line.update(before=line["after"])).signed().zip()


def _withheld_invented(lab: Lab) -> bytes:
    package = lab.package(RANGE_OF_TEN, "before", "after")
    made = {"salt": base64.b64encode(bytes(16)).decode(), "body": '{"volume":1}'}
    return package.line(7, lambda line: line.update(after=made)).signed().zip()


def _withheld_shown(lab: Lab) -> bytes:
    package = lab.package(RANGE_OF_TEN, "before", "after")
    shown = lab.package().lines[6]["after"]
    return package.line(7, lambda line: line.update(after=shown)).signed().zip()


def _left_out(lab: Lab) -> bytes:
    """Sections that the manifest does not declare to be withheld, where only a warning can be given."""
    package = lab.package()
    for seq in (6, 7):
        package.line(seq, lambda line: line.update(context=None))
    return package.signed().zip()


RANGE_OF_TEN = RecordFilter(seq_first=1, seq_last=10)


def _proofs_swapped(lab: Lab) -> bytes:
    package = lab.package()
    lines = package.lines
    lines[2]["proof"], lines[4]["proof"] = lines[4]["proof"], lines[2]["proof"]
    package.lines = lines
    return package.signed().zip()


def _proof(lab: Lab, change: Callable[[list[str]], list[str]]) -> bytes:
    return lab.package().line(3, lambda line: line.update(proof=change(line["proof"]))).signed().zip()


def _own_chain(lab: Lab) -> bytes:
    """An insider makes all hashes anew after a change, but has no checkpoint over them."""
    package = lab.package()
    lines = package.lines
    before = "0" * 64
    for line in lines:
        line["header"]["prev"] = before
        line["header"]["outcome"] = "denied"
        rehash(line)
        before = line["hash"]
    package.lines = lines
    return package.signed().zip()


def _text(lab: Lab, old: str, new: str) -> bytes:
    return lab.package().text(old, new).signed().zip()


def _other_organization(lab: Lab) -> bytes:
    return _set(lab, "header", "organization_id", value="southport-biotech", mended=True).signed().zip()


def _pretty(lab: Lab) -> bytes:
    """Keys in another order, blanks, escapes: another way to write the same."""
    package = lab.package()
    package.lines = [json.dumps(dict(reversed(line.items())), ensure_ascii=True) + " " for line in package.lines]
    return package.signed().zip()


# Manifest and checkpoint


def _said(lab: Lab, **said: Any) -> bytes:
    """The manifest says something else, and is signed."""
    return lab.package().signed(**said).zip()


def _of_another_package(lab: Lab) -> bytes:
    package = lab.package()
    package.files["manifest.note"] = lab.package(RANGE_OF_TEN).files["manifest.note"]
    return package.zip()


def _manifest_text(lab: Lab, change: Callable[[str], str]) -> bytes:
    package = lab.package()
    text = parse_note(package.files["manifest.note"].decode()).text
    return package.manifested(change(text)).zip()


def _unsigned_change(lab: Lab) -> bytes:
    """The manifest says otherwise under its old signature."""
    package = lab.package()
    package.files["manifest.note"] = package.files["manifest.note"].replace(b'"user:u-9"', b'"user:u-8"')
    return package.zip()


def _stranger(lab: Lab, deployment: str) -> Keyring:
    folder = lab.folder / f"keys of {deployment}"
    keyring = Keyring(folder, deployment)
    if not folder.exists():
        keyring.create()
    return keyring


def _foreign_key(lab: Lab) -> bytes:
    """All signed anew, under the right name, by another key."""
    keyring = _stranger(lab, "lab.example")
    package = lab.package()
    old = parse_checkpoint(parse_note(lab.note).text)
    package.files["checkpoint.note"] = reseal(lab, old.size, old.root, keyring=keyring)
    return package.signed(keyring=keyring).zip()


def _foreign_origin(lab: Lab) -> bytes:
    keyring = _stranger(lab, "elsewhere.example")
    package = lab.package()
    old, origin = parse_checkpoint(parse_note(lab.note).text), f"elsewhere.example/{ORGANIZATION}"
    package.files["checkpoint.note"] = reseal(lab, old.size, old.root, origin=origin, keyring=keyring)
    return package.signed(keyring=keyring, origin=origin).zip()


def _checkpoint(lab: Lab, note: bytes, **said: Any) -> bytes:
    package = lab.package()
    package.files["checkpoint.note"] = note
    return package.signed(**said).zip()


def _older(lab: Lab) -> bytes:
    return _checkpoint(lab, lab.older.encode(), tree_size=6)


def _older_by_outsider(lab: Lab) -> bytes:
    package = lab.package()
    package.files["checkpoint.note"] = lab.older.encode()
    return package.zip()


def _checkpoint_of_others(lab: Lab) -> bytes:
    old = parse_checkpoint(parse_note(lab.note).text)
    return _checkpoint(lab, reseal(lab, old.size, old.root, origin="lab.example/southport-biotech"))


def _checkpoint_signature(lab: Lab, line: int) -> bytes:
    """One of the two signatures is another note's."""
    good, other = lab.note.split("\n"), lab.older.split("\n")
    good[4 + line] = other[4 + line]
    return _checkpoint(lab, "\n".join(good).encode())


def _checkpoint_text(lab: Lab, change: Callable[[str], str]) -> bytes:
    return _checkpoint(lab, change(lab.note).encode())


# The archive


def _zip(lab: Lab, *more: tuple[str, bytes], without: str = "") -> bytes:
    package = lab.package()
    package.files.pop(without, None)
    return package.zip(*more)


def _bytes(lab: Lab, change: Callable[[bytes], bytes]) -> bytes:
    return change(lab.package().zip())


def _bomb(lab: Lab) -> bytes:
    """Declares 40 GB."""
    return _sizes(lab, 40, 10**9)


def _sizes(lab: Lab, files: int, size: int) -> bytes:
    """Files that the directory says to be of this size."""
    data = _zip(lab, *((f"more-{number}.txt", b"0") for number in range(files)))
    name = b"more-"
    found = data.index(b"PK\1\2")
    parts = data[:found], bytearray(data[found:])
    place = 0
    while (place := parts[1].find(name, place)) >= 0:
        struct.pack_into("<I", parts[1], place - 46 + 24, size)
        place += len(name)
    return parts[0] + bytes(parts[1])


def _lying_size(lab: Lab) -> bytes:
    """A file that unpacks to more than the directory says, whose checksum fits what it says."""
    data = lab.package().zip()
    records = lab.package().files["records.jsonl"]
    entry = data.rindex(b"records.jsonl") - 46
    short = len(records) - 10
    changed = bytearray(data)
    struct.pack_into("<I", changed, entry + 16, zlib.crc32(records[:short]))
    struct.pack_into("<I", changed, entry + 24, short)
    return bytes(changed)


def _damaged(lab: Lab) -> bytes:
    data = bytearray(lab.package().zip())
    place = data.index(b"records.csv") + 200
    data[place] ^= 0xFF
    return bytes(data)


def _encrypted(lab: Lab) -> bytes:
    data = bytearray(lab.package().zip())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


def _other_name_inside(lab: Lab) -> bytes:
    """The directory and the file itself give two names."""
    return lab.package().zip().replace(b"records.csv", b"records.cvs", 1)


def _comment(lab: Lab) -> bytes:
    buffer = io.BytesIO(lab.package().zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"verified"
    return buffer.getvalue()


def _claim(lab: Lab, complete: str, chosen: RecordFilter, seqs: list[int], **said: Any) -> bytes:
    """A package that says to be complete, with the records of these positions alone."""
    package = lab.package()
    package.lines = [line for line in package.lines if line["header"]["seq"] in seqs]
    said = {"filter": chosen.to_params(), **said}
    said |= {"records": len(seqs), "first_seq": seqs[0], "last_seq": seqs[-1], "complete": complete}
    return package.signed(**said).zip()


def _extra_header_key(line: dict[str, Any]) -> None:
    line["header"]["note"] = "x"
    rehash(line)


def _no_reason(line: dict[str, Any]) -> None:
    del line["header"]["reason"]
    rehash(line)


def _claim_none(lab: Lab) -> bytes:
    package = lab.package(DELETIONS)
    package.lines = []
    return package.signed().zip()


def _table_differs(lab: Lab) -> bytes:
    package = lab.package()
    package.files["records.csv"] = package.files["records.csv"].replace(b'"success"', b'"failure"', 1)
    return package.signed(table=False).zip()


def _file(lab: Lab, name: str, data: bytes) -> bytes:
    package = lab.package()
    package.files[name] = data
    return package.zip()


def _alike(lab: Lab) -> bytes:
    """Claims the history of one entity, and holds another's that is written alike: their first colons differ."""
    package = lab.package(ENTITY)
    lines = package.lines
    for line in lines:
        line["header"]["entity"] |= {"type": "sample:S", "id": "1"}
        rehash(line)
    package.lines = lines
    return package.signed(filter={"entity": ["sample:S:1"]}).zip()


def _many_files(lab: Lab) -> bytes:
    """So many that a check which compares each with each would take minutes."""
    return _zip(lab, *((f"{number}.txt", b"") for number in range(3_000)))


def _numbers_for_names(lab: Lab) -> bytes:
    """Files that programs put in different orders: as texts, or as numbers."""
    package = lab.package()
    package.files |= {"9": b"", "10": b""}
    return package.signed().zip()


FINE: list[Said] = []
FIRST_LOST, THIRD_LOST = ([LINE, at("completeness_false", seq), MANIFEST] for seq in (1, 3))
_TO = "c2sp.org/unknown"
_STRANGE_LINE = f"\u2014 {_TO} {base64.b64encode(bytes(68)).decode()}\n"

CASES = [
    Case("nobody altered it", lambda lab: lab.package().zip(), FINE),
    Case("one entity's history", lambda lab: lab.package(ENTITY).zip(), FINE),
    Case("one actor's history", lambda lab: lab.package(ACTOR).zip(), FINE),
    Case("a filter without a claim", lambda lab: lab.package(DELETIONS).zip(), FINE),
    Case("two sections withheld", lambda lab: lab.package(RANGE_OF_TEN, "before", "after").zip(), FINE),
    Case("records written in another way", _pretty, FINE),
    Case("a record edited", _edited, [FILE, at("record_modified", 3)]),
    Case("a record edited, by an insider", _edited_by_insider, [at("proof_invalid", 3)]),
    Case("all hashes made anew, by an insider", _own_chain, [ALL_UNPROVED]),
    Case("records dropped", _dropped, [FILE, at("completeness_false", 5, 6), MANIFEST]),
    Case("records dropped, by an insider", _dropped_by_insider, [at("completeness_false", 5, 6)]),
    Case("the last one dropped, by an insider", _last_dropped_by_insider, [at("completeness_false", 12)]),
    Case("records reordered", _reordered, [at("record_reordered", 3)]),
    Case("a record twice", _twice, [at("record_reordered", 3)]),
    Case("a record added", _added, [at("proof_invalid", 13)]),
    Case("another record's body", _body_of_another, [at("payload_modified", 3, section="after")]),
    Case("a byte moved from salt to body", _byte_from_salt_to_body, [at("payload_modified", 3, section="after")]),
    Case("a section that was never there", _section_without_digest, [at("payload_modified", 1, section="before")]),
    Case("a withheld body invented", _withheld_invented, [at("payload_modified", 7, section="after")]),
    Case("a withheld body shown", _withheld_shown, [MANIFEST]),
    Case("sections left out unsaid", _left_out, [at("payload_absent", 6, 7, "context")]),
    Case("proofs of one another", _proofs_swapped, [at("proof_invalid", 3), at("proof_invalid", 5)]),
    Case("a proof too short", partial(_proof, change=lambda proof: proof[:-1]), [at("proof_invalid", 3)]),
    Case("a proof too long", partial(_proof, change=lambda proof: [*proof, proof[0]]), [at("proof_invalid", 3)]),
    Case("no proof", partial(_proof, change=lambda proof: []), [at("proof_invalid", 3)]),
    Case(
        "a proof of 31 bytes",
        partial(_proof, change=lambda proof: [base64.b64encode(bytes(31)).decode(), *proof[1:]]),
        [at("proof_invalid", 3)],
    ),
    Case(
        "a proof in another base64",
        partial(_proof, change=lambda proof: [proof[0].rstrip("="), *proof[1:]]),
        [at("proof_invalid", 3)],
    ),
    # JSON of which readers could see two things
    Case("a key twice", partial(_text, old='"action":"update"', new='"action":"delete","action":"update"'), FIRST_LOST),
    Case(
        "a key twice, escaped",
        partial(_text, old='"action":"update"', new='"\\u0061ction":"delete","action":"update"'),
        FIRST_LOST,
    ),
    Case("the line's key twice", partial(_text, old='{"header":', new='{"hash":"","header":'), FIRST_LOST),
    Case("a position as a float", partial(_text, old='"seq":1,', new='"seq":1.0,'), FIRST_LOST),
    Case("a position with an exponent", partial(_text, old='"seq":1,', new='"seq":1e0,'), FIRST_LOST),
    Case("a position as text", partial(_text, old='"seq":1,', new='"seq":"1",'), FIRST_LOST),
    Case("a position below one", partial(_text, old='"seq":1,', new='"seq":-1,'), FIRST_LOST),
    Case("a position beyond 2^53", partial(_text, old='"seq":1,', new='"seq":9007199254740993,'), FIRST_LOST),
    Case("another version", partial(_text, old='"v":1}', new='"v":2}'), FIRST_LOST),
    Case("a version that is true", partial(_text, old='"v":1}', new='"v":true}'), FIRST_LOST),
    Case("NaN", partial(_text, old='"reason":"as planned"', new='"reason":NaN'), FIRST_LOST),
    Case("half a character", partial(_text, old='"as planned"', new='"\\ud800"'), FIRST_LOST),
    Case("half a character, in bytes", partial(_text, old='"as planned"', new='"\ud800"'), FIRST_LOST),
    Case("a control character in a text", partial(_text, old='"as planned"', new='"as\x01planned"'), FIRST_LOST),
    Case("nested a thousand times", partial(_text, old='"as planned"', new="[" * 5000 + "]" * 5000), FIRST_LOST),
    Case("a hash in capitals", partial(_text, old='"prev":"0', new='"prev":"A'), FIRST_LOST),
    Case("a byte order mark", partial(_text, old='{"header"', new='\ufeff{"header"'), FIRST_LOST),
    Case("an empty line", partial(_text, old="\n", new="\n\n"), [LINE]),
    Case("two records on a line", partial(_text, old="\n", new=" "), [LINE, at("completeness_false", 1, 2), MANIFEST]),
    Case("a key more in a header", lambda lab: lab.package().line(3, _extra_header_key).signed().zip(), THIRD_LOST),
    Case("a key less in a header", lambda lab: lab.package().line(3, _no_reason).signed().zip(), THIRD_LOST),
    Case("another organization's record", _other_organization, THIRD_LOST),
    Case("a key more in a line", partial(_text, old='{"header"', new='{"status":"verified","header"'), FIRST_LOST),
    Case("no records at all", lambda lab: _claim_none(lab), [MANIFEST, PACKAGE]),
    # What the manifest says
    Case("claims a longer range", partial(_said, filter={"seq": ["1-20"]}), [at("completeness_false", 13, 20)]),
    Case("claims a range that is a part", partial(_said, filter={"seq": ["2-11"]}), [whole("completeness_false")]),
    Case("claims a range of an action", partial(_said, filter={"action": ["update"]}), [whole("completeness_false")]),
    Case(
        "claims a range with a further filter",
        partial(_said, filter={"seq": ["1-12"], "action": ["update"]}),
        [whole("completeness_false")],
    ),
    Case("claims a range without an end", partial(_said, filter={"seq": ["1-"]}), [whole("completeness_false")]),
    Case("claims two ranges", partial(_said, filter={"seq": ["1-6", "7-12"]}), [whole("completeness_false")]),
    Case(
        "claims an entity's history with a gap",
        lambda lab: _claim(lab, "entity", ENTITY, [1, 9]),
        [at("completeness_false", 9)],
    ),
    Case(
        "claims an entity's history without its beginning",
        lambda lab: _claim(lab, "entity", ENTITY, [5, 9]),
        [at("completeness_false", 5)],
    ),
    Case(
        "claims an entity's history with another's record",
        lambda lab: _claim(lab, "entity", ENTITY, [1, 5, 6, 9]),
        [at("completeness_false", 6)],
    ),
    Case(
        "claims an actor's history with a gap",
        lambda lab: _claim(lab, "actor", ACTOR, [1, 7, 10]),
        [at("completeness_false", 7)],
    ),
    Case(
        "claims the history of two actors",
        lambda lab: _claim(lab, "actor", RecordFilter(actors=("user:u-1", "user:u-2")), [1, 4]),
        [whole("completeness_false")],
    ),
    Case(
        "claims a history of one by a wider filter",
        lambda lab: _claim(lab, "entity", ENTITY, [1, 5, 9], filter={"entity": ["sample:S-1"], "with_related": ["1"]}),
        [whole("completeness_false")],
    ),
    Case(
        "claims the history of an entity that is written alike",
        _alike,
        [*(at("proof_invalid", seq) for seq in (1, 5, 9)), *(at("completeness_false", seq) for seq in (1, 5, 9))],
    ),
    Case(
        "a filter with numbers for names",
        partial(_said, complete="none", filter={"9": ["x"], "10": ["x"]}),
        [MANIFEST],
    ),
    Case("a manifest of megabytes", lambda lab: _file(lab, "manifest.note", b"a" * 2**21), [MANIFEST]),
    Case("says another number", partial(_said, records=11), [MANIFEST]),
    Case("says another first position", partial(_said, first_seq=2), [MANIFEST]),
    Case("says another last position", partial(_said, last_seq=13), [MANIFEST]),
    Case("says another tree size", partial(_said, tree_size=13), [CHECKPOINT]),
    Case("says to withhold what was never withheld", partial(_said, withheld=["context"]), [MANIFEST]),
    Case("says to withhold what is no section", partial(_said, withheld=["reason"]), [MANIFEST]),
    Case("another version of the format", partial(_said, format="flasktrack-evidence/2"), [MANIFEST]),
    Case("another organization's name", partial(_said, organization_id="southport-biotech"), [MANIFEST]),
    Case("a key more in the manifest", partial(_said, verified=True), [MANIFEST]),
    Case("a count that is a float", partial(_said, records=12.0), [MANIFEST]),
    Case(
        "a key twice in the manifest",
        partial(_manifest_text, change=lambda text: text.replace("{\n", '{\n  "complete": "none",\n', 1)),
        [MANIFEST],
    ),
    Case(
        "a manifest on one line",
        partial(_manifest_text, change=lambda text: json.dumps(json.loads(text)) + "\n"),
        [MANIFEST],
    ),
    Case("a manifest that is no JSON", partial(_manifest_text, change=lambda text: "verified\n"), [MANIFEST]),
    Case(
        "the manifest of another package",
        _of_another_package,
        [FILE, FILE, FILE, FILE, whole("completeness_false"), MANIFEST],
    ),
    Case("a manifest changed under its signature", _unsigned_change, [MANIFEST]),
    Case("a table that says otherwise", lambda lab: _table_differs(lab), [TABLE]),
    Case("a report of somebody's own", lambda lab: _file(lab, "report.html", b"<p>verified</p>"), [FILE]),
    # Keys and checkpoints
    Case("another key under the same name", _foreign_key, [MANIFEST, CHECKPOINT]),
    Case("another origin", _foreign_origin, [MANIFEST, CHECKPOINT]),
    Case("an older checkpoint", _older_by_outsider, [FILE, CHECKPOINT, ALL_UNPROVED]),
    Case("an older checkpoint, by an insider", _older, [ALL_UNPROVED]),
    Case("another organization's checkpoint", _checkpoint_of_others, [CHECKPOINT]),
    Case("a checkpoint with another root", lambda lab: _checkpoint(lab, reseal(lab, SIZE, bytes(32))), [ALL_UNPROVED]),
    Case("a bad Ed25519 signature", partial(_checkpoint_signature, line=0), [CHECKPOINT]),
    Case("a bad ML-DSA-44 signature", partial(_checkpoint_signature, line=1), [CHECKPOINT]),
    Case(
        "a checkpoint without signatures",
        partial(_checkpoint_text, change=lambda note: note.partition("\n\n")[0] + "\n"),
        [CHECKPOINT],
    ),
    Case(
        "a line more in the checkpoint",
        partial(_checkpoint_text, change=lambda note: note.replace("\n\n", "\nverified\n\n", 1)),
        [CHECKPOINT],
    ),
    Case(
        "a checkpoint with a carriage return",
        partial(_checkpoint_text, change=lambda note: note.replace("\n", "\r\n")),
        [CHECKPOINT],
    ),
    Case(
        "a size with a leading zero",
        partial(_checkpoint_text, change=lambda note: note.replace("\n12\n", "\n012\n")),
        [CHECKPOINT],
    ),
    Case(
        "a further signature of somebody unknown",
        partial(_checkpoint_text, change=lambda note: note + _STRANGE_LINE),
        FINE,
    ),
    # The archive
    Case("truncated", partial(_bytes, change=lambda data: data[:-100]), [PACKAGE]),
    Case("cut in half", partial(_bytes, change=lambda data: data[: len(data) // 2]), [PACKAGE]),
    Case("empty", partial(_bytes, change=lambda data: b""), [PACKAGE]),
    Case("something before the archive", partial(_bytes, change=lambda data: b"#!/bin/sh\n" + data), [PACKAGE]),
    Case("something after the archive", partial(_bytes, change=lambda data: data + b"\n"), [PACKAGE]),
    Case("two archives in one file", partial(_bytes, change=lambda data: data + data), [PACKAGE]),
    Case("a comment in the archive", _comment, [PACKAGE]),
    Case("no archive", partial(_bytes, change=lambda data: b"verified" * 100), [PACKAGE]),
    Case("an archive of nothing", lambda lab: zipped(), [PACKAGE]),
    Case("a bomb", _bomb, [PACKAGE]),
    Case("a file that unpacks to more than is said", _lying_size, [FILE, LINE, at("completeness_false", 12), MANIFEST]),
    Case("thousands of files", _many_files, [PACKAGE]),
    Case("files with numbers for names", _numbers_for_names, [PACKAGE, PACKAGE]),
    Case("a damaged file", _damaged, [PACKAGE]),
    Case("an encrypted file", _encrypted, [PACKAGE]),
    Case("a file with two names", _other_name_inside, [PACKAGE]),
    Case("a path out of the folder", lambda lab: _zip(lab, ("../verify.py", b"")), [PACKAGE]),
    Case("a path from the root", lambda lab: _zip(lab, ("/etc/passwd", b"")), [PACKAGE]),
    Case("a path of Windows", lambda lab: _zip(lab, ("C:\\verify.py", b"")), [PACKAGE]),
    Case("a folder", lambda lab: _zip(lab, ("more/", b"")), [PACKAGE]),
    Case("a name in other letters", lambda lab: _zip(lab, ("\u0440ecords.jsonl", b"")), [PACKAGE]),
    Case("a name twice", lambda lab: _zip(lab, ("records.jsonl", b"")), [PACKAGE]),
    Case("a file more", lambda lab: _zip(lab, ("notes.txt", b"")), [FILE]),
    Case("a file less", partial(_zip, without="records.csv"), [FILE]),
    Case("no manifest", partial(_zip, without="manifest.note"), [PACKAGE]),
    Case("no checkpoint", partial(_zip, without="checkpoint.note"), [PACKAGE]),
    Case("no records", partial(_zip, without="records.jsonl"), [PACKAGE]),
]
