"""A Parquet file has typed columns, says what it is, and is written in parts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine

from flasktrack.export import parquet_table
from flasktrack.insight.filter import RecordFilter
from tests import adversary
from tests.export.samples import BERLIN, export, headings
from tests.store.samples import NORTHWIND, event, organizations, record


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_columns_have_types_and_the_metadata_states_what_it_is(engine: Engine, tmp_path: Path) -> None:
    organizations(engine)
    record(engine, *(event(number, after={"n": number}, related=[("batch", "B-9")]) for number in range(1, 4)))
    export(engine, tmp_path / "all.parquet", RecordFilter(seq_first=2))
    schema = pq.read_schema(tmp_path / "all.parquet")
    assert schema.names == headings(BERLIN)
    assert schema.field("seq").type == pa.int64()
    assert schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("occurred_at (Europe/Berlin)").type == pa.timestamp("us", tz="Europe/Berlin")
    first, _ = rows(tmp_path / "all.parquet")
    assert (first["seq"], first["after"], first["related"]) == (2, '{"n":2}', [{"type": "batch", "id": "B-9"}])
    assert (first["reason"], first["findings"], len(first["hash"])) == (None, [], 64)
    assert isinstance(first["occurred_at"], datetime)
    stated = json.loads(schema.metadata[parquet_table.METADATA])
    assert (stated["Records"], stated["Filter"]) == ("2", "Records from position 2.")


def test_columns_can_be_chosen_and_come_in_the_order_given(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    export(sqlite_engine, tmp_path / "all.parquet", columns=("action", "occurred_at_local", "seq", "action"))
    assert pq.read_schema(tmp_path / "all.parquet").names == ["action", "occurred_at (Europe/Berlin)", "seq"]


def test_row_groups_are_written_as_they_fill(
    sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number, after="x" * 1000) for number in range(1, 26)))
    monkeypatch.setattr(parquet_table, "_GROUP_ROWS", 10)
    export(sqlite_engine, tmp_path / "by-rows.parquet")
    monkeypatch.setattr(parquet_table, "_GROUP_BYTES", 4000)
    export(sqlite_engine, tmp_path / "by-size.parquet")
    counts = [pq.ParquetFile(tmp_path / f"by-{name}.parquet").num_row_groups for name in ("rows", "size")]
    assert counts[0] == 3
    assert counts[1] > 5
    assert [row["seq"] for row in rows(tmp_path / "by-size.parquet")] == list(range(1, 26))


def test_what_is_no_value_of_a_column_is_null_and_has_findings(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 8)))
    altered = {"occurred_at": "'yesterday'", "actor_seq": "1e999", "entity_seq": "x'00'", "seq": "seq",
               "related": "'nonsense'", "actor_name": "x'ff41'"}  # fmt: skip
    for seq, (name, value) in enumerate(altered.items(), 2):
        adversary.run_sql(sqlite_engine, f"UPDATE audit_record SET {name} = {value} WHERE seq = {seq}")
    export(sqlite_engine, tmp_path / "all.parquet")
    found = rows(tmp_path / "all.parquet")
    assert [row["seq"] for row in found] == list(range(1, 8))
    assert (found[1]["occurred_at"], found[2]["actor_seq"], found[3]["entity_seq"]) == (None, None, None)
    assert (found[5]["related"], found[6]["actor_name"]) == ([], "ff41")
    assert [bool(row["findings"]) for row in found] == [False, True, True, True, False, True, True]
    assert {row["organization_id"] for row in found} == {NORTHWIND}
