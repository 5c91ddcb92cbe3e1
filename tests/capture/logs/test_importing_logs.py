"""Logs are imported from the files and folders in which they lie, whole or not at all, and once."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.capture import importing
from flasktrack.capture.importing import import_file
from flasktrack.capture.logs.formats import LOG_FORMATS
from flasktrack.cli import main
from flasktrack.errors import ImportFailed
from flasktrack.export.ocsf import ocsf_event
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization, list_organizations
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.capture.logs.samples import cloudtrail, django, github, ocsf_api, retraced
from tests.insight.lab import HERE, ROWS

LAB = "northwind-labs"
ENTRIES: dict[str, list[dict[str, Any]]] = {
    "cloudtrail": [cloudtrail(), cloudtrail(eventID="other")],
    "github": [github(), github(_document_id="other")],
    "django-auditlog": [django(7), django(8)],
    "ocsf": [ocsf_api(), ocsf_api(metadata={"product": {"name": "P"}})],
    "retraced": [retraced(), retraced(id="other")],
}


def records(engine: Engine, organization_id: str = LAB) -> list[CheckedRecord]:
    found = list(Ledger(engine, machine_scope(organization_id)).stream())
    assert not [finding for checked in found for finding in checked.findings]
    return found


@pytest.mark.parametrize("log", LOG_FORMATS)
def test_each_log_is_imported_once_whatever_its_file_looks_like(engine: Engine, tmp_path: Path, log: str) -> None:
    entries = ENTRIES[log]
    folder = tmp_path / "logs"
    folder.mkdir()
    text = json.dumps({"Records": entries} if log == "cloudtrail" else entries)
    (folder / "plain").write_text(text)
    (folder / "packed").write_bytes(gzip.compress(text.encode()))
    (folder / "lines").write_text("".join(json.dumps(one) + "\n" for one in entries))
    assert import_file(engine, folder / "plain", LAB, format=log).added == 2
    for name in ("packed", "lines"):
        result = import_file(engine, folder / name, LAB, format=log)
        assert (result.added, result.already_present) == (0, 2)
    assert import_file(engine, folder, LAB, format=log).already_present == 6
    assert len(records(engine)) == 2


def trail(folder: Path, *days: list[dict[str, Any]]) -> Path:
    """A trail's folder, as CloudTrail fills it."""
    for number, entries in enumerate(days, start=1):
        day = folder / "AWSLogs/123456789012/CloudTrail/eu-central-1/2026/07" / f"{number:02}"
        day.mkdir(parents=True)
        content = json.dumps({"Records": entries}).encode()
        (day / f"123456789012_CloudTrail_eu-central-1_202607{number:02}T0000Z_x.json.gz").write_bytes(
            gzip.compress(content)
        )
    return folder


def test_a_trail_is_imported_day_by_day(
    sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importing, "BATCH_EVENTS", 2)
    days = [[cloudtrail(eventID=f"{day}-{number}") for number in range(3)] for day in range(1, 13)]
    folder = trail(tmp_path / "trail", *days)
    calls: list[tuple[int, int]] = []
    result = import_file(sqlite_engine, folder, LAB, format="cloudtrail", progress=lambda *call: calls.append(call))
    assert (result.read, result.added) == (36, 36)
    size = sum(path.stat().st_size for path in folder.rglob("*.gz"))
    assert calls == sorted(calls)
    assert calls[-1] == (size, size)
    command = ["import", "--organization", LAB, "--database", sqlite_engine.url.render_as_string()]
    assert main([*command, "--format", "cloudtrail", str(folder)]) == 0
    assert capsys.readouterr().out == f"{LAB}: 36 events read, 0 records added, 36 were there already.\n"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (cloudtrail(eventTime="yesterday"), "record 2, eventTime: 'yesterday' is not an ISO 8601 time"),
        (cloudtrail(eventName="«»"), "record 2, eventName: '«»' has no letter"),
        (cloudtrail(userAgent="\x00"), "record 2, context: holds the character U+0000"),
        (cloudtrail(eventID="1-0", errorCode="X"), "record 2, record_id: stands for record 1 of 202607"),
    ],
)
def test_a_bad_record_is_named_by_file_number_and_field_and_nothing_is_imported(
    sqlite_engine: Engine, tmp_path: Path, bad: dict[str, Any], says: str
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    days = [[cloudtrail(eventID=f"{day}-{number}") for number in range(3)] for day in range(1, 4)]
    days[1][1] = bad
    for number, entries in enumerate(days, start=1):
        (folder / f"20260{6 + (number > 0)}{number:02}.json").write_text(json.dumps({"Records": entries}))
    with pytest.raises(ImportFailed) as failure:
        import_file(sqlite_engine, folder, LAB, format="cloudtrail")
    assert str(failure.value).startswith(f"20260702.json: {says}")
    assert str(failure.value).endswith("Nothing was imported.")
    assert list_organizations(sqlite_engine) == []


def test_what_was_exported_as_ocsf_comes_back_as_the_records_that_it_was(engine: Engine, tmp_path: Path) -> None:
    events = [copy.copy(row.event) for row in ROWS[HERE][:300]]
    with writing(engine) as connection:
        create_organization(connection, LAB)
        append(connection, LAB, events)
    original = records(engine)
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(ocsf_event(checked), default=bytes.hex) + "\n" for checked in original))
    assert import_file(engine, path, "south-lab", format="ocsf").added == len(original)
    different = set()
    for was, is_ in zip(original, records(engine, "south-lab"), strict=True):
        own = ("organization_id", "recorded_at", "context_digest", "before_digest", "after_digest", "prev_hash", "hash")
        mine, theirs = was.record._asdict(), is_.record._asdict()
        different |= {name for name in mine if name not in own and mine[name] != theirs[name]}
        assert [None if part is None else part.body for part in (was.before, was.after)] == [
            None if part is None else part.body for part in (is_.before, is_.after)
        ]
        assert is_.context is not None
        context = json.loads(is_.context.body)
        more = context.pop("ocsf")["unmapped"]
        assert more["hash"] == was.record.hash.hex()
        known = json.loads(was.context.body) if was.context else None
        assert (context or more["context"]) == known  # what is no object stays where the event has it
    assert different == set()
