"""An export that was asked for is made by whoever runs it: announced, followed, cancelled, recorded, once."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from flasktrack.errors import ExportFailed, InvalidRecord
from flasktrack.export import json_lines, running
from flasktrack.export.exporting import ExportResult, export_records
from flasktrack.export.running import (
    ExportCancelled,
    ask_for_export,
    kept_file,
    record_export,
    remove_expired,
    run_export,
)
from flasktrack.export.selection import ExportOptions, count_selected
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.exports import Export, cancel_export, list_exports
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import export as export_table
from flasktrack.store.scope import Actor, machine_scope
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust
from tests import adversary
from tests.export.samples import BERLIN, seqs
from tests.store.samples import NORTHWIND, event, organizations, record, somebody

OPTIONS = ExportOptions(BERLIN, requested_by="user:u-1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(export_dir=tmp_path / "exports")


@pytest.fixture
def lab(engine: Engine) -> Engine:
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 21)))
    return engine


def ask(engine: Engine, settings: Settings, **changes: Any) -> Export:
    counted, total = count_selected(Ledger(engine, machine_scope(NORTHWIND)), RecordFilter(**changes))
    return ask_for_export(engine, somebody(OPTIONS.requested_by), counted, total, "jsonl", OPTIONS, settings)


def run(engine: Engine, settings: Settings, asked: Export) -> None:
    run_export(engine, NORTHWIND, asked.id, settings, Trust(Keyring(settings.export_dir / "none", "x.test"), None))


def test_what_was_announced_is_written_and_recorded_once(lab: Engine, settings: Settings) -> None:
    asked = ask(lab, settings, seq_first=11)
    record(lab, event(99))
    run(lab, settings, asked)
    (made,) = list_exports(lab, machine_scope(NORTHWIND))
    file = Path(made.file)
    assert seqs(file) == list(range(11, 21))
    assert (made.status, made.records, made.written, made.bytes) == ("done", 10, 10, file.stat().st_size)
    assert made.sha256 == sha256(file.read_bytes()).hexdigest()
    assert made.downloadable
    told = Ledger(lab, machine_scope(NORTHWIND)).get(made.seq or 0)
    assert told is not None
    assert told.after is not None
    assert json.loads(told.after.body)["sha256"] == made.sha256
    with pytest.raises(ExportFailed, match="no export"):
        run(lab, settings, asked)  # a second process finds nothing to do
    assert Ledger(lab, machine_scope(NORTHWIND)).newest() == 22


def test_other_than_what_was_announced_is_not_written(lab: Engine, settings: Settings) -> None:
    asked = ask(lab, settings)
    adversary.delete_records(lab, NORTHWIND, 7)
    with pytest.raises(ExportFailed, match=r"20 records met the filter .* 19"):
        run(lab, settings, asked)
    (failed,) = list_exports(lab, machine_scope(NORTHWIND))
    assert failed.status == "failed"
    assert "19" in str(failed.problem)
    assert not Path(failed.file).parent.exists()


def test_who_cancels_ends_it_and_nothing_is_left_or_recorded(
    sqlite_engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    asked = ask(sqlite_engine, settings)
    heard = running._Follower._follow

    def cancelled_first(self: running._Follower) -> None:
        cancel_export(sqlite_engine, machine_scope(NORTHWIND), asked.id)
        monkeypatch.setattr(running, "_EVERY", 0.0)
        heard(self)

    def write(selection: Any, _options: Any, _file: Any) -> None:
        for _ in range(10_000_000):  # as long as it takes to hear of it
            selection.progress(0, 1)

    monkeypatch.setattr(running._Follower, "_follow", cancelled_first)
    monkeypatch.setattr("flasktrack.export.json_lines.write", write)
    with pytest.raises(ExportCancelled):
        run(sqlite_engine, settings, asked)
    (ended,) = list_exports(sqlite_engine, machine_scope(NORTHWIND))
    assert ended.status == "cancelled"
    assert not Path(ended.file).parent.exists()
    assert Ledger(sqlite_engine, machine_scope(NORTHWIND)).newest() == 1


@pytest.mark.parametrize("named", ["signing-key.pem", "..", ".hidden"])
def test_whatever_a_row_says_nothing_outside_of_its_folder_is_written_given_out_or_removed(
    sqlite_engine: Engine, settings: Settings, tmp_path: Path, named: str
) -> None:
    """Who can write to the database must not reach the keys through the app."""
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    asked = ask(sqlite_engine, settings)
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "signing-key.pem").write_text("secret")
    with writing(sqlite_engine) as connection:
        connection.execute(update(export_table).values(file=f"{keys}/{named}"))
    if named == "signing-key.pem":
        run(sqlite_engine, settings, asked)
        (made,) = list_exports(sqlite_engine, machine_scope(NORTHWIND))
        file = kept_file(made, settings)
        assert file is not None
        assert seqs(file) == [1]
    else:
        with pytest.raises(ExportFailed, match="was altered"):
            run(sqlite_engine, settings, asked)
    assert kept_file(replace(asked, id="../keys", file="signing-key.pem"), settings) is None
    assert (keys / "signing-key.pem").read_text() == "secret"


def test_what_is_no_export_is_not_removed_with_the_exports(settings: Settings) -> None:
    for name in ("a-thesis", "0" * 32):
        place = settings.export_dir / name
        place.mkdir(parents=True)
        os.utime(place, (0, 0))
    remove_expired(settings)
    assert [found.name for found in settings.export_dir.iterdir()] == ["a-thesis"]


def test_two_processes_that_write_one_export_make_one_file_and_one_record(
    sqlite_engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    asked = ask(sqlite_engine, settings)
    write = json_lines.write

    def other_first(*arguments: Any) -> None:
        monkeypatch.setattr(json_lines, "write", write)
        run(sqlite_engine, settings, asked)
        write(*arguments)

    monkeypatch.setattr(json_lines, "write", other_first)
    with pytest.raises(ExportFailed, match="Another process"):
        run(sqlite_engine, settings, asked)
    (made,) = list_exports(sqlite_engine, machine_scope(NORTHWIND))
    assert made.status == "done"
    assert made.sha256 == sha256(Path(made.file).read_bytes()).hexdigest()
    assert Ledger(sqlite_engine, machine_scope(NORTHWIND)).newest() == made.seq == 2


def test_a_file_that_cant_be_recorded_is_not_there(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    nobody = machine_scope(NORTHWIND, Actor("robot", "r-1"))  # no type of actor

    def keep(result: Any) -> None:
        record_export(sqlite_engine, nobody, "jsonl", OPTIONS, result)

    with pytest.raises(InvalidRecord):
        export_records(
            sqlite_engine,
            machine_scope(NORTHWIND),
            RecordFilter(),
            "jsonl",
            tmp_path / "x.jsonl",
            options=OPTIONS,
            keep=keep,
        )
    assert not list(tmp_path.glob("*x.jsonl*"))
    assert list_exports(sqlite_engine, machine_scope(NORTHWIND)) == []


# Where nothing can be recorded, of all databases


def _export_and_record(engine: Engine, target: Path) -> str | None:
    said: list[str | None] = []

    def keep(result: ExportResult) -> None:
        said.append(record_export(engine, machine_scope(NORTHWIND), "jsonl", OPTIONS, result))

    export_records(engine, machine_scope(NORTHWIND), RecordFilter(), "jsonl", target, options=OPTIONS, keep=keep)
    return said[0]


def test_a_database_that_cant_be_written_is_exported_and_says_that_it_has_no_record_of_it(
    lab: Engine, tmp_path: Path
) -> None:
    if lab.dialect.name == "sqlite":
        url = f"sqlite:///file:{lab.url.database}?mode=ro&uri=true"
    else:
        url = lab.url.update_query_dict({"options": "-c default_transaction_read_only=on"}).render_as_string(False)
    read_only = open_engine(url)
    said = _export_and_record(read_only, tmp_path / "all.jsonl")
    read_only.dispose()
    assert said == "It is not on record in the chain: The database can't be written."
    assert seqs(tmp_path / "all.jsonl") == list(range(1, 21))
    assert Ledger(lab, machine_scope(NORTHWIND)).newest() == 20


def test_a_chain_that_nothing_can_be_appended_to_is_exported_and_the_row_says_that_there_is_no_record(
    lab: Engine, tmp_path: Path
) -> None:
    adversary.delete_records(lab, NORTHWIND, 20)
    said = _export_and_record(lab, tmp_path / "all.jsonl")
    assert said is not None
    assert "not on record in the chain" in said
    (made,) = list_exports(lab, machine_scope(NORTHWIND))
    assert (made.status, made.records, made.seq, made.problem) == ("done", 19, None, said)


def test_what_a_killed_process_left_goes_when_the_next_export_is_asked_for(
    sqlite_engine: Engine, settings: Settings
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    left = Path(ask(sqlite_engine, settings).file).parent / f".flasktrack-{'0' * 16}.unfinished"
    left.write_bytes(b"half of it")
    os.utime(left, (0, 0))
    ask(sqlite_engine, settings)
    assert not left.exists()
