"""report.html of an evidence package: one page that shows its records and checks them by itself, without a network.

The page carries the checkpoint and the lines of records.jsonl, byte for byte; not the manifest, since the manifest
holds the page's own SHA-256. So by itself it proves that the records are what was recorded; what only the manifest
says (who exported, when, by which filter) it takes for proved once it is given the package.

Nothing in records can run: lines stand in a data block in which no "<" can occur, texts become text nodes, and a
content security policy lets nothing run but the page's own script, by its hash, and nothing be fetched at all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from flasktrack.export.new_file import Scratch

MAX_EMBEDDED = 256 * 1024 * 1024
"""Bytes of records that a page carries: a browser could not show more."""

_SOURCES = Path(__file__).parent / "evidence_files"


def report_parts(manifest: dict[str, Any], checkpoint: str, said: str, lines: Scratch) -> Iterator[bytes]:
    """The page; `manifest` is what it will say but for its files, `said` the filter in a sentence."""
    embedded = lines.size <= MAX_EMBEDDED
    about = {"manifest": manifest, "checkpoint": checkpoint, "said": said, "embedded": embedded}
    head, tail = _frame()
    yield head.replace(b"{{ABOUT}}", _data(about))
    if embedded:
        yield from lines.parts()
    yield tail


def empty_page() -> bytes:
    """The page without a package: it checks any that it is given."""
    head, tail = _frame()
    return head.replace(b"{{ABOUT}}", b"null") + tail


@cache
def _frame() -> tuple[bytes, bytes]:
    """What stands before and after the records."""
    style = _read("page.css")
    script = _read("verify.js") + _read("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    page = _read("page.html")
    for name, text in {"POLICY": policy, "STYLE": style, "SCRIPT": script}.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    head, _, tail = page.encode().partition(b"{{RECORDS}}")
    return head, tail


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _data(value: Any) -> bytes:
    """JSON for a data block of a page."""
    return json.dumps(value).replace("<", "\\u003c").encode()


def _read(name: str) -> str:
    return (_SOURCES / name).read_text(encoding="utf-8")
