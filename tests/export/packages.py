"""Evidence packages to check, and what people do to them: the one corpus that all checks must agree on.

An outsider has a package and no key. An insider has the key that signs, and lies: so what they alter has the hashes
that it should have, and a good signature.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.keys import ED25519
from flasktrack.core.note import format_note, parse_note, sign_note
from flasktrack.export import verify_package
from flasktrack.export.exporting import export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.seal.sealing import seal
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.erasure import erase
from flasktrack.store.scope import machine_scope
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust
from tests.export.samples import BERLIN
from tests.verify.chains import event, grow, new_organization

ORGANIZATION = "northwind-labs"
SIZE = 12
RANGE = RecordFilter(seq_first=1, seq_last=SIZE)
MARKUP = "</script><script>document.title='run'</script>&lt;=1+1"


class Lab:
    """An organization of 12 sealed records (and a checkpoint after 6), with its keys, and packages of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keyring = Keyring(folder / "keys", "lab.example")
        self.keyring.create()
        self.engine: Engine = open_engine(f"sqlite:///{folder / 'lab.db'}")
        initialize(self.engine)
        new_organization(self.engine, ORGANIZATION)
        grow(self.engine, ORGANIZATION, *(event(number) for number in range(1, 7)))
        self.older = self.seal()
        changed: dict[int, dict[str, Any]] = {
            8: {"reason": MARKUP, "entity_name": MARKUP, "after": {"note": MARKUP}},
            9: {"reason": "-20 °C; =2"},
        }
        grow(self.engine, ORGANIZATION, *(event(number, **changed.get(number, {})) for number in range(7, SIZE + 1)))
        self.note = self.seal()
        self.vkeys = self.keyring.vkeys([ORGANIZATION])
        self.kept: dict[Any, dict[str, bytes]] = {}

    def seal(self) -> str:
        made = seal(self.engine, ORGANIZATION, Trust(self.keyring, None), started_by="system:test")
        assert made is not None
        return made.note

    @property
    def keys(self) -> list[verify_package.Key]:
        return verify_package.read_keys(self.vkeys)

    def export(self, chosen: RecordFilter, *withheld: str, path: Path | None = None) -> Path:
        place = path or self.folder / f"{len(list(self.folder.iterdir()))}.zip"
        options = ExportOptions(BERLIN, withheld=withheld, requested_by="user:u-9", trust=Trust(self.keyring, None))
        export_records(self.engine, machine_scope(ORGANIZATION), chosen, "evidence", place, options=options)
        return place

    def package(self, chosen: RecordFilter = RANGE, *withheld: str) -> Package:
        """A package that nobody has altered yet."""
        asked = chosen, withheld
        if asked not in self.kept:
            with zipfile.ZipFile(self.export(chosen, *withheld)) as archive:
                self.kept[asked] = {name: archive.read(name) for name in archive.namelist()}
        return Package(self, dict(self.kept[asked]))

    def erase(self, first: int, last: int, *sections: str) -> None:
        """Remove sections by law, and seal the record of it."""
        with writing(self.engine) as connection:
            erase(connection, ORGANIZATION, first, last, sections, actor=("user", "u-9"), reason="by law")
        self.note = self.seal()


@dataclass
class Package:
    """The files of a package, to be altered."""

    lab: Lab
    files: dict[str, bytes]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files["records.jsonl"].splitlines()]

    @lines.setter
    def lines(self, lines: Iterable[Any]) -> None:
        """Objects, or lines as they are to be written."""
        texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        self.files["records.jsonl"] = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogatepass")

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(parse_note(self.files["manifest.note"].decode()).text)
        return found

    def line(self, seq: int, change: Callable[[dict[str, Any]], object]) -> Package:
        """Change the line of a record."""
        lines = self.lines
        change(next(line for line in lines if line["header"]["seq"] == seq))
        self.lines = lines
        return self

    def text(self, old: str, new: str) -> Package:
        """Change the first place in records.jsonl that reads so."""
        text = self.files["records.jsonl"].decode()
        assert old in text
        self.files["records.jsonl"] = text.replace(old, new, 1).encode("utf-8", "surrogatepass")
        return self

    def signed(self, *, keyring: Keyring | None = None, table: bool = True, **said: Any) -> Package:
        """As an insider leaves it: a manifest of the files as they are, signed; `said`: what it says besides."""
        if table:
            self.table()
        digests = {name: sha256(data).hexdigest() for name, data in self.files.items() if name != "manifest.note"}
        manifest = self.manifest | {"files": digests} | said
        return self.manifested(verify_package.format_manifest(manifest), keyring)

    def manifested(self, text: str, keyring: Keyring | None = None) -> Package:
        """With a signed manifest of this text."""
        keys = (keyring or self.lab.keyring).signing_keys(ORGANIZATION)
        ed25519 = [key for key in keys if key.verifier.type == ED25519]
        self.files["manifest.note"] = format_note(sign_note(text, ed25519, 0)).encode()
        return self

    def table(self) -> None:
        """Make records.csv anew from what can be read of the records."""
        rows = [verify_package.table_head()]
        for line in self.files["records.jsonl"].splitlines(keepends=True):
            try:
                rows.append(verify_package.table_row(verify_package.read_line(line, None)))
            except verify_package.Malformed:
                continue
        self.files["records.csv"] = b"".join(rows)

    def zip(self, *more: tuple[str, bytes]) -> bytes:
        return zipped(*self.files.items(), *more)


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", compresslevel=1) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def rehash(line: dict[str, Any]) -> None:
    """Give a line the hash of its header."""
    line["hash"] = sha256(b"\0" + verify_package.canonical(line["header"])).hexdigest()


def reseal(lab: Lab, size: int, root: bytes, *, origin: str | None = None, keyring: Keyring | None = None) -> bytes:
    """A checkpoint that an insider signs."""
    keys = (keyring or lab.keyring).signing_keys(ORGANIZATION)
    text = format_checkpoint(Checkpoint(origin or f"lab.example/{ORGANIZATION}", size, root))
    return format_note(sign_note(text, keys, 0)).encode()
