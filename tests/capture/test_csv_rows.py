"""Rows of a CSV become events as the mapping says, or are refused with line, field and column."""

from __future__ import annotations

import csv
import io
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.capture import csv_rows
from flasktrack.capture.csv_mapping import mapping_from
from flasktrack.capture.csv_rows import read_rows
from flasktrack.core.record import Event, check_event
from flasktrack.errors import ImportFailed

MAPPING = """
occurred_at = { column = "time", zone = "Europe/Berlin" }
record_id = { source = "test", columns = ["id"] }
action = { column = "action", transform = "slug" }
actor = { type = { constant = "user" }, id = { column = "who" } }
entity = { type = { constant = "sample" }, id = { column = "sample" } }
"""
HEADER = "id,time,action,who,sample,old,new,batch"
ROW = "1,2026-07-01 12:00,Update,ana,S-1,,,"


def events(text: str, more: str = "", mapping: str = MAPPING) -> list[tuple[int, Event]]:
    lines = enumerate(io.StringIO(text, newline="\n"), start=1)
    return list(read_rows(lines, mapping_from(tomllib.loads(mapping + more))))


def event(row: str, more: str = "", mapping: str = MAPPING) -> Event:
    ((_, only),) = events(f"{HEADER}\n{row}\n", more, mapping)
    return only


def refused(text: str, more: str = "", mapping: str = MAPPING) -> tuple[int | None, str | None, str]:
    with pytest.raises(ImportFailed) as failure:
        events(text, more, mapping)
    assert str(failure.value).endswith("Nothing was imported.")
    return failure.value.line, failure.value.field, str(failure.value)


def test_a_row_becomes_an_event() -> None:
    content = check_event(event(ROW))
    assert content.occurred_at == "2026-07-01T10:00:00.000000Z"
    assert (content.action, content.actor_type, content.actor_id) == ("update", "user", "ana")
    assert (content.entity_type, content.entity_id, content.outcome) == ("sample", "S-1", "success")
    assert (content.before, content.after, content.context, content.related) == (None, None, None, ())


def test_quotes_line_ends_and_delimiters_are_csvs_own() -> None:
    text = f'{HEADER}\r\n1,2026-07-01 12:00,"Up,\r\ndate",ana,"S ""1""",,,\r\n\r\n2,2026-07-01 12:01,b,bo,S-2,,,'
    read = events(text)
    assert [(line, found.action, found.entity_id) for line, found in read] == [(2, "up_date", 'S "1"'), (5, "b", "S-2")]
    assert events(text.replace(",", ";"), mapping='delimiter = ";"\n' + MAPPING)[1][1].actor_id == "bo"


SECTIONS = """
before = { volume = { column = "old", transform = "number" }, unit = { constant = "ml" } }
after = { column = "new", transform = "json" }
[context]
source = { constant = "lims" }
[context.place]
batch = { column = "batch" }
"""


def test_sections_are_built_from_columns_and_constants() -> None:
    read = event('1,2026-07-01 12:00,x,ana,S-1,0.50,"{""volume"": 0.25}",B-1', SECTIONS)
    assert read.before == {"volume": 0.5, "unit": "ml"}
    assert read.after == {"volume": 0.25}
    assert read.context == {"source": "lims", "place": {"batch": "B-1"}}


def test_a_section_whose_cells_are_all_empty_is_null() -> None:
    read = event(ROW, SECTIONS)
    assert (read.before, read.after, read.context) == (None, None, None)


def test_a_section_of_constants_alone_is_in_every_record() -> None:
    assert event(ROW, 'context = { source = { constant = "lims" } }').context == {"source": "lims"}


