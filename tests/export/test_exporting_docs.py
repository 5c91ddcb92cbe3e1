"""What docs/exporting.md shows is what an export is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.capture.jsonl import EVENT_KEYS
from flasktrack.export.csv_table import defuse
from flasktrack.export.formats import FORMATS
from flasktrack.export.ocsf import ACTIVITIES, CLASS_UID, VERSION
from flasktrack.export.report import MOST_FINDINGS
from flasktrack.export.report_pdf import MOST_RECORDS
from flasktrack.export.report_record import LONGEST_FIELD, LONGEST_REQUEST, LONGEST_VALUE, MOST_ROWS
from flasktrack.export.xlsx_table import MAX_CELL, MAX_RECORDS
from flasktrack.insight.first_entries import MOST_OF_ONE
from tests import adversary
from tests.export.samples import BERLIN, export, headings, json_rows
from tests.insight.lab import HERE, ROWS
from tests.store.samples import NORTHWIND, event, organizations, record

PAGE = (Path(__file__).parents[2] / "docs" / "exporting.md").read_text(encoding="utf-8")
CSV_PART, JSON_PART = PAGE.partition("\n## CSV\n")[2].split("\n## JSON Lines\n")


def block(language: str) -> str:
    (shown,) = re.findall(rf"^```{language}\n(.*?)^```", JSON_PART, re.DOTALL | re.MULTILINE)
    return str(shown)


def first_cells(part: str) -> list[str]:
    """The names in the first column of a part's first table."""
    table = part.split("| --- | --- |\n")[1].split("\n\n")[0]
    return [name for row in table.splitlines() for name in re.findall(r"`([^`]*)`", row.split(" | ")[0])]


def test_every_column_is_documented_in_its_order() -> None:
    assert first_cells(CSV_PART) == headings(BERLIN)


def test_every_key_is_documented_in_the_lines_order(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    export(sqlite_engine, tmp_path / "all.jsonl")
    (row,) = json_rows(tmp_path / "all.jsonl")
    assert list(json.loads(block("json"))) == list(row)
    assert sorted(first_cells(JSON_PART)) == sorted(row)


def test_every_format_is_documented() -> None:
    table = PAGE.split("| `--format` | for |\n| --- | --- |\n")[1].split("\n\n")[0]
    cells = [row.split(" | ")[0] for row in table.splitlines()]
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(FORMATS)


def test_what_a_report_leaves_out_is_documented() -> None:
    for said in (
        f"the first {LONGEST_VALUE:,} characters of a\nvalue", f"the first {LONGEST_FIELD:,} of a field's name",
        f"the first {LONGEST_REQUEST:,} of the request", f"the first {MOST_ROWS:,} values of a record",
        f"up to {MOST_FINDINGS} findings", f"at most {MOST_RECORDS:,} records", f"more than {MOST_OF_ONE:,} values",
    ):  # fmt: skip
        assert said in PAGE


def test_what_no_sheet_or_cell_can_hold_is_documented() -> None:
    assert f"{MAX_RECORDS:,} are refused" in PAGE
    assert f"A cell holds {MAX_CELL:,} characters" in PAGE


def test_the_activities_of_ocsf_are_documented() -> None:
    (said,) = re.findall(r"^\| `activity_id` \| (.*); every other", PAGE, re.MULTILINE)
    documented = {
        action: int(number)
        for actions, number in re.findall(r"((?:`\w+`(?:, | and )?)+) (\d+)", said)
        for action in re.findall(r"\w+", actions.replace(" and ", " "))
    }
    assert documented == {action: number for action, (number, _) in ACTIVITIES.items()}
    assert f"schema version {VERSION}, class Entity Management (`class_uid` {CLASS_UID})" in PAGE


def test_the_examples_of_defused_text_are_right() -> None:
    table = CSV_PART.split("| recorded | in the CSV |\n| --- | --- |\n")[1].split("\n\n")[0]
    rows = [re.findall(r"`([^`]+)`", row) for row in table.splitlines()]
    assert len(rows) >= 4
    for *texts, last in rows:
        if len(texts) == 1 and "as they are" not in table.splitlines()[rows.index([*texts, last])]:
            assert defuse(texts[0]) == last
        else:
            assert [defuse(text) for text in (*texts, last)] == [*texts, last]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "check.py"
    path.write_text(block("python"), encoding="utf-8")
    return path


def run(program: Path, export_: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", program, export_], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_program_that_checks_an_export_finds_what_is_wrong_and_nothing_else(
    sqlite_engine: Engine, program: Path, tmp_path: Path
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(row.event for row in ROWS[HERE]))
    export(sqlite_engine, tmp_path / "sound.jsonl")
    assert run(program, tmp_path / "sound.jsonl") == ""
    adversary.alter_record(sqlite_engine, NORTHWIND, 3, outcome="denied")
    adversary.alter_section(sqlite_engine, NORTHWIND, 7, "after", "{\n}")
    adversary.delete_section(sqlite_engine, NORTHWIND, 9, "after")
    export(sqlite_engine, tmp_path / "altered.jsonl")
    wrong = [f"line {row['seq']}" for row in json_rows(tmp_path / "altered.jsonl") if row["findings"]]
    said = run(program, tmp_path / "altered.jsonl").splitlines()
    assert [line.partition(":")[0] for line in said] == wrong
    assert said[0] == "line 3: the record does not give its hash"
    assert "line 7: after does not give its digest" in said


def test_the_command_that_makes_events_of_lines_names_an_events_keys() -> None:
    (names,) = re.findall(r"jq -c '\{(.*?)\}'", PAGE, re.DOTALL)
    assert re.split(r",\s+", names) == list(EVENT_KEYS)
