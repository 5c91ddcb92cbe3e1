"""Lines of files as people have them: byte order marks, line ends, bytes that are no text, files that are none."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from flasktrack.capture import lines as lines_module
from flasktrack.capture.files import open_input
from flasktrack.capture.lines import Lines
from flasktrack.errors import ImportFailed


def read(path: Path, content: bytes) -> list[tuple[int, str]]:
    path.write_bytes(content)
    with open_input(path) as file:
        return list(Lines(file))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a\nb\n", [(1, "a\n"), (2, "b\n")]),
        (b"a\nb", [(1, "a\n"), (2, "b")]),
        (b"a\r\n\r\nb\r\n", [(1, "a\r\n"), (2, "\r\n"), (3, "b\r\n")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", [(1, "a\n"), (2, "\ufeffb\n")]),
        ("a\u2028b\x85c\x0bd\re\n".encode(), [(1, "a\u2028b\x85c\x0bd\re\n")]),
    ],
)
def test_lines_end_at_line_feeds_alone(tmp_path: Path, content: bytes, expected: list[tuple[int, str]]) -> None:
    assert read(tmp_path / "file", content) == expected


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"a\nM\xfcller\n", 2, "is not UTF-8 (byte 2 of the line is 0xfc)"),
        (b"a\xed\xa0\x80\n", 1, "is not UTF-8"),  # a surrogate, which UTF-8 doesn't have
        ("a\n".encode("utf-16"), 1, "is UTF-16"),
    ],
)
def test_bytes_that_are_not_utf8_are_refused_by_line(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    with pytest.raises(ImportFailed, match=f"^line {line}: ") as failure:
        read(tmp_path / "file", content)
    assert failure.value.line == line
    assert says in str(failure.value)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 10)
    assert read(tmp_path / "file", b"123456789\n") == [(1, "123456789\n")]
    with pytest.raises(ImportFailed, match=r"^line 2: is longer than 10 bytes"):
        read(tmp_path / "file", b"a\n" + b"1234567890\n")


def test_position_and_size_count_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfa\n" + "é\n".encode())
    with open_input(path) as file:
        assert [(file.position, file.size) for _ in Lines(file)] == [(5, 8), (8, 8)]


def test_a_pipe_is_read_without_a_size(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"a\n"))
    writer.start()
    with open_input(path) as file:
        assert file.size == 0
        assert list(Lines(file)) == [(1, "a\n")]
    writer.join()


def test_what_is_no_file_is_refused_with_its_path(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "absent.jsonl", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(ImportFailed, match=says) as failure, open_input(path):
            pass
        assert str(path) in str(failure.value)
        assert "Nothing was imported." in str(failure.value)


def test_a_file_that_fails_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n")
    with open_input(path) as file:

        class Failing:
            def readline(self, _: int) -> bytes:
                raise OSError(5, "Input/output error")

        monkeypatch.setattr(file, "_stream", Failing())
        with pytest.raises(ImportFailed, match="input/output error"):
            list(Lines(file))
