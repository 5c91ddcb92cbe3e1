"""An export is what was counted, of one organization, with what is wrong said and not hidden."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.core.record import SECTIONS
from flasktrack.errors import ExportFailed, UnknownOrganization
from flasktrack.export.exporting import export_records
from flasktrack.export.formats import FORMATS as REGISTERED
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests import adversary
from tests.export.samples import BERLIN, csv_rows, export, export_as, json_rows, seqs
from tests.insight.lab import HERE, HOUR_SPANS, ROWS, THERE, selected
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record

FORMATS = ("csv", "jsonl")
TABLES = ("csv", "jsonl", "ocsf", "xlsx", "parquet")
FILTERS = {
    "none": RecordFilter(),
    "occurred_from": RecordFilter(occurred_from=datetime(2026, 7, 1, tzinfo=UTC)),
    "occurred_to": RecordFilter(occurred_to=datetime(2026, 7, 1, tzinfo=UTC)),
    "actors": RecordFilter(actors=("user:u-1", "user:u:2")),
    "actor_types": RecordFilter(actor_types=("api_key", "automation")),
    "actions": RecordFilter(actions=("delete",)),
    "entities": RecordFilter(entities=("sample:S:1:b", "file:C:\\data\\run_1")),
    "with_related": RecordFilter(entities=("sample:S:1:b",), with_related=True),
    "entity_types": RecordFilter(entity_types=("sample",)),
    "outcomes": RecordFilter(outcomes=("denied", "failure")),
    "credentials": RecordFilter(credentials=("tok_1",)),
    "on_behalf_of": RecordFilter(on_behalf_of=("user:u:2", "user:U-1")),
    "ips": RecordFilter(ips=("192.0.2.7", "192.0.2.77")),
    "hours": RecordFilter(hours=(min(HOUR_SPANS),)),
    "positions": RecordFilter(positions=(3, 77, 100)),
    "seq_first": RecordFilter(seq_first=100),
    "seq_last": RecordFilter(seq_last=100),
    "text": RecordFilter(text="MÜLLER twice"),
    "several": RecordFilter(actions=("create", "update"), outcomes=("success",), seq_first=20, text="öl"),
}


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """Two organizations with the same people, samples and record ids."""
    with writing(engine) as connection:
        for name, rows in ROWS.items():
            create_organization(connection, name)
            append(connection, name, [row.event for row in rows])
    return engine


@pytest.fixture
def chain(engine: Engine) -> Engine:
    """1,200 records, more than are read or reported at once."""
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 1201)))
    return engine


def test_every_filter_selects_its_organizations_records_and_no_others(lab: Engine, tmp_path: Path) -> None:
    assert {name for name in RecordFilter.__slots__ if name not in FILTERS} == set()
    for (name, chosen), format_, organization in itertools.product(FILTERS.items(), FORMATS, (HERE, THERE)):
        path = tmp_path / f"{organization}-{name}.{format_}"
        expected = [row.seq for row in selected(organization, chosen)]
        result = export(lab, path, chosen, organization=organization)
        assert seqs(path) == expected, (name, format_)
        assert result.records == len(expected)
        rows = csv_rows(path) if format_ == "csv" else json_rows(path)
        assert {row["organization_id"] for row in rows} == {organization}
        assert name == "none" or 0 < len(expected) < len(ROWS[organization])


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_appended_meanwhile_is_not_half_in(chain: Engine, tmp_path: Path, format_: str) -> None:
    reports: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        reports.append((done, total))
        record(chain, event(2000 + len(reports)))

    path = tmp_path / f"all.{format_}"
    assert export(chain, path, progress=progress).records == 1200
    assert seqs(path) == list(range(1, 1201))
    assert reports[0] == (0, 1200)
    assert reports[-1] == (1200, 1200)
    assert len(reports) > 2
    assert reports == sorted(set(reports))
    assert Ledger(chain, machine_scope(NORTHWIND)).count() == 1200 + len(reports)


@pytest.mark.parametrize("format_", [name for name, format_ in REGISTERED.items() if not format_.of_nothing])
def test_a_filter_that_nothing_meets_is_said_to_be_one_and_leaves_no_file(
    sqlite_engine: Engine, tmp_path: Path, format_: str
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    for name, chosen in {"action": RecordFilter(actions=("erase",)), "above": RecordFilter(seq_first=2)}.items():
        with pytest.raises(ExportFailed, match="No record meets the filter"):
            export_as(format_, sqlite_engine, tmp_path / name, chosen)
        assert not (tmp_path / name).exists()


def test_fewer_records_than_were_counted_are_refused(
    chain: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Ledger.stream

    def deleted_first(self: Ledger, *conditions: Any, **range_: Any) -> Iterator[CheckedRecord]:
        if conditions:  # it is the export's own, after the count
            adversary.delete_records(chain, NORTHWIND, 700)
        return stream(self, *conditions, **range_)

    monkeypatch.setattr(Ledger, "stream", deleted_first)
    with pytest.raises(ExportFailed, match=r"1,200 records .* 1,199"):
        export(chain, tmp_path / "all.csv")
    assert not [entry for entry in tmp_path.iterdir() if not entry.name.startswith("flasktrack.db")]


@pytest.mark.parametrize("attack", ["delete_head", "alter_head"])
def test_no_head_can_hide_records(chain: Engine, tmp_path: Path, attack: str) -> None:
    getattr(adversary, attack)(chain, NORTHWIND, **({} if attack == "delete_head" else {"size": 3}))
    assert export(chain, tmp_path / "all.jsonl").records == 1200


def test_altered_records_are_exported_with_their_findings(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, *(event(number, context={"ip": "10.0.0.1"}) for number in range(1, 8)))
    adversary.alter_record(engine, NORTHWIND, 2, actor_id="=u-99")
    adversary.rechain_record(engine, NORTHWIND, 3, reason="Approved by telephone")
    adversary.alter_section(engine, NORTHWIND, 5, "before", '{"volume":99}')
    adversary.alter_section(engine, NORTHWIND, 5, "after", '{"volume":99}')
    adversary.delete_section(engine, NORTHWIND, 6, "context")
    adversary.alter_section(engine, NORTHWIND, 6, "after", "no JSON\nat all")
    expected = {
        2: ["record_modified"], 4: ["chain_broken"], 5: ["payload_modified"],
        6: ["payload_modified", "payload_missing"],
    }  # fmt: skip
    export(engine, tmp_path / "all.csv")
    export(engine, tmp_path / "all.jsonl")
    table, lines = csv_rows(tmp_path / "all.csv"), json_rows(tmp_path / "all.jsonl")
    assert [row["findings"] for row in table] == [";".join(expected.get(seq, [])) for seq in range(1, 8)]
    assert [row["findings"] for row in lines] == [expected.get(seq, []) for seq in range(1, 8)]
    assert (table[1]["actor_id"], lines[1]["actor"]["id"]) == ("'=u-99", "=u-99")
    assert (table[2]["reason"], lines[2]["reason"]) == ("Approved by telephone",) * 2
    assert (table[4]["before"], lines[4]["before"]) == ('{"volume":99}', {"volume": 99})
    assert (table[5]["after"], lines[5]["after"], lines[5]["after_text"]) == (
        "no JSON\nat all",
        None,
        "no JSON\nat all",
    )
    assert (table[5]["context"], lines[5]["context"], lines[5]["context_salt"]) == ("", None, None)


@pytest.mark.parametrize("value", ["CAST(x'ff41' AS TEXT)", "x'ff41'", "-17", "1e999", "''", "'=1+1'", "'a'||char(0)"])
def test_whatever_somebody_put_into_sqlites_columns_is_exported(
    sqlite_engine: Engine, tmp_path: Path, value: str
) -> None:
    organizations(sqlite_engine)
    columns = ("actor_name", "occurred_at", "recorded_at", "entity_id", "related", "hash", "after_digest", "actor_seq")
    record(sqlite_engine, *(event(n, before=1, context=1) for n in range(1, len(columns) + 7)))
    for seq, name in enumerate(columns, 2):
        adversary.run_sql(sqlite_engine, f"UPDATE audit_record SET {name} = {value} WHERE seq = {seq}")
    for seq, name in enumerate((*SECTIONS, "after_salt"), 2 + len(columns)):
        adversary.run_sql(sqlite_engine, f"UPDATE audit_payload SET {name} = {value} WHERE seq = {seq}")
    export(sqlite_engine, tmp_path / "all.csv")
    export(sqlite_engine, tmp_path / "all.jsonl")
    for rows in (csv_rows(tmp_path / "all.csv"), json_rows(tmp_path / "all.jsonl")):
        assert [int(row["seq"]) for row in rows] == list(range(1, len(columns) + 7))
        assert [bool(row["findings"]) for row in rows] == [False, *[True] * (len(columns) + 4), False]


@pytest.mark.parametrize("format_", FORMATS)
def test_the_answer_names_the_file_and_its_sha256(chain: Engine, tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"all.{format_}"
    result = export(chain, path)
    assert (result.path, result.records, result.sha256) == (path, 1200, sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("format_", ["ocsf", "xlsx", "parquet"])
def test_other_tables_hold_what_was_counted_too(sqlite_engine: Engine, tmp_path: Path, format_: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number, entity_id=f"S-{number % 3}") for number in range(1, 1201)))
    reports: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        reports.append((done, total))
        record(sqlite_engine, event(2000 + len(reports), entity_id="S-1"))

    path = tmp_path / f"some.{format_}"
    result = export_as(format_, sqlite_engine, path, RecordFilter(entities=("sample:S-1",)), progress=progress)
    assert seqs(path) == list(range(1, 1201, 3))
    assert (result.records, result.sha256) == (400, sha256(path.read_bytes()).hexdigest())
    assert (reports[0], reports[-1]) == ((0, 400), (400, 400))


class Cancelled(Exception):
    """What Ctrl-C is to the command line."""


@pytest.mark.parametrize("format_", TABLES)
def test_what_is_cancelled_leaves_nothing(sqlite_engine: Engine, tmp_path: Path, format_: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 601)))

    def progress(done: int, _total: int) -> None:
        if done == 500:
            raise Cancelled

    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(Cancelled):
        export_as(format_, sqlite_engine, folder / "all", progress=progress)
    assert not list(folder.iterdir())


def test_columns_are_those_that_there_are(chain: Engine, tmp_path: Path) -> None:
    export(chain, tmp_path / "some.csv", columns=("occurred_at_local", "seq"))
    head, first, *_ = (tmp_path / "some.csv").read_text(encoding="utf-8-sig").splitlines()
    assert head == '"occurred_at (Europe/Berlin)","seq"'
    assert first == '"2026-11-24T06:06:07.000001+01:00",1'
    with pytest.raises(ExportFailed, match="'secrets' is no column of a table"):
        export(chain, tmp_path / "none.csv", columns=("seq", "secrets"))
    assert not (tmp_path / "none.csv").exists()


def test_an_unknown_organization_or_format_makes_no_file(chain: Engine, tmp_path: Path) -> None:
    for organization in ("nobody", SOUTHPORT):
        with pytest.raises(UnknownOrganization):
            export(chain, tmp_path / "all.csv", organization=organization)
    with pytest.raises(ExportFailed, match="docx"):
        export_records(
            chain, machine_scope(NORTHWIND), RecordFilter(), "docx", tmp_path / "all.csv", options=ExportOptions(BERLIN)
        )
    assert not (tmp_path / "all.csv").exists()


@pytest.mark.parametrize("format_", FORMATS)
def test_memory_does_not_grow_with_the_number_of_records(engine: Engine, tmp_path: Path, format_: str) -> None:
    organizations(engine)
    for part in range(4):
        record(engine, *(event(part * 1000 + n, after="x" * 4000) for n in range(1000)))
    tracemalloc.start()
    try:
        export(engine, tmp_path / f"all.{format_}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = (tmp_path / f"all.{format_}").stat().st_size
    assert size > 16_000_000
    assert peak < size / 3
