"""A file is there whole or not at all, and none is ever replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from flasktrack.errors import ExportFailed
from flasktrack.export.new_file import new_file, remove_unfinished
from tests.export.samples import export, seqs
from tests.store.samples import event, organizations, record


@pytest.fixture
def chain(engine: Engine) -> Engine:
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 1201)))
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for exports."""
    made = tmp_path / "exports"
    made.mkdir()
    return made


def contents(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
@pytest.mark.parametrize("cancel_at", [0, 500, 1200])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, BrokenPipeError])
def test_a_cancelled_export_leaves_nothing(
    sqlite_engine: Engine, folder: Path, format_: str, cancel_at: int, error: type[BaseException]
) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number) for number in range(1, 1201)))

    def progress(done: int, total: int) -> None:
        if done == cancel_at:
            raise error

    with pytest.raises(error):
        export(sqlite_engine, folder / f"all.{format_}", progress=progress)
    assert contents(folder) == []


def test_a_cancelled_export_lets_go_of_the_database(chain: Engine, folder: Path) -> None:
    def progress(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    kept = []  # as a page keeps the last error: its traceback holds on to everything in it
    for _ in range(20):  # more than the pool has connections
        with pytest.raises(KeyboardInterrupt) as caught:
            export(chain, folder / "all.csv", progress=progress)
        kept.append(caught)
    assert export(chain, folder / "all.csv").records == 1200


def test_the_file_is_not_there_under_its_name_before_it_is_whole(chain: Engine, folder: Path) -> None:
    seen: list[bool] = []
    export(chain, folder / "all.csv", progress=lambda *_: seen.append((folder / "all.csv").exists()))
    assert set(seen) == {False}
    assert contents(folder) == ["all.csv"]


def test_an_existing_file_is_never_replaced(chain: Engine, folder: Path) -> None:
    path = folder / "all.csv"
    path.write_text("evidence")
    with pytest.raises(ExportFailed, match=r"exists already.*another name"):
        export(chain, path)
    path.unlink()
    path.symlink_to(folder / "nowhere")
    with pytest.raises(ExportFailed, match="exists already"):
        export(chain, path)
    path.unlink()
    with pytest.raises(ExportFailed, match="exists already"):  # it appears while the export runs
        export(chain, path, progress=lambda *_: path.write_text("somebody else's"))
    assert path.read_text() == "somebody else's"
    assert contents(folder) == ["all.csv"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (lambda folder: folder / "missing" / "all.csv", "no folder .*Make it"),
        (lambda folder: folder / "file" / "all.csv", "Not a directory"),
        (lambda folder: folder / f"{'x' * 300}.csv", "too long"),
        (lambda folder: folder / "a\0b.csv", "null"),
        (lambda folder: Path("/proc/flasktrack.csv"), "can't be written"),  # where not even root may write
        (lambda folder: folder, "exists already"),
    ],
    ids=["missing folder", "a file as folder", "long name", "U+0000", "not writable", "a folder"],
)
def test_a_place_that_cannot_be_written_is_said_in_a_sentence(
    chain: Engine, folder: Path, place: Callable[[Path], Path], words: str
) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ExportFailed, match=words):
        export(chain, place(folder))
    assert contents(folder) == ["file"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system refuses to write beyond this size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(path: Path, parts: int) -> None:
    with new_file(path) as file:
        for _ in range(parts):
            file.write(b"x" * 100_000)


@pytest.mark.parametrize(("limit", "parts"), [(1_000, 1), (1_500_000, 20)], ids=["when flushed", "while written"])
def test_a_disk_that_takes_no_more_is_said_and_nothing_is_left(folder: Path, limit: int, parts: int) -> None:
    with files_of_at_most(limit), pytest.raises(ExportFailed, match=r"can't be written.*Nothing was left"):
        write(folder / "all.csv", parts)
    assert contents(folder) == []


def test_a_disk_that_does_not_keep_what_it_took_is_said(
    chain: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ExportFailed, match=r"No space left on device.*free some space"):
        export(chain, folder / "all.csv")
    assert contents(folder) == []


def test_a_file_system_without_hard_links_will_do(chain: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    export(chain, folder / "all.jsonl")
    assert seqs(folder / "all.jsonl") == list(range(1, 1201))
    with pytest.raises(ExportFailed, match="exists already"):
        export(chain, folder / "two.csv", progress=lambda *_: (folder / "two.csv").touch())
    assert contents(folder) == ["all.jsonl", "two.csv"]


# What a killed process left


def test_what_was_left_is_removed_and_nothing_else_is(folder: Path) -> None:
    """Not what is being written, not what is young (it may not be locked yet), and nothing of another's."""
    names = [f".flasktrack-{digit * 16}.unfinished" for digit in "012"]
    for name in (*names, ".flasktrack-next", ".flasktrack-0.unfinished", "report.unfinished"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (0, 0))
    os.utime(folder / names[1])
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(b"x")
    link = folder / f".flasktrack-{'3' * 16}.unfinished"
    link.symlink_to(elsewhere)
    with (folder / names[2]).open("rb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        with new_file(folder / "a.csv") as file:
            assert not (folder / names[0]).exists()
            with new_file(folder / "b.csv") as other:
                remove_unfinished(folder, older_than=timedelta())
                other.write(b"b")
            file.write(b"a")
    there = {".flasktrack-next", ".flasktrack-0.unfinished", "report.unfinished", link.name, names[2]}
    assert set(contents(folder)) == {"a.csv", "b.csv"} | there
    assert elsewhere.exists()
