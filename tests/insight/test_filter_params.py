"""A filter survives the address bar, and is refused by name where it can't be meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flasktrack.core.record import ACTOR_TYPES, MAX_POSITION, OUTCOMES
from flasktrack.errors import InvalidFilter
from flasktrack.insight.filter import MAX_ENTITY_TYPES, RecordFilter
from flasktrack.insight.filter_values import MAX_VALUES
from flasktrack.insight.words import MAX_LETTERS, MAX_WORDS

BERLIN = ZoneInfo("Europe/Berlin")
ANGELES = ZoneInfo("America/Los_Angeles")

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
NO_COLON = TEXT.filter(lambda text: ":" not in text)


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, unique=True, max_size=4).map(tuple)


HOURS = ("mon:14@Europe/Berlin", "sat-mon@UTC", "mon-fri:0-8@America/Los_Angeles", "sun:23@Asia/Kathmandu")
PERIODS = (
    st.lists(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.timezones()), min_size=2, max_size=2)  # noqa: DTZ001
    .map(sorted)
    .filter(lambda pair: pair[0] < pair[1])
)
POSITIONS = st.lists(st.integers(1, MAX_POSITION), min_size=2, max_size=2).map(sorted)


@st.composite
def filters(draw: st.DrawFn) -> RecordFilter:
    """Any filter that is not refused."""
    start, end = draw(PERIODS)
    first, last = draw(POSITIONS)
    return RecordFilter(
        occurred_from=start if draw(st.booleans()) else None,
        occurred_to=end if draw(st.booleans()) else None,
        actors=draw(some(st.builds("{}:{}".format, st.sampled_from(ACTOR_TYPES), TEXT))),
        actor_types=draw(some(st.sampled_from(ACTOR_TYPES))),
        actions=draw(some(TEXT)),
        entities=draw(some(st.builds("{}:{}".format, NO_COLON, TEXT))),
        with_related=draw(st.booleans()),
        entity_types=draw(some(TEXT)),
        outcomes=draw(some(st.sampled_from(OUTCOMES))),
        credentials=draw(some(st.sampled_from(("tok_1", "ключ ☤")))),
        on_behalf_of=draw(some(st.sampled_from(("user:u-1", "automation:a:b")))),
        hours=draw(some(st.sampled_from(HOURS))),
        seq_first=first if draw(st.booleans()) else None,
        seq_last=last if draw(st.booleans()) else None,
        positions=draw(st.lists(st.integers(1, 30) | st.integers(1, MAX_POSITION), max_size=6).map(tuple)),
        text=draw(st.none() | TEXT.filter(lambda text: text.split())),  # Hypothesis takes str.split for never empty
    )


@settings(suppress_health_check=[HealthCheck.too_slow])  # so it is on a busy machine
@given(filters(), st.sampled_from([UTC, BERLIN, ANGELES]))
def test_a_filter_comes_back_from_its_parameters_whatever_the_zone(chosen: RecordFilter, zone: ZoneInfo) -> None:
    params = chosen.to_params()
    moments = {  # Python calls an instant that clocks show twice, or leave out, unequal to itself in another zone
        name: moment.astimezone(UTC)
        for name in ("occurred_from", "occurred_to")
        if (moment := getattr(chosen, name)) is not None
    }
    assert RecordFilter.from_params(params, zone) == replace(chosen, **moments)
    assert all(value for values in params.values() for value in values)


def test_a_filter_without_fields_has_no_parameters() -> None:
    assert RecordFilter().to_params() == {}
    assert RecordFilter.from_params({}) == RecordFilter()


@pytest.mark.parametrize("text", ["", "  \t"])
def test_text_without_a_word_is_no_filter_and_no_parameter(text: str) -> None:
    chosen = RecordFilter(text=text)
    assert chosen.is_empty
    assert chosen.to_params() == {}


def test_parameters_of_other_things_are_left_alone_and_repeated_values_count_once() -> None:
    params = {"organization": ["x"], "page": ["3"], "action": ["delete", "create", "delete"]}
    assert RecordFilter.from_params(params) == RecordFilter(actions=("delete", "create"))


@pytest.mark.parametrize(
    ("chosen", "params"),
    [
        (
            RecordFilter(occurred_from=datetime(2026, 3, 29, 1, tzinfo=BERLIN), with_related=True),
            {"from": ["2026-03-29T00:00:00Z"], "with_related": ["1"]},
        ),
        (
            RecordFilter(occurred_to=datetime(2026, 3, 29, 1, 0, 0, 5, tzinfo=UTC)),
            {"to": ["2026-03-29T01:00:00.000005Z"]},
        ),
        (RecordFilter(seq_first=10, seq_last=20), {"seq": ["10-20"]}),
        (RecordFilter(seq_first=10, seq_last=10), {"seq": ["10"]}),
        (RecordFilter(seq_first=10), {"seq": ["10-"]}),
        (
            RecordFilter(hours=("mon:8-18@Europe/Berlin",), credentials=("t",), on_behalf_of=("user:u",), ips=("::1",)),
            {"ip": ["::1"], "hours": ["mon:8-18@Europe/Berlin"], "credential": ["t"], "on_behalf_of": ["user:u"]},
        ),
        (RecordFilter(seq_last=20), {"seq": ["-20"]}),
        (RecordFilter(positions=(14, 3, 12, 13, 3, 7)), {"positions": ["3,7,12-14"]}),
        (
            RecordFilter(actors=("user:a:b",), actor_types=("user",), entity_types=("batch", "file"), text="a b"),
            {"actor": ["user:a:b"], "actor_type": ["user"], "entity_type": ["batch", "file"], "text": ["a b"]},
        ),
    ],
)
def test_parameters_are_what_the_command_line_calls_them(chosen: RecordFilter, params: dict[str, list[str]]) -> None:
    assert chosen.to_params() == params
    assert RecordFilter.from_params(params) == chosen


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-03-29", BERLIN, "2026-03-28T23:00"),  # the day that has 23 hours
        ("2026-03-30", BERLIN, "2026-03-29T22:00"),
        ("2026-03-29T02:30", BERLIN, "2026-03-29T01:30"),  # no clock shows it: as if clocks had not gone forward yet
        ("2026-10-25", BERLIN, "2026-10-24T22:00"),  # the day that has 25
        ("2026-10-26", BERLIN, "2026-10-25T23:00"),
        ("2026-10-25T02:30", BERLIN, "2026-10-25T00:30"),  # clocks show it twice: the first time
        ("2026-10-25T02:30+01:00", BERLIN, "2026-10-25T01:30"),
        ("2026-03-08", ANGELES, "2026-03-08T08:00"),
        ("2026-03-09", ANGELES, "2026-03-09T07:00"),
        ("2026-11-01", ANGELES, "2026-11-01T07:00"),
        ("2026-11-02", ANGELES, "2026-11-02T08:00"),
        ("2026-11-01", UTC, "2026-11-01T00:00"),
        ("2026-11-01T10:00:00Z", ANGELES, "2026-11-01T10:00"),
        ("2026-11-01 10:00:00+05:45", BERLIN, "2026-11-01T04:15"),
        (" 2026-11-01T10 ", BERLIN, "2026-11-01T09:00"),
    ],
)
def test_a_time_is_read_in_the_organizations_zone_unless_it_states_its_own(text: str, zone: ZoneInfo, utc: str) -> None:
    moment = datetime.fromisoformat(f"{utc}Z")
    assert RecordFilter.from_params({"from": [text]}, zone).occurred_from == moment
    assert RecordFilter.from_params({"to": [text]}, zone).occurred_to == moment


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-24", 24)])
def test_a_day_between_two_dates_is_as_long_as_it_was_there(day: str, hours: int) -> None:
    after = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    chosen = RecordFilter.from_params({"from": [day], "to": [after]}, BERLIN)
    assert chosen.occurred_from is not None
    assert chosen.occurred_to is not None
    assert chosen.occurred_to - chosen.occurred_from == timedelta(hours=hours)


REFUSED: list[tuple[str, dict[str, list[str]]]] = [
    ("from", {"from": ["yesterday"]}),
    ("from", {"from": ["2026-02-30"]}),
    ("from", {"from": ["2026-11-01T25:00"]}),
    ("from", {"from": ["0001-01-01"]}),  # in Berlin, which is the year 0 in UTC
    ("from", {"from": ["2026-11-01", "2026-11-02"]}),
    ("from", {"from": [" "]}),
    ("from", {"from": ["2026-11-02"], "to": ["2026-11-01"]}),
    ("from", {"from": ["2026-11-02"], "to": ["2026-11-02"]}),
    ("positions", {"positions": ["3,x"]}),
    ("positions", {"positions": ["3,,7"]}),
    ("positions", {"positions": ["3,7-"]}),
    ("positions", {"positions": ["9-7"]}),
    ("positions", {"positions": ["1-9999999999999"]}),
    ("positions", {"positions": ["3", "7"]}),
    ("to", {"to": ["2026-13-01"]}),
    ("to", {"to": ["9999-12-31T23:59:59-01:00"]}),
    ("to", {"to": [""]}),
    ("actor", {"actor": ["u-1"]}),
    ("actor", {"actor": ["user:"]}),
    ("actor", {"actor": [":u-1"]}),
    ("actor", {"actor": ["robot:u-1"]}),
    ("actor", {"actor": ["user:u-1", ""]}),
    ("actor", {"actor": [f"user:{n}" for n in range(MAX_VALUES + 1)]}),
    ("actor_type", {"actor_type": ["robot"]}),
    ("actor_type", {"actor_type": ["User"]}),
    ("action", {"action": [""]}),
    ("action", {"action": ["de\x00lete"]}),
    ("action", {"action": [str(n) for n in range(MAX_VALUES + 1)]}),
    ("entity", {"entity": ["S-1"]}),
    ("entity", {"entity": ["sample:"]}),
    ("entity", {"entity": ["sample:\ud800"]}),
    ("entity", {"entity": [f"kind-{n}:1" for n in range(MAX_ENTITY_TYPES + 1)]}),
    ("with_related", {"with_related": ["yes"]}),
    ("with_related", {"with_related": ["1", "1"]}),
    ("entity_type", {"entity_type": [""]}),
    ("outcome", {"outcome": ["won"]}),
    ("on_behalf_of", {"on_behalf_of": ["u-1"]}),
    ("on_behalf_of", {"on_behalf_of": ["robot:u-1"]}),
    *(
        ("hours", {"hours": [text]})
        for text in ("", "14", "mo:14", "mon:24", "mon:8-8", "mon:18-8", "mon:8-25", "mon-:8")
    ),
    ("hours", {"hours": ["mon:\u0661"]}),  # a digit, but not ASCII's
    ("hours", {"hours": ["mon:8@Atlantis/Poseidonis"]}),
    ("hours", {"hours": ["mon:8@../zone"]}),
    ("seq", {"seq": ["0"]}),
    ("seq", {"seq": ["-0"]}),
    ("seq", {"seq": ["-"]}),
    ("seq", {"seq": [""]}),
    ("seq", {"seq": ["20-10"]}),
    ("seq", {"seq": ["1-2-3"]}),
    ("seq", {"seq": ["-1-2"]}),
    ("seq", {"seq": ["ten"]}),
    ("seq", {"seq": ["1.5"]}),
    ("seq", {"seq": ["\u0661-\u0662"]}),  # digits, but not ASCII's
    ("seq", {"seq": [str(MAX_POSITION + 1)]}),
    ("seq", {"seq": ["9" * 5000]}),
    ("seq", {"seq": ["1", "2"]}),
    ("text", {"text": ["a\x00b"]}),
    ("text", {"text": ["\udfff"]}),
    ("text", {"text": ["a" * (MAX_LETTERS + 1)]}),
    ("text", {"text": [" ".join(map(str, range(MAX_WORDS + 1)))]}),
    ("text", {"text": ["a", "b"]}),
    ("text", {"text": ["  "]}),
]


@pytest.mark.parametrize(("key", "params"), REFUSED, ids=lambda value: ascii(value)[:60])
def test_what_cannot_be_meant_is_refused_by_the_parameters_name(key: str, params: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidFilter) as failure:
        RecordFilter.from_params(params, BERLIN)
    assert failure.value.what.startswith(f"Filter {key}: ")
    assert len(str(failure.value)) < 300
    assert "\x00" not in str(failure.value)


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("from", {"occurred_from": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ("to", {"occurred_to": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2)))}),
        ("seq", {"seq_first": 0}),
        ("seq", {"seq_last": MAX_POSITION + 1}),
        ("positions", {"positions": (0,)}),
        ("positions", {"positions": tuple(range(1, MAX_VALUES + 2))}),
        ("outcome", {"outcomes": ("won",)}),
        ("hours", {"hours": ("mon:8",)}),  # by which zone's clocks?
        ("text", {"text": "a" * (MAX_LETTERS + 1)}),
    ],
)
def test_code_is_refused_as_an_address_is(key: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter, match=f"^Filter {key}: "):
        RecordFilter(**fields)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "All records."),
        ({"text": ["late  entry"]}, "Records holding “late” and “entry”."),
        ({"from": ["2026-03-29"]}, "Records from 2026-03-29 (Europe/Berlin)."),
        (
            {"from": ["2026-03-29T01:59:59"], "to": ["2026-03-29T03:00"]},
            "Records from 2026-03-29 01:59:59 and before 2026-03-29 03:00 (Europe/Berlin).",
        ),
        ({"to": ["2026-10-25T01:00:00Z"]}, "Records before 2026-10-25 02:00 (Europe/Berlin)."),
        ({"to": ["2026-10-25T00:00:00.5Z"]}, "Records before 2026-10-25 02:00:00.500000 (Europe/Berlin)."),
        (
            {"actor_type": ["user"], "actor": ["user:u-1", "user:u-2"], "action": ["delete", "create", "update"]},
            "Records by actors of type user, by user:u-1 or user:u-2, with action delete, create or update.",
        ),
        ({"outcome": ["denied", "failure"]}, "Records with outcome denied or failure."),
        (
            {"entity_type": ["batch"], "entity": ["sample:S-1"], "with_related": ["1"]},
            "Records on entities of type batch, on or related to sample:S-1.",
        ),
        ({"entity": ["sample:S-1"]}, "Records on sample:S-1."),
        (
            {"credential": ["tok"], "on_behalf_of": ["user:u-1"], "ip": ["192.0.2.1", "192.0.2.2"]},
            "Records through credential tok, on behalf of user:u-1, from 192.0.2.1 or 192.0.2.2.",
        ),
        (
            {"hours": ["mon-fri:8-18", "sat:9", "sun@UTC"]},
            "Records on Mon to Fri 08:00 to 17:59 (Europe/Berlin), Sat 09:00 to 09:59 (Europe/Berlin) or Sun (UTC).",
        ),
        ({"seq": ["1000"]}, "Records at position 1,000."),
        ({"seq": ["1000-2000"]}, "Records from position 1,000 up to position 2,000."),
        ({"seq": ["-2000"]}, "Records up to position 2,000."),
        ({"seq": ["1000-"]}, "Records from position 1,000."),
        ({"positions": ["1000"]}, "Records at position 1,000."),
        ({"positions": ["3,7,1000-1002"]}, "Records at 5 positions from 3 to 1,002."),
    ],
)
def test_a_filter_describes_itself_in_one_sentence(params: dict[str, list[str]], sentence: str) -> None:
    assert RecordFilter.from_params(params, BERLIN).describe(BERLIN) == sentence


@given(filters())
def test_every_filter_that_is_not_empty_says_something(chosen: RecordFilter) -> None:
    assert (chosen.describe(ANGELES) == "All records.") == chosen.is_empty