def test_a_related_entity_without_an_id_is_left_out() -> None:
    related = '[[related]]\ntype = { constant = "batch" }\nid = { column = "batch" }'
    assert event(ROW, related).related == []
    assert event(ROW + "B-1", related).related == [("batch", "B-1")]


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ("1,2026-07-01,Update,ana,S-1,,,", "occurred_at", "(column 'time'): '2026-07-01' has no time of day"),
        ("1,,Update,ana,S-1,,,", "occurred_at", "(column 'time'): is missing"),
        ("1,2026-07-01 12:00,Update,,S-1,,,", "actor.id", "(column 'who'): is missing"),
        ("1,2026-07-01 12:00,,ana,S-1,,,", "action", "(column 'action'): is missing"),
        ("1,2026-07-01 12:00,!,ana,S-1,,,", "action", "slug"),
        (",2026-07-01 12:00,Update,ana,S-1,,,", "record_id", "(column 'id'): has nothing to be made of"),
        ("1,2026-07-01 12:00,Update,ana,S-1,12 ml,,", "before.volume", "'12 ml' is not a number"),
        ("1,2026-07-01 12:00,Update,ana,S-1,,{,", "after", "is not JSON"),
        ('1,2026-07-01 12:00,Update,ana,S-1,,"{""a"": NaN}",', "after.a", "NaN is not JSON"),
        ("1,2026-07-01 12:00,Update,ana,S-1,,", None, "has 7 cells, but the header has 8"),
        ("1,2026-07-01 12:00,Update,ana,S-1,,,,", None, "has 9 cells, but the header has 8"),
        ('1,2026-07-01 12:00,Update,ana,"S-1,,,', None, "is not CSV"),
        ('1,2026-07-01 12:00,Update,ana,"S"1,,,', None, "is not CSV"),
        ("1,2026-07-01 12:00,Update,ana,S\r1,,,", None, "is not CSV (a carriage return outside quotes)"),
    ],
)
def test_a_row_that_gives_no_event_is_refused_with_line_field_and_column(
    row: str, field: str | None, says: str
) -> None:
    line, named, message = refused(f"{HEADER}\n{ROW.replace('1', '0', 1)}\n\n{row}\n", SECTIONS)
    assert (line, named) == (4, field)
    assert says in message


def test_a_line_number_is_that_of_the_rows_beginning() -> None:
    assert refused(f'{HEADER}\n0,2026-07-01 12:00,"a\nb",ana,S,,,\n1,never,"a\nb",ana,S,,,\n')[0] == 4


def test_columns_that_the_mapping_names_have_to_be_there_once() -> None:
    line, field, message = refused("id,time,action,sample\n")
    assert (line, field) == (1, "actor.id")
    assert "'who', but there are: id, time, action, sample" in message
    assert refused(f"{HEADER},who\n{ROW},bo\n")[:2] == (1, "actor.id")
    assert len(events(f"{HEADER},more,more\n{ROW},1,2\n")) == 1


def test_a_file_without_even_a_header_is_refused_and_one_with_only_a_header_has_no_events() -> None:
    for text in ("", "\n\r\n"):
        assert "empty" in refused(text)[2]
    assert events(HEADER) == []


TWICE = f"{HEADER}\n{ROW}\n2,2026-07-01 12:00,Update,ana,S-1,,,\n{ROW}\n{ROW}\n"


def test_a_second_row_with_the_same_identifying_cells_is_refused_unless_the_mapping_says_what_it_is() -> None:
    line, field, message = refused(TWICE)
    assert (line, field) == (4, "record_id")
    assert "the same as in line 2" in message
    assert "record_id (column 'id'): " in message


def test_repeated_rows_may_be_numbered_and_keep_their_ids_as_the_file_grows() -> None:
    numbered = MAPPING.replace('["id"]', '["id"], repeats = "number"')
    ids = [read.record_id for _, read in events(TWICE, mapping=numbered)]
    assert len(set(ids)) == 4
    assert [read.record_id for _, read in events(TWICE + ROW, mapping=numbered)][:4] == ids
    assert [read.record_id for _, read in events(f"{HEADER}\n{ROW}\n")] == ids[:1]


