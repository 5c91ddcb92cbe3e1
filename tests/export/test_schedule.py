"""A folder that is followed has every record once, whenever the process that fills it is killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.errors import ScheduleError
from flasktrack.export import schedule as module
from flasktrack.export.exporting import ExportResult
from flasktrack.export.schedule import STATE, Schedule, export_what_is_new, run_export_schedule
from flasktrack.export.selection import ExportOptions
from flasktrack.export.verify_package import check_package
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import HOME
from flasktrack.store.engine import open_engine
from flasktrack.store.exports import list_exports
from flasktrack.store.reader import Ledger
from flasktrack.store.saved_filters import save_filter
from flasktrack.store.scope import machine_scope
from flasktrack.verify.runner import Trust
from tests import adversary
from tests.export.packages import SIZE, Lab
from tests.export.samples import BERLIN, seqs
from tests.store.samples import NORTHWIND, SOUTHPORT, event, organizations, record
from tests.verify.chains import grow

SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def schedule(folder: Path, chosen: RecordFilter | None = None, **changes: Any) -> Schedule:
    options = ExportOptions(BERLIN, requested_by="automation:siem")
    made = Schedule(NORTHWIND, "All", chosen or RecordFilter(), "jsonl", options, folder)
    return replace(made, **changes)


def add(engine: Engine, first: int, last: int, **changes: Any) -> None:
    record(engine, *(event(number, **changes) for number in range(first, last + 1)))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def exported(folder: Path) -> list[int]:
    return [seq for path in files(folder) for seq in seqs(path)]


def test_each_round_writes_what_is_new_and_the_files_join(engine: Engine, folder: Path) -> None:
    organizations(engine, NORTHWIND, SOUTHPORT)
    assert export_what_is_new(engine, schedule(folder)) == (None, 0, None)
    add(engine, 1, 5)
    first = export_what_is_new(engine, schedule(folder)).written
    assert export_what_is_new(engine, schedule(folder)).written is None
    add(engine, 6, 7)  # behind the record of the export
    second = export_what_is_new(engine, schedule(folder)).written
    assert isinstance(first, ExportResult)
    assert isinstance(second, ExportResult)
    assert [path.name for path in files(folder)] == [
        f"{NORTHWIND}-{1:020}-{5:020}.jsonl",
        f"{NORTHWIND}-{6:020}-{8:020}.jsonl",
    ]
    assert (first.records, second.records) == (5, 3)
    assert exported(folder) == list(range(1, 9))


def test_a_filter_narrows_and_what_it_leaves_out_makes_no_file(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    narrow = schedule(folder, RecordFilter(actions=("delete",), seq_first=3))
    add(sqlite_engine, 1, 4, action="delete")
    add(sqlite_engine, 5, 6)
    export_what_is_new(sqlite_engine, narrow)  # record 7 is of this export
    add(sqlite_engine, 7, 8)
    assert export_what_is_new(sqlite_engine, narrow).written is None
    add(sqlite_engine, 9, 9, action="delete")
    export_what_is_new(sqlite_engine, narrow)
    assert exported(folder) == [3, 4, 10]
    assert files(folder)[1].name.startswith(f"{NORTHWIND}-{7:020}-{10:020}")


def test_what_the_reader_took_away_is_not_written_again(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 5)
    export_what_is_new(sqlite_engine, schedule(folder))
    files(folder)[0].unlink()
    add(sqlite_engine, 6, 6)
    export_what_is_new(sqlite_engine, schedule(folder))
    assert exported(folder) == [6, 7]


def test_a_full_disk_is_reported_and_the_next_round_makes_up_for_it(
    sqlite_engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 3)
    said: list[str] = []

    class Twice(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            monkeypatch.undo()
            return len(said) == 2

    def full(_self: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    run_export_schedule(sqlite_engine, schedule(folder), timedelta(seconds=1), report=said.append, stop=Twice())
    assert "No space left on device" in said[0]
    assert "4 records in" in said[1]  # with the record of the file that could not be given out
    assert exported(folder) == [1, 2, 3, 4]


# Killed at any moment


class _Killer:
    """Ends the process, as SIGKILL does, before or after the n-th step that reaches the disk."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def wrap(self, function: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            self._count()
            done = function(*arguments, **options)
            self._count()
            return done

        return step

    def _count(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            os._exit(9)


def _round_in_a_process(url: str, wanted: Schedule, kill_at: int) -> int:
    """Run a round in a process that may be killed; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    killer = _Killer(kill_at)  # from here on in the child, which never returns
    try:
        for name in ("fsync", "rename", "replace", "link", "unlink"):
            setattr(os, name, killer.wrap(getattr(os, name)))
        export_what_is_new(open_engine(url), wanted)
        os._exit(0)
    except BaseException:  # noqa: BLE001 (nothing of the child may get into the test)
        os._exit(1)


@pytest.mark.parametrize("taken_at_once", [False, True], ids=["left there", "taken at once"])
def test_killed_at_any_step_there_is_no_gap_and_no_overlap(
    sqlite_engine: Engine, folder: Path, taken_at_once: bool
) -> None:
    """Also where the reader takes each file away the moment that it is there."""
    organizations(sqlite_engine)
    url = sqlite_engine.url.render_as_string(hide_password=False)
    sqlite_engine.dispose()
    taken: list[int] = []
    written = killed = 0

    def take() -> None:
        for path in files(folder) if taken_at_once else ():
            taken.extend(seqs(path))
            path.unlink()

    kill_at = 1
    while True:
        add(sqlite_engine, written + 1, written + 3)
        written += 3
        status = _round_in_a_process(url, schedule(folder), kill_at)
        assert status in (0, 9)
        take()
        if status == 0:
            break
        killed += 1
        kill_at += 1
        if kill_at % 2:  # sometimes a round goes through, so that there is something to overlap with
            export_what_is_new(sqlite_engine, schedule(folder))
            take()
    assert killed > 15
    found = taken + exported(folder)
    assert found == list(
        range(1, Ledger(sqlite_engine, machine_scope(NORTHWIND)).newest())
    )  # all but the record of the last export
    assert len(found) > written
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [STATE]


def test_a_running_schedule_that_is_killed_goes_on_where_it_was(
    sqlite_engine: Engine, folder: Path, tmp_path: Path
) -> None:
    organizations(sqlite_engine)
    url = sqlite_engine.url.render_as_string(hide_password=False)
    save_filter(sqlite_engine, machine_scope(NORTHWIND), "All", {}, shared=True)  # record 1
    command = [
        sys.executable, "-m", "flasktrack", "export", "--organization", NORTHWIND, "--saved", "All",
        "--format", "jsonl", "--every", "1s", "--to", str(folder), "--by", "automation:siem", "--database", url,
    ]  # fmt: skip
    last = 0
    for end in (signal.SIGKILL, signal.SIGTERM):
        log = tmp_path / f"{end.name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=HOME, stdout=output, stderr=output)
            try:
                for _ in range(2):
                    add(sqlite_engine, last + 1, last + 4)
                    last += 4
                    _wait_for(lambda wanted=last: _acts(folder) >= wanted, log)
            finally:
                process.send_signal(end)
                status = process.wait(SECONDS)
        assert status == (0 if end == signal.SIGTERM else -9), log.read_text()
    found = exported(folder)
    assert found == list(range(1, found[-1] + 1))
    assert last <= found[-1] <= Ledger(sqlite_engine, machine_scope(NORTHWIND)).newest()
    made = list_exports(sqlite_engine, machine_scope(NORTHWIND))
    assert sum(one.records for one in made) == len(found)
    assert {Path(one.file) for one in made} == set(files(folder))


def _acts(folder: Path) -> int:
    """How many records of acts, and not of the exports themselves, are in the folder."""
    lines = [json.loads(line) for path in files(folder) for line in path.read_text().splitlines()]
    return sum(line["action"] != "export" for line in lines)


def _wait_for(condition: Any, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


# On record


def test_its_own_records_alone_make_no_further_file(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    followed = schedule(folder)
    add(sqlite_engine, 1, 2)
    assert export_what_is_new(sqlite_engine, followed).written is not None
    assert export_what_is_new(sqlite_engine, followed).written is None
    (told,) = Ledger(sqlite_engine, machine_scope(NORTHWIND)).stream(first=3)
    assert (told.record.action, told.record.actor_id) == ("export", "siem")
    assert told.after is not None
    assert json.loads(told.after.body)["file"] == files(folder)[0].name
    add(sqlite_engine, 3, 3)
    export_what_is_new(sqlite_engine, followed)
    assert exported(folder) == [1, 2, 3, 4]
    # What came through a key and looks like one of its own is somebody else's, and not held back.
    own = {"action": "export", "entity_type": "export", "actor_type": "automation", "actor_id": "siem"}
    add(sqlite_engine, 4, 4, **own, credential_id="ftk_0")
    export_what_is_new(sqlite_engine, followed)
    assert exported(folder) == [1, 2, 3, 4, 5, 6]


# Evidence


def test_a_package_holds_what_is_sealed_and_what_is_not_waits_for_a_later_round(tmp_path: Path, folder: Path) -> None:
    lab = Lab(tmp_path)
    options = ExportOptions(BERLIN, requested_by="automation:archive", trust=Trust(lab.keyring, None))
    packages = schedule(folder, RecordFilter(actions=("update",)), format="evidence", options=options)

    def package(last: int) -> int:
        newest = files(folder)[-1]
        assert newest.name.endswith(f"-{last:020}.zip")
        with newest.open("rb") as file:
            result = check_package(file, lab.keys)
        assert (result.status, result.manifest and result.manifest["complete"]) == ("verified", "none")
        return result.records

    grow(lab.engine, NORTHWIND, *(event(number) for number in range(13, 16)))
    first = export_what_is_new(lab.engine, packages)
    assert first.unsealed == 3
    assert "3 above the last checkpoint wait until it is sealed" in str(first)
    assert package(SIZE) == SIZE
    waiting = export_what_is_new(lab.engine, packages)
    assert (waiting.written, waiting.unsealed) == (None, 3)  # the record of the export is no update
    lab.seal()
    second = export_what_is_new(lab.engine, packages)
    assert second.unsealed == 0
    assert package(16) == 3
    assert files(folder)[1].name.startswith(f"{NORTHWIND}-{SIZE + 1:020}-")


def test_before_the_first_seal_nothing_is_exported_as_evidence(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 4)
    assert export_what_is_new(sqlite_engine, schedule(folder, format="evidence")) == (None, 4, None)


# What it can't go on with


def test_a_folder_is_filled_by_one_schedule_alone(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 2)
    with (
        module._alone(folder),
        pytest.raises(ScheduleError, match="Another process"),
    ):
        run_export_schedule(sqlite_engine, schedule(folder), timedelta(seconds=1))
    export_what_is_new(sqlite_engine, schedule(folder))
    for other, differs in (
        (schedule(folder, RecordFilter(actions=("delete",))), "filter"),
        (schedule(folder, format="csv"), "format"),
    ):
        with pytest.raises(ScheduleError, match=f"begun with another {differs}"):
            export_what_is_new(sqlite_engine, other)
    with pytest.raises(ScheduleError, match="can't be opened"):
        run_export_schedule(sqlite_engine, schedule(folder / "no"), timedelta(seconds=1))


@pytest.mark.parametrize("state", ["", "{", "[]", '{"identity": {}}', '{"identity": 1, "last": "x", "hash": ""}'])
def test_a_state_that_is_lost_is_said_to_be(sqlite_engine: Engine, folder: Path, state: str) -> None:
    organizations(sqlite_engine)
    (folder / STATE).write_text(state)
    with pytest.raises(ScheduleError, match=r"can't be read|begun with another"):
        export_what_is_new(sqlite_engine, schedule(folder))


def test_who_can_write_to_the_folder_writes_nothing_elsewhere_by_it(
    sqlite_engine: Engine, folder: Path, tmp_path: Path
) -> None:
    """The reader takes files away, so it may put some there."""
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 2)
    keys = tmp_path / "signing-key.pem"
    keys.write_text("secret")
    (folder / STATE).with_suffix(".unfinished").symlink_to(keys)
    (folder / ".flasktrack-next").symlink_to(keys)
    export_what_is_new(sqlite_engine, schedule(folder))
    assert keys.read_text() == "secret"
    assert exported(folder) == [1, 2]
    state = json.loads((folder / STATE).read_bytes())
    for name in ("../planted", str(tmp_path / "planted"), ".hidden", ""):
        (folder / ".flasktrack-next").write_text("planted")
        state["pending"] = {"file": name, "last": 2, "hash": state["hash"]}
        (folder / STATE).write_text(json.dumps(state))
        with pytest.raises(ScheduleError, match="can't be read"):
            export_what_is_new(sqlite_engine, schedule(folder))
    assert not (tmp_path / "planted").exists()


def test_a_chain_that_is_not_the_one_that_was_exported_stops_it(sqlite_engine: Engine, folder: Path) -> None:
    organizations(sqlite_engine)
    add(sqlite_engine, 1, 5)
    export_what_is_new(sqlite_engine, schedule(folder))
    adversary.rechain_record(sqlite_engine, NORTHWIND, 5, reason="Never happened")
    with pytest.raises(ScheduleError, match=r"Record 5, .* not there any more as it was"):
        export_what_is_new(sqlite_engine, schedule(folder))
    adversary.delete_records(sqlite_engine, NORTHWIND, 5)
    with pytest.raises(ScheduleError, match="Record 5"):
        export_what_is_new(sqlite_engine, schedule(folder))
