"""A line of JSON holds all that its record's hash rests on, so that anybody can check it."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.capture.importing import import_file
from flasktrack.capture.jsonl import EVENT_KEYS
from flasktrack.core.record import SECTIONS, Section
from flasktrack.export.json_lines import jsonl_line
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests import adversary
from tests.capture.events import EVENTS
from tests.export.samples import export, json_rows
from tests.insight.lab import HERE, ROWS
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record

NOT_IN_HEADER = ("prev_hash", "hash", "findings")


def raw_sections(line: str) -> dict[str, str]:
    """The sections' text as it stands in the line: keys come in a fixed order."""
    found, position = {}, 0
    for name in SECTIONS:
        start = line.index(f',"{name}":', position) + len(f',"{name}":')
        _, position = json.JSONDecoder().raw_decode(line, start)
        found[name] = line[start:position]
    return found


def recomputed(line: str) -> tuple[dict[str, str | None], str]:
    """The digests and the hash that a line gives, by spec section 2 and the standard library alone."""
    row, raw = json.loads(line), raw_sections(line)
    digests = {
        name: None
        if row[f"{name}_salt"] is None
        else sha256(base64.b64decode(row[f"{name}_salt"]) + row.get(f"{name}_text", raw[name]).encode()).hexdigest()
        for name in SECTIONS
    }
    copied = [name for name in row if name not in NOT_IN_HEADER and not name.startswith(SECTIONS)]
    header: dict[str, Any] = {"v": 1, "prev": row["prev_hash"], **digests, **{name: row[name] for name in copied}}
    canonical = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digests, sha256(b"\0" + canonical.encode()).hexdigest()


def check(path: Path) -> int:
    """Recompute every line of an export; how many there were."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    last = "0" * 64
    for line in lines:
        row = json.loads(line)
        digests, hash_ = recomputed(line)
        assert digests == {name: row[f"{name}_digest"] for name in SECTIONS}
        assert (hash_, row["prev_hash"], row["findings"]) == (row["hash"], last, [])
        last = row["hash"]
    return len(lines)


def test_every_hash_can_be_recomputed_from_its_line(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, *(row.event for row in ROWS[HERE]))
    odd = {"big": 1e16, "small": 5e-324, "minus": -0.0, ',"after":': {',"after":': '\u2028\x7f\\"\x1f'}}
    record(engine, event(1, before=odd, after=odd, context=odd, reason='","before":{"x":1}'))
    record(engine, *(event(n, before=value, after=False) for n, value in enumerate(("", 0, [], {}, "null", 1.5))))
    path = tmp_path / "all.jsonl"
    export(engine, path)
    assert check(path) == len(ROWS[HERE]) + 7


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, min_size=1, max_size=4))
def test_every_event_that_the_spec_allows_makes_lines_that_can_be_recomputed(
    sqlite_engine: Engine, tmp_path: Path, events: list[Any]
) -> None:
    organizations(sqlite_engine, name := f"lab-{len(list(tmp_path.glob('*.jsonl')))}")
    for one in events:
        one.record_id = None
    record(sqlite_engine, *events, organization=name)
    export(sqlite_engine, tmp_path / f"{name}.jsonl", organization=name)
    assert check(tmp_path / f"{name}.jsonl") == len(events)


def test_altered_content_no_longer_gives_the_hash(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, event(1), event(2))
    adversary.alter_record(engine, NORTHWIND, 2, actor_id="u-99")
    adversary.alter_section(engine, NORTHWIND, 1, "after", '{"volume": 1}')
    export(engine, tmp_path / "all.jsonl")
    first, second = (tmp_path / "all.jsonl").read_text().splitlines()
    assert recomputed(first)[0]["after"] != json.loads(first)["after_digest"]
    assert recomputed(second)[1] != json.loads(second)["hash"]
    assert raw_sections(first)["after"] == '{"volume": 1}'


@pytest.mark.parametrize("body", ["no JSON", '{"a":', "", "null", '{"a":\n1}', "1\r", "NaN", "[" * 2000, "\x00"])
def test_a_body_that_no_line_can_carry_is_kept_as_text(sqlite_engine: Engine, body: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    (checked,) = Ledger(sqlite_engine, machine_scope(NORTHWIND)).stream()
    line = jsonl_line(checked._replace(after=Section(bytes(16), body))).decode()
    assert line.count("\n") == 1
    row = json.loads(line)
    assert (row["after"], row["after_text"], row["after_salt"]) == (None, body, "AAAAAAAAAAAAAAAAAAAAAA==")
    assert recomputed(line)[0]["after"] == sha256(bytes(16) + body.encode()).hexdigest()
    assert "before_text" not in row


def test_an_export_is_imported_elsewhere_with_the_keys_of_an_event(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(row.event for row in ROWS[HERE]))
    export(sqlite_engine, tmp_path / "all.jsonl")
    lines = [json.dumps({key: row[key] for key in EVENT_KEYS}) for row in json_rows(tmp_path / "all.jsonl")]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    assert import_file(sqlite_engine, tmp_path / "events.jsonl", SOUTHPORT).added == len(lines)
    export(sqlite_engine, tmp_path / "again.jsonl", organization=SOUTHPORT)
    again = json_rows(tmp_path / "again.jsonl")
    assert [json.dumps({key: row[key] for key in EVENT_KEYS}) for row in again] == lines