def test_repeated_rows_may_be_the_same_act() -> None:
    same = MAPPING.replace('["id"]', '["id"], repeats = "same"')
    ids = [read.record_id for _, read in events(TWICE, mapping=same)]
    assert ids[0] == ids[2] == ids[3] != ids[1]


def test_a_column_of_uuids_gives_record_ids_and_may_not_be_empty() -> None:
    own = MAPPING.replace('{ source = "test", columns = ["id"] }', '{ column = "id", transform = "lower" }')
    row = ROW.replace("1", "21E40CED-BE74-4AD0-B0FE-562FC4CB4246", 1)
    assert event(row, mapping=own).record_id == "21e40ced-be74-4ad0-b0fe-562fc4cb4246"
    assert refused(f"{HEADER}\n{ROW[1:]}\n", mapping=own)[1] == "record_id"


def test_a_cell_as_large_as_a_section_is_read_and_a_row_without_end_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    large = "x" * 1_000_000
    assert event(f"1,2026-07-01 12:00,x,ana,S-1,,{large},", 'reason = { column = "new" }').reason == large
    monkeypatch.setattr(csv_rows, "MAX_ROW_CHARACTERS", 100)
    endless = (f'{ROW},"{large}\n', f'{ROW},"a\n' + 'b","c\n' * 50, f"{ROW},{large}\n")
    for row in endless:  # a quote that is never closed, cells that each go on in the next line, and one line
        line, _, problem = refused(f"{HEADER}\n{ROW}\n{row}")
        assert (line, "row of more than 100 characters" in problem) == (3, True)
    rows = [ROW.replace("1", str(number), 1) for number in range(20)]
    assert len(events("\n".join([HEADER, *rows, ""]))) == 20, "earlier rows are counted in"


def test_a_row_of_cells_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_CELLS", HEADER.count(",") + 1)
    assert event(ROW).action
    for content in (f"{HEADER},\n{ROW},\n", f"{HEADER}\n{ROW},,\n"):
        assert "cells; " in refused(content)[2]


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5), st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t|"))
def test_any_text_that_a_csv_holds_arrives_unchanged(cells: list[tuple[str, str]], end: str, delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer: Any = csv.writer(
        file,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL,  # it leaves \r bare unless that ends lines
    )
    writer.writerow(["n", "time", "a", "b"])
    writer.writerows((n, "2026-07-01T12:00Z", *pair) for n, pair in enumerate(cells))
    mapping = f"""
delimiter = '{delimiter}'
occurred_at = {{ column = "time" }}
record_id = {{ source = "test", columns = ["n"] }}
action = {{ constant = "update" }}
actor = {{ type = {{ constant = "user" }}, id = {{ column = "n" }} }}
entity = {{ type = {{ constant = "sample" }}, id = {{ column = "n" }} }}
after = {{ a = {{ column = "a" }}, b = {{ column = "b" }} }}
"""
    read = [found.after for _, found in events(file.getvalue(), mapping=mapping)]
    assert read == [{"a": a or None, "b": b or None} if a or b else None for a, b in cells]


@pytest.mark.parametrize("transform", ["number", "json"])
@pytest.mark.parametrize("digits", ["17", "123456789012345678", "1e400"])
def test_a_cell_that_the_mapping_makes_a_number_is_no_id_however_long_it_is(transform: str, digits: str) -> None:
    number = MAPPING.replace('{ column = "sample" }', f'{{ column = "sample", transform = "{transform}" }}')
    _, field, message = refused(f"{HEADER}\n{ROW.replace('S-1', digits)}\n", mapping=number)
    assert field == "entity.id"
    assert "must be text, not a number" in message
    assert event(ROW.replace("S-1", digits)).entity_id == digits
    after = 'after = { n = { column = "sample", transform = "number" } }\n'
    body = check_event(event(ROW.replace("S-1", digits), after)).after
    assert body in (f'{{"n":{digits}}}', f'{{"n":"{digits}"}}')
