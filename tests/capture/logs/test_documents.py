"""A file is cut into the same entries however it arrives, and what is no JSON is put down to its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flasktrack.capture.files import open_input
from flasktrack.capture.lines import Place
from flasktrack.capture.logs import documents
from flasktrack.capture.logs.documents import read_documents
from flasktrack.errors import ImportFailed
from tests.capture.events import JSON

WRAPPERS = (("Records",), ("data", "search", "edges"))
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=4)


def read(path: Path, content: str | bytes) -> list[tuple[Place, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_input(path) as file:
        return list(read_documents(file, WRAPPERS))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=OBJECTS,
    shape=st.sampled_from(["list", "lines", "Records", "edges"]),
    indent=st.sampled_from([None, 1]),
    ascii_=st.booleans(),
    chunk=st.sampled_from([1, 7, 1000]),
)
def test_entries_are_cut_as_they_were_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    values: list[Any], shape: str, indent: int | None, ascii_: bool, chunk: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(documents, "_CHUNK", chunk)

    def text(value: Any) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_)

    content = {
        "list": text(values),
        "lines": "\r\n".join(map(text, values)),
        "Records": text({"Records": values}) * 2,
        "edges": text({"data": {"search": {"totalCount": [4], "edges": values, "pageInfo": {"edges": []}}}}),
    }[shape]
    found = read(tmp_path / "file", content)
    if not (shape == "lines" and any("Records" in value or "data" in value for value in values)):
        assert [json.loads(one) for _, one in found] == values * (2 if shape == "Records" else 1)
    if shape == "lines" and indent is None:
        assert [place for place, _ in found] == [Place(number) for number in range(1, len(values) + 1)]
    elif shape != "lines":
        assert [place for place, _ in found] == [Place(number, "record") for number in range(1, len(found) + 1)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"Records": [{"a": 1}, {"a": }]}', "record 2: is not JSON (Expecting value, at character 7)"),
        (b'{"Records": [{"a": 1} {"a": 2}]}', "line 1: is not JSON: '{' stands where ',' should be after record 1"),
        (b'{"Records": [{"a": 1}', "line 1: is not JSON: the file ends where ',' should be after record 1"),
        (b'{"Records": [{"a": ', "record 1: is cut off: the file ends within it"),
        (b'{"Records": null}', "line 1: is not JSON: 'n' stands where '[' should be"),
        (b'{"data": {"search": {"count": 1}}}', "line 1: holds no 'edges'"),
        (b'{"a": 1}\n\n{"a": tru}', "line 3: is not JSON (Expecting value, at character 7)"),
        (b"Not found", "line 1: is not JSON: it begins with neither { nor ["),
        (b'{"a": 1}\n{"a": "\xff"}', "is not UTF-8 (0xff)"),
        ('{"a": 1}'.encode("utf-16"), "line 1: is UTF-16"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "record 1: Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_put_down_to_its_place(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ImportFailed) as failure:
        read(tmp_path / "file", content)
    assert says in failure.value.what


def test_an_entry_without_an_end_is_given_up_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_LINE_BYTES", 10_000)
    monkeypatch.setattr(documents, "_CHUNK", 1000)
    with pytest.raises(ImportFailed, match=r"record 1: is longer than 10,000 characters"):
        read(tmp_path / "file", '[{"a": "' + "x" * 100_000)
    with pytest.raises(ImportFailed, match=r"record 1: is longer than 10,000 characters"):
        read(tmp_path / "file", '[{"a": "' + "x" * 10_500 + '"}]')
