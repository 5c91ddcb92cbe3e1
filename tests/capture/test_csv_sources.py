"""A cell becomes the value that the mapping says, or is refused; what is derived from cells never changes."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.capture.csv_sources import RecordIdSource, Source, TimeSource, number, slug
from flasktrack.core.record import check_record_id
from flasktrack.core.times import format_time

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T06 Determine necessity of stop advice", "t06_determine_necessity_of_stop_advice"),
        ("  Sign-in / sign-out ", "sign_in_sign_out"),
        ("Prüfung Ångström ﬁnal", "prufung_angstrom_final"),
        ("already_a_slug", "already_a_slug"),
    ],
)
def test_slug(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_text_without_a_letter_to_use_gives_no_slug() -> None:
    with pytest.raises(ValueError, match="values"):
        slug("検査 —")


@pytest.mark.parametrize(
    ("cell", "value"),
    [("0", 0), ("-12.50", -12.5), ("1e3", 1000.0), ("0.1000000000000000001", "0.1000000000000000001")],
)
def test_a_number_loses_nothing(cell: str, value: Any) -> None:
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["1,5", "007", "NaN", "Infinity", " 1", "1 ", "0x10", "\u0661", "true", "1_000", "+1"])
def test_what_json_would_not_take_as_a_number_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        number(cell)


def test_values_replace_cells_and_refuse_the_rest() -> None:
    source = Source("outcome", "result", values={"ok": "success", "nok": "failure", "": "denied"})
    assert [source.value(cell) for cell in ("ok", "nok", "")] == ["success", "failure", "denied"]
    with pytest.raises(ValueError, match="'OK' is not among"):
        source.value("OK")


def test_otherwise_is_for_cells_that_values_do_not_list_but_not_for_empty_ones() -> None:
    source = Source("actor.type", "who", values={"cron": "automation"}, otherwise="user", empty=frozenset({"-"}))
    assert [source.value(cell) for cell in ("cron", "Ana", "", "-")] == ["automation", "user", None, None]


def test_an_empty_cell_is_no_value_and_others_can_be_named_so() -> None:
    source = Source("actor.role", "group", empty=frozenset({"EMPTY"}), transform="lower")
    assert [source.value(cell) for cell in ("", "EMPTY", "QA", " ")] == [None, None, "qa", " "]


@pytest.mark.parametrize(
    ("cell", "form", "zone", "utc"),
    [
        ("2011-10-11 13:45:40.276000+02:00", None, None, "2011-10-11T11:45:40.276000Z"),
        ("2026-11-24T05:06:07Z", None, BERLIN, "2026-11-24T05:06:07.000000Z"),  # what it states goes first
        ("2026-07-01T12:00", None, BERLIN, "2026-07-01T10:00:00.000000Z"),
        ("2026-12-01T12:00", None, BERLIN, "2026-12-01T11:00:00.000000Z"),
        ("01.07.2026 12:00", "%d.%m.%Y %H:%M", BERLIN, "2026-07-01T10:00:00.000000Z"),
        ("01.07.2026 12:00 -0300", "%d.%m.%Y %H:%M %z", BERLIN, "2026-07-01T15:00:00.000000Z"),
        ("2026-07-01", "%Y-%m-%d", BERLIN, "2026-06-30T22:00:00.000000Z"),
        ("2026-10-25 02:30", None, BERLIN, "2026-10-25T00:30:00.000000Z"),  # came twice: the first, in summer time
    ],
)
def test_times(cell: str, form: str | None, zone: ZoneInfo | None, utc: str) -> None:
    assert format_time(TimeSource("time", form, zone).moment(cell)) == utc


@pytest.mark.parametrize(
    ("cell", "form", "zone", "says"),
    [
        ("2026-07-01T12:00", None, None, "has no time zone"),
        ("2026-07-01", None, BERLIN, "has no time of day"),
        ("2026-03-29 02:30", None, BERLIN, "clocks were put forward"),
        ("yesterday", None, BERLIN, "is not a time in ISO 8601"),
        ("2026-02-30 10:00", None, BERLIN, "is not a time"),
        ("2026-07-01", "%d.%m.%Y", BERLIN, "is not a time of the form %d.%m.%Y"),
        ("0001-01-01T00:00+14:00", None, None, "years 1 to 9999"),
        ("9999-12-31T23:59", None, ZoneInfo("America/New_York"), "years 1 to 9999"),
    ],
)
def test_what_is_no_certain_time_is_refused(cell: str, form: str | None, zone: ZoneInfo | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        TimeSource("time", form, zone).moment(cell)


def test_derived_record_ids_never_change() -> None:
    source = RecordIdSource("lims", ("ticket", "step"), "number")
    assert source.derive(["T-1", "Prüfung"]) == "5b75aee9-c6b1-5bc3-9d09-db3b713eb2d3"
    assert source.derive(["T-1", "Prüfung"], 2) == "492da84a-6a76-51d7-886c-53af2db758da"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_derived_record_ids_are_uuids_and_differ_where_anything_differs(
    a: list[str], b: list[str], first: int, second: int
) -> None:
    source = RecordIdSource("lims", (), "number")
    ids = check_record_id(source.derive(a, first)), check_record_id(source.derive(b, second))
    assert (ids[0] == ids[1]) == ((a, first) == (b, second))
    assert RecordIdSource("other", (), "number").derive(a, first) != ids[0]
