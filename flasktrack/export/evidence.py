"""Evidence packages: records that an inspector can check without FlaskTrack (spec section 7, docs/evidence.md).

A package is a ZIP. Records are read once and written, line by line, to a file without a name beside the package; the
other files are made from that. Each line is checked as it is written by the same code that will check the package
(`export.verify_package`, which is in the package as verify.py): what it would reject is refused here.
"""

from __future__ import annotations

import zipfile
from binascii import b2a_base64
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, cast

import orjson

from flasktrack.core.header import record_header
from flasktrack.core.keys import ED25519
from flasktrack.core.note import MAX_NOTE_CHARACTERS, format_note, sign_note
from flasktrack.core.record import SECTIONS, Section
from flasktrack.core.times import format_time, parse_time, utc_now
from flasktrack.errors import ExportFailed, TreeIncomplete
from flasktrack.export import verify_package
from flasktrack.export.evidence_readme import readme
from flasktrack.export.evidence_report import report_parts
from flasktrack.export.new_file import NewFile, Scratch
from flasktrack.export.sealed import VERIFY, checkpoint_over, refuse_unsound
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.export.verify_package import CHECKPOINT, MANIFEST, RECORDS, TABLE
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.reader import CheckedRecord
from flasktrack.trust.checkpoints import StoredCheckpoint
from flasktrack.trust.proofs import InclusionProofs

README, REPORT, VERIFIER = "README.txt", "report.html", "verify.py"

