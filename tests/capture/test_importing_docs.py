"""What docs/importing.md shows is what the importer takes."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Engine

from flasktrack.capture.csv_mapping import SOURCE_KEYS
from flasktrack.capture.csv_sources import RECORD_ID_NAMESPACE, REPEATS, TRANSFORMS
from flasktrack.capture.importing import FORMATS, import_file
from flasktrack.capture.jsonl import EVENT_KEYS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "importing.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_jsonl_file_in_the_docs_is_imported(sqlite_engine: Engine, tmp_path: Path) -> None:
    (shown,) = blocks("jsonl")
    path = tmp_path / "shown.jsonl"
    path.write_text(shown)
    assert import_file(sqlite_engine, path, "northwind-labs").added == 2


def test_the_mapping_in_the_docs_is_the_example_file() -> None:
    assert blocks("toml")[0] == (DOCS / "examples" / "permit-applications.toml").read_text()


def test_every_word_that_the_importer_takes_is_documented() -> None:
    words = {*EVENT_KEYS, *FORMATS, *SOURCE_KEYS, *TRANSFORMS, str(RECORD_ID_NAMESPACE), "delimiter", "format", "zone"}
    words |= {f'repeats = "{meaning}"' for meaning in REPEATS if meaning != "refuse"}
    assert [word for word in sorted(words) if not re.search(rf"`[^`]*{word}[^`]*`", PAGE)] == []
