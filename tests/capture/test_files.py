"""Files as they lie about: compressed or not, in folders, damaged, or made to fill a memory."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from flasktrack.capture import files
from flasktrack.capture.files import files_in, open_input
from flasktrack.capture.lines import Lines
from flasktrack.errors import ImportFailed


def read(path: Path) -> list[str]:
    with open_input(path) as file:
        return [text for _, text in Lines(file)]


def test_compression_is_seen_by_the_content_and_position_is_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n"))
    with open_input(path) as file:
        assert [text for _, text in Lines(file)] == ["a\n", "b\n"]
        assert (file.position, file.taken) == (file.size, 4) == (path.stat().st_size, 4)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    data = bytearray(gzip.compress(os.urandom(3000).hex().encode()))
    if damage == "cut":
        del data[-20:]
    else:
        data[1500] ^= 0xFF
    path = tmp_path / "events.json.gz"
    path.write_bytes(data)
    with pytest.raises(ImportFailed, match=r"events\.json\.gz is damaged or cut off"):
        read(path)


def test_a_file_that_grows_beyond_all_logs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FREE_BYTES", 2**20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\n" * 2**23))
    with pytest.raises(ImportFailed, match="200 times its size"):
        read(path)
    path.write_bytes(gzip.compress(b"\n" * 2**20))
    assert len(read(path)) == 2**20


def test_a_folders_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("2026/07/02/a.json", "2026/07/10/a.json", "2026/06/30/z.json.gz", ".DS_Store", "2026/.git/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    found = files_in(tmp_path)
    assert [one.name for one in found] == ["2026/06/30/z.json.gz", "2026/07/02/a.json", "2026/07/10/a.json"]
    assert {one.size for one in found} == {5}
    assert files_in(tmp_path / "absent")[0].name is None


def test_what_a_folder_holds_besides_files_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(ImportFailed, match="link to another folder"):
        files_in(tmp_path / "logs")
    (tmp_path / "logs" / "more").unlink()
    os.mkfifo(tmp_path / "logs" / "pipe")
    with pytest.raises(ImportFailed, match="no file"):
        files_in(tmp_path / "logs")