_LEVEL = 2  # hashes hardly compress: a higher level takes twice as long, and saves a twentieth
_ZIP64_FROM = 2**30  # bytes: from here on a file's sizes are written in 64 bits


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the selection as an evidence package.

    Raises Unsealed where records lie above the last checkpoint; ExportFailed where there is nothing to prove, or where
    something is not as it was recorded or signed; KeyringError.
    """
    if options.trust is None:
        raise ExportFailed("There are no keys to sign the package with.", "Make them with: python -m flasktrack init")
    keyring = options.trust.keyring
    organization_id = selection.ledger.organization.id
    if not selection.total:
        raise ExportFailed("No record meets the filter, and a package of nothing proves nothing.", "Choose another.")
    sealed = checkpoint_over(selection.ledger, keyring, *selection.counted.conditions())
    keys = [key for key in keyring.signing_keys(organization_id) if key.verifier.type == ED25519]
    now = utc_now()
    said = selection.chosen.describe(options.zone)
    manifest = _manifest(selection, options, sealed) | {
        "origin": keyring.origin(organization_id),
        "created_at": format_time(now),
    }
    with file.scratch() as lines, file.scratch() as table:
        _write_records(selection, sealed, manifest, lines, table)
        with zipfile.ZipFile(cast("IO[bytes]", file), "w", compresslevel=_LEVEL) as archive:
            package = _Package(archive, str(manifest["created_at"]))
            package.add(README, [readme(manifest).encode()])
            package.add(CHECKPOINT, [sealed.note.encode()])
            package.add(RECORDS, lines.parts(), lines.size)
            package.add(TABLE, table.parts(), table.size)
            package.add(REPORT, report_parts(manifest, sealed.note, said, lines), lines.size)
            package.add(VERIFIER, [Path(verify_package.__file__).read_bytes()])
            text = verify_package.format_manifest(manifest | {"files": package.digests})
            note = format_note(sign_note(text, keys, int(now.timestamp())))
            if len(note) > MAX_NOTE_CHARACTERS:
                raise ExportFailed("The filter is too long for a manifest.", "Ask for fewer values. Nothing is left.")
            package.add(MANIFEST, [note.encode()])


def _manifest(selection: Selection, options: ExportOptions, sealed: StoredCheckpoint) -> dict[str, Any]:
    """What the manifest will say, but for the origin, the time, and the files."""
    applied, complete = _claim(selection, sealed.size)
    return {
        "format": verify_package.FORMAT,
        "organization_id": selection.ledger.organization.id,
        "created_by": options.requested_by,
        "filter": applied.to_params(),
        "withheld": [name for name in SECTIONS if name in options.withheld],
        "records": selection.total,
        "tree_size": sealed.size,
        "complete": complete,
    }


def _claim(selection: Selection, size: int) -> tuple[RecordFilter, str]:
    """The filter as it is applied, and what the package will claim to be complete for.

    Where positions alone are asked for, or nothing is, the filter states both ends of the range. An upper end beyond
    the checkpoint (the page fixes one when it counts) is none: up to there goes every package.
    """
    chosen, counted = selection.chosen, selection.counted
    if chosen.seq_first is None and (chosen.seq_last or size) >= size:
        chosen = replace(chosen, seq_last=None)
    asked = set(chosen.to_params())
    if asked <= {"seq"}:
        return RecordFilter(seq_first=chosen.seq_first or 1, seq_last=counted.seq_last), "range"
    if asked == {"entity"} and len(chosen.entities) == 1:
        return chosen, "entity"
    if asked == {"actor"} and len(chosen.actors) == 1:
        return chosen, "actor"
    return replace(chosen, seq_last=counted.seq_last) if "seq" in asked else chosen, "none"


def _write_records(
    selection: Selection, sealed: StoredCheckpoint, manifest: dict[str, Any], lines: Scratch, table: Scratch
) -> None:
    """Write both tables of records, and note in the manifest between which positions they lie."""
    result = verify_package.Result()
    check = verify_package.Records(result, manifest, (sealed.size, sealed.root))
    table.write(check.row)
    organization_id = selection.ledger.organization.id
    with selection.ledger.engine.connect() as connection:
        proofs = InclusionProofs(connection, organization_id, sealed.size)
        for number, checked in enumerate(selection.records(), 1):
            refuse_unsound(checked.findings)
            try:
                line = record_line(checked, proofs.of(checked.record.seq), manifest["withheld"])
            except TreeIncomplete as problem:
                raise ExportFailed(f"Proofs can't be made: {problem.what}", VERIFY) from None
            lines.write(line)
            check.take(number, line)
            table.write(check.row)
            if result.findings:
                refuse_unsound(result.findings)
    manifest |= {"first_seq": check.first, "last_seq": check.last}
    check.end()
    refuse_unsound(result.findings)


def record_line(checked: CheckedRecord, proof: list[bytes], withheld: list[str]) -> bytes:
    """A record as a line of records.jsonl; `withheld` sections are null. "<" is escaped: the report holds lines as
    they are, and HTML must see no tag in them."""
    sections = ",".join(
        f'"{name}":{_section(None if name in withheld else getattr(checked, name))}' for name in SECTIONS
    )
    hashes = ",".join(f'"{b2a_base64(item, newline=False).decode()}"' for item in proof)
    header = record_header(checked.record).decode()
    line = f'{{"header":{header},"hash":"{checked.record.hash.hex()}",{sections},"proof":[{hashes}]}}\n'
    return line.replace("<", "\\u003c").encode()


def _section(section: Section | None) -> str:
    if section is None:
        return "null"
    return orjson.dumps({"salt": b2a_base64(section.salt, newline=False).decode(), "body": section.body}).decode()


# The archive


class _Package:
    """The ZIP, and the SHA-256 of each file in it."""

    def __init__(self, archive: zipfile.ZipFile, time: str) -> None:
        self.digests: dict[str, str] = {}
        self._archive = archive
        self._time = parse_time(time).timetuple()[:6]

    def add(self, name: str, parts: Iterable[bytes], size: int = 0) -> None:
        """Add a file from its parts; `size`: how many bytes they are, about, where they may be many."""
        entry = zipfile.ZipInfo(name, self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        digest = sha256()
        with self._archive.open(entry, "w", force_zip64=size > _ZIP64_FROM) as target:
            for part in parts:
                target.write(part)
                digest.update(part)
        self.digests[name] = digest.hexdigest()
