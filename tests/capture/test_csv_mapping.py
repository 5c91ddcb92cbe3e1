"""A mapping file is checked whole before a row is read; what is wrong with it is said with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from flasktrack.capture.csv_mapping import load_mapping
from flasktrack.capture.csv_sources import RecordIdSource, Source
from flasktrack.errors import ImportFailed

MAPPING = {
    "occurred_at": '{ column = "time" }',
    "record_id": '{ source = "test", columns = ["id"] }',
    "action": '{ column = "action" }',
    "actor": '{ type = { constant = "user" }, id = { column = "who" } }',
    "entity": '{ type = { constant = "sample" }, id = { column = "sample" } }',
}


def mapping_file(folder: Path, **changes: str | None) -> Path:
    path = folder / "mapping.toml"
    path.write_text("\n".join(f"{key} = {value}" for key, value in (MAPPING | changes).items() if value is not None))
    return path


def test_a_mapping_has_the_shape_of_a_jsonl_line(tmp_path: Path) -> None:
    mapping = load_mapping(
        mapping_file(tmp_path, delimiter='";"', related='[{ type = {constant="b"}, id = {column="b"} }]')
    )
    assert mapping.delimiter == ";"
    assert mapping.record_id == RecordIdSource("test", ("id",), "refuse")
    assert mapping.fields["actor"] == {
        "type": Source("actor.type", constant="user"),
        "id": Source("actor.id", column="who"),
    }
    assert sorted(mapping.columns()) == [
        ("action", "action"),
        ("b", "related[0].id"),
        ("id", "record_id"),
        ("sample", "entity.id"),
        ("time", "occurred_at"),
        ("who", "actor.id"),
    ]


def test_a_section_may_have_keys_that_are_words_of_the_mapping_and_objects_in_it(tmp_path: Path) -> None:
    after = '{ column = { column = "c" }, inner = { values = { column = "d" } } }'
    assert load_mapping(mapping_file(tmp_path, after=after)).fields["after"] == {
        "column": Source("after.column", column="c"),
        "inner": {"values": Source("after.inner.values", column="d")},
    }


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("occurred_at", {"occurred_at": None}),
        ("record_id", {"record_id": None}),
        ("action", {"action": None}),
        ("acton", {"acton": '{ column = "x" }'}),
        ("delimiter", {"delimiter": '";;"'}),
        ("delimiter", {"delimiter": "'\"'"}),
        ("delimiter", {"delimiter": '"\\u0000"'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%Y-%m-%d %0999999999d" }'}),
        ("occurred_at.format", {"occurred_at": f'{{ column = "t", format = "%Y-%m-%d {"x" * 200}" }}'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%Y-%m-%d %" }'}),
        ("action", {"action": '"create"'}),
        ("action", {"action": "{}"}),
        ("action", {"action": '{ column = "a", constant = "b" }'}),
        ("action", {"action": '{ constant = "b", transform = "slug" }'}),
        ("action.colunm", {"action": '{ colunm = "a" }'}),
        ("action.column", {"action": "{ column = 3 }"}),
        ("action.column", {"action": '{ column = "" }'}),
        ("action.transform", {"action": '{ column = "a", transform = "upper" }'}),
        ("action.transform", {"action": '{ column = "a", transform = ["slug"] }'}),
        ("action", {"action": '{ column = "a", transform = "slug", values = { a = "b" } }'}),
        ("action", {"action": '{ column = "a", otherwise = "b" }'}),
        ("action.values", {"action": '{ column = "a", values = ["b"] }'}),
        ("action.values.a", {"action": '{ column = "a", values = { a = ["b"] } }'}),
        ("action.empty", {"action": '{ column = "a", empty = "-" }'}),
        ("actor.id", {"actor": '{ type = { constant = "user" } }'}),
        ("actor.email", {"actor": '{ type = {constant="user"}, id = {column="a"}, email = {column="b"} }'}),
        ("entity.id", {"entity": '{ type = { constant = "user" }, id = "S-1" }'}),
        ("related", {"related": '{ type = {constant="b"}, id = {column="b"} }'}),
        ("related[0].id", {"related": '[{ type = { constant = "b" } }]'}),
        ("after", {"after": "{}"}),
        ("after.x.y", {"after": '{ x = { y = "z", column = "c" } }'}),
        ("after.x.constant", {"after": "{ x = { constant = [1] } }"}),
        ("occurred_at.column", {"occurred_at": '{ format = "%Y" }'}),
        ("occurred_at.zone", {"occurred_at": '{ column = "t", zone = "Mars/Olympus" }'}),
        ("occurred_at.zone", {"occurred_at": '{ column = "t", zone = "../etc/passwd" }'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%H:%M" }'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%d.%m. %H:%M" }'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%m/%d/%Y %I:%M" }'}),
        ("occurred_at.format", {"occurred_at": '{ column = "t", format = "%Y-%m-%d %H:%M %Z" }'}),
        ("record_id.source", {"record_id": '{ columns = ["a"] }'}),
        ("record_id.columns", {"record_id": '{ source = "s", columns = [] }'}),
        ("record_id.columns", {"record_id": '{ source = "s", columns = "a" }'}),
        ("record_id.repeats", {"record_id": '{ source = "s", columns = ["a"], repeats = "allow" }'}),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_key(tmp_path: Path, key: str, changes: dict[str, str | None]) -> None:
    with pytest.raises(ImportFailed) as failure:
        load_mapping(mapping_file(tmp_path, **changes))
    assert failure.value.field == key
    assert f"mapping.toml, {key}: " in str(failure.value)
    assert str(failure.value).endswith("Nothing was imported.")


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d.%m.%Y %H:%M", "%m/%d/%y %I:%M:%S %p", "%Y%m%dT%H%M%S.%f%z", "%Y-%j %H"]
)
def test_formats_that_state_a_whole_date_are_taken(tmp_path: Path, form: str) -> None:
    mapping = load_mapping(mapping_file(tmp_path, occurred_at=f'{{ column = "t", format = "{form}" }}'))
    assert mapping.occurred_at.format == form


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"action = {", "is not TOML"),
        (b"a = 'M\xfcller'", "is not UTF-8"),
        (b"", "is missing"),
        (b"a = " + b"[" * 5_000, "nested too deeply"),
        (b"a = " + b"9" * 5_000, "number that is too long"),
        (b"# " + b"x" * 2**20, "longer than 1,048,576 bytes"),
    ],
    ids=["cut off", "Latin-1", "empty", "deep lists", "digits", "long"],
)
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match=says):
        load_mapping(path)


def test_a_section_of_tables_in_tables_without_end_is_refused(tmp_path: Path) -> None:
    deep = mapping_file(tmp_path, **{"after" + ".a" * 5_000: '{ column = "x" }'})
    with pytest.raises(ImportFailed, match="nested too deeply"):
        load_mapping(deep)


def test_a_mapping_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="no such file"):
        load_mapping(tmp_path / "absent.toml")


def test_a_byte_order_mark_is_no_part_of_the_mapping(tmp_path: Path) -> None:
    path = mapping_file(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_mapping(path).occurred_at.column == "time"


def test_the_mapping_in_the_docs_loads() -> None:
    mapping = load_mapping(Path(__file__).parents[2] / "docs" / "examples" / "permit-applications.toml")
    assert mapping.record_id == RecordIdSource(
        "permit-applications", ("case:concept:name", "concept:instance"), "refuse"
    )
