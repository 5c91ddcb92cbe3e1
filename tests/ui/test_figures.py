"""Figures: each point leads to its records, text from records is drawn as it is, and both themes have their colours."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from json import loads
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.io import to_json

from flasktrack.core.finding import Finding
from flasktrack.insight.week_hours import read_week_hours
from flasktrack.store.verifications import Verification
from flasktrack.ui.cells import matrix, week
from flasktrack.ui.coverage import coverage
from flasktrack.ui.figures import DARK, LIGHT, Act, common_scale, over_time, palette, plotly_text, ranking, timeline
from flasktrack.ui.relation_figure import Node, relations

BERLIN = ZoneInfo("Europe/Berlin")
HTML = "<b>bold</b> <a href='https://example.org'>x</a> & <script>"
TAG = re.compile(r"<(?!span style=|/span>|br>)")


def frame(*rows: tuple[str, str, int], zone: ZoneInfo = BERLIN) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["start", "kind", "records"])
    made["start"] = pd.to_datetime(made["start"], utc=True).dt.tz_convert(zone)
    return made


def texts(figure: go.Figure) -> str:
    """All that Plotly would read as its kind of HTML."""
    drawn = figure.to_dict()
    said = [drawn["layout"]["title"]["text"], str(drawn["layout"]["yaxis"].get("ticktext", ""))]
    said += [str(trace.get(name, "")) for trace in drawn["data"] for name in ("hovertext", "text", "name")]
    return "\n".join(said)


@pytest.mark.parametrize(
    ("step", "start", "end"),
    [
        ("hour", "2026-10-25T00:00:00+00:00", "2026-10-25T02:00:00+01:00"),  # the first of two hours that begin at two
        ("day", "2026-10-24T22:00:00+00:00", "2026-10-26T00:00:00+01:00"),  # 25 hours
        ("day", "2026-03-28T23:00:00+00:00", "2026-03-30T00:00:00+02:00"),  # 23 hours
        ("week", "2026-10-18T22:00:00+00:00", "2026-10-26T00:00:00+01:00"),
        ("month", "2026-01-31T23:00:00+00:00", "2026-03-01T00:00:00+01:00"),
    ],
)
def test_a_bar_leads_to_exactly_its_time(step: str, start: str, end: str) -> None:
    """From its start, up to but not including the next one's, by the organization's clock."""
    figure = over_time(frame((start, "person", 3)), step, "Europe/Berlin", dark=False)
    ((begins, ends, kind),) = figure.data[0].customdata
    assert datetime.fromisoformat(begins) == datetime.fromisoformat(start)
    assert datetime.fromisoformat(ends) == datetime.fromisoformat(end)
    assert kind == "person"


def test_the_hour_that_comes_twice_has_two_bars_that_can_be_clicked() -> None:
    twice = frame(("2026-10-25T00:00:00Z", "person", 3), ("2026-10-25T01:00:00Z", "person", 4))
    bars = over_time(twice, "hour", "Europe/Berlin", dark=False).data[0]
    assert bars.x[0] == bars.x[1]  # one on the other, as far as clocks can tell
    assert all(width > 0 for width in bars.width)
    assert bars.customdata[0][1] == "2026-10-25T02:00:00+01:00"
    assert bars.customdata[1][0] == "2026-10-25T02:00:00+01:00"


def test_people_and_machines_are_apart_and_stacked() -> None:
    made = frame(("2026-11-02T00:00:00Z", "person", 3), ("2026-11-02T00:00:00Z", "machine", 5))
    figure = over_time(made, "day", "Europe/Berlin", dark=False)
    assert [(trace.name, list(trace.y)) for trace in figure.data] == [("people", [3]), ("machines", [5])]
    assert figure.layout.barmode == "stack"
    assert "people 3" in figure.layout.title.text
    assert "machines 5" in figure.layout.title.text


def test_a_ranking_keeps_its_order_and_leads_to_its_values() -> None:
    figure = ranking([("Zoë", 1200, "user:u-1"), ("LIMS", 7, "api_key:k")], "Busiest", dark=False)
    (bars,) = figure.data
    assert list(bars.x) == [1200, 7]
    assert list(bars.text) == ["1,200", "7"]
    assert [list(data) for data in bars.customdata] == [["user:u-1"], ["api_key:k"]]
    first, last = figure.layout.yaxis.range
    assert first > last  # the largest is at the top


def test_the_week_puts_each_count_into_its_hour() -> None:
    made = pd.DataFrame([(9, 5), (167, 2)], columns=["week_hour", "records"])
    figure = week(made, "Europe/Berlin", (read_week_hours("mon-fri:7-19", BERLIN),), dark=False)
    (cells,) = figure.data
    shown = {
        (x, base): (data, words)
        for x, base, (data,), words in zip(
            cells.x, map(round, cells.base), cells.customdata, cells.hovertext, strict=True
        )
    }
    assert len(shown) == 168
    assert shown[9, 0] == ("mon:9", "Mon 09:00 to 09:59<br>5 records")
    assert shown[23, 6] == ("sun:23", "Sun 23:00 to 23:59, off-hours<br>2 records")
    assert [data for data, _ in shown.values() if data] == ["mon:9", "sun:23"]  # of nothing there is nothing to show
    assert "off-hours 29%" in figure.layout.title.text
    (outline,) = figure.layout.shapes
    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (6.5, 18.5, -0.5, 4.5)


def test_a_matrix_counts_each_pair_once_and_leads_to_it() -> None:
    figure = matrix([("create", "sample", 7, "a"), ("delete", "file", 9, "b")], "What", "On", "Action", dark=False)
    (cells,) = figure.data
    assert list(zip(cells.x, map(round, cells.base), cells.text, strict=True)) == [(1, 1, "7"), (0, 0, "9")]
    assert [list(data) for data in cells.customdata] == [["a"], ["b"]]
    assert list(figure.layout.yaxis.ticktext) == ["delete", "create"]


def act(seq: int, action: str = "update", kind: str = "person", marked: str = "") -> Act:
    return Act(seq, seq, datetime(2026, 11, seq, 9, tzinfo=BERLIN), action, "Zoë", kind, marked)


def test_a_timeline_has_a_lane_for_each_action_and_rings_what_needs_a_look() -> None:
    acts = [act(1, "create"), act(2), act(3, kind="machine", marked="changed unrecorded before it"), act(4)]
    figure = timeline(acts, "Europe/Berlin", dark=False, selected=4)
    people, machines = figure.data
    assert [list(data) for data in people.customdata] == [[1], [2], [4]]
    assert [list(data) for data in machines.customdata] == [[3]]
    assert list(people.y) == [0, 1, 1]
    assert list(machines.marker.symbol) == ["diamond"]
    assert people.marker.size[2] > people.marker.size[0]
    assert "changed unrecorded" in machines.hovertext[0]


def verification(last: int, *findings: Finding) -> Verification:
    return Verification("v", "lab", "2026-11-24T05:06:07.000000Z", 1.0, "user:u-1", 1, last, last, 0, findings)


def finding(code: str, seq: int, detail: str = "Something.") -> Finding:
    return Finding(code, "lab", seq, seq, detail)


def test_the_coverage_shows_what_was_checked_what_was_not_and_where_something_is() -> None:
    found = (finding("record_modified", 7), finding("state_gap", 9))
    figure = coverage(verification(80, *found), 100, found, dark=False)
    spans = [(trace.base[0] + 1, trace.base[0] + trace.x[0]) for trace in figure.data if trace.type == "bar"]
    assert spans == [(1, 80), (81, 100)]
    marks = [[list(data) for data in trace.customdata] for trace in figure.data if trace.type == "scatter"]
    assert marks == [[[7]], [[9]], []]  # errors, warnings, notes


def stretches(figure: go.Figure, colour: str | None = None) -> list[tuple[str, int, int]]:
    """What the coverage's bars say: what it is, from where, up to where."""
    bars = [trace for trace in figure.data if trace.type == "bar" and colour in (None, trace.marker.color)]
    return [(bar.hovertext[0].partition(": ")[2], bar.base[0] + 1, bar.base[0] + bar.x[0]) for bar in bars]


def test_the_coverage_tells_sealed_from_unsealed_and_this_verification_from_earlier_ones() -> None:
    done = replace(verification(80), first_seq=21, sealed=60, mode="incremental")
    assert stretches(coverage(done, 100, (), dark=False)) == [
        ("checked by an earlier verification", 1, 20),
        ("sealed and checked", 21, 60),
        ("checked, not sealed", 61, 80),
        ("not checked", 81, 100),
    ]


def test_the_coverage_shows_where_records_are_gone_in_a_colour_of_its_own() -> None:
    """In the midst of the chain, and past its end, where a checkpoint or the head says that there were some."""
    found = (
        Finding("record_missing", "lab", 40, 45, "Gone."),
        Finding("chain_truncated", "lab", 101, 120, "Cut off."),
        Finding("head_mismatch", "lab", 101, 120, "Cut off."),
        finding("record_modified", 50),
    )
    figure = coverage(verification(100, *found), 100, found, dark=False)
    gone = [("gone", 40, 45), ("gone", 101, 120)]
    assert [stretch for stretch in stretches(figure) if stretch[0] == "gone"] == gone
    (colour,) = {trace.marker.color for trace in figure.data if trace.type == "bar" and "gone" in trace.hovertext[0]}
    assert stretches(figure, colour) == gone  # nothing else is drawn in it
    assert figure.layout.xaxis.range[1] >= 120
    assert "checked, not sealed 94" in figure.layout.title.text
    assert figure.layout.title.text.endswith("gone 26")


def figures_of(text: str, *, dark: bool) -> list[go.Figure]:
    """Every figure that draws text from records, with this text wherever it can be."""
    found = (finding("record_modified", 1, text),)
    return [
        ranking([(text, 3, text)], text, dark=dark),
        timeline([Act(1, 1, datetime(2026, 11, 2, 9, tzinfo=BERLIN), text, text, "person", text)], text, dark=dark),
        over_time(frame(("2026-11-02T00:00:00Z", "person", 3)), "day", text, dark=dark),
        week(pd.DataFrame([(9, 5)], columns=["week_hour", "records"]), text, (), dark=dark),
        matrix([(text, text, 3, text)], text, text, text, dark=dark),
        coverage(verification(5, *found), 5, found, dark=dark),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_one_that_plotly_takes(dark: bool) -> None:
    """They are put together without its checks (`ui.drawing`)."""
    made = frame(("2026-11-02T00:00:00Z", "person", 3), ("2026-11-03T00:00:00Z", "machine", 5))
    several = [
        *figures_of("text", dark=dark),
        over_time(made, "day", "Europe/Berlin", dark=dark, scale=common_scale([made], "day")),
        ranking([("a", 3, "a"), ("b", 2, None)], "Two", dark=dark, kinds=["person", "machine"]),
        relations("S-1", [Node("B-1", "batch", ("entity", "batch:B-1"))], [], (1, 0), dark=dark),
        week(pd.DataFrame([(9, 5)], columns=["week_hour", "records"]), "UTC", [read_week_hours("mon-fri:8-18", BERLIN)],
             dark=dark),
    ]  # fmt: skip
    for figure in several:
        said = figure.to_dict()
        checked = go.Figure(said)  # raises ValueError for a name or value that is none
        assert loads(to_json(checked))["data"] == loads(to_json(said, validate=False))["data"]


@pytest.mark.parametrize("dark", [False, True])
def test_html_in_text_from_records_is_drawn_as_text(dark: bool) -> None:
    for figure in figures_of(HTML, dark=dark):
        assert not TAG.search(texts(figure))


@given(st.text())
def test_no_text_can_open_a_tag_or_break_the_line(text: str) -> None:
    shown = plotly_text(text)
    assert "<" not in shown
    assert ">" not in shown
    assert not re.search(r"[\x00-\x1f\x7f]", shown)
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


def test_long_text_is_cut_before_it_is_escaped() -> None:
    assert plotly_text("<" * 100, 10) == "&lt;" * 9 + "…"


def test_text_from_right_to_left_does_not_turn_the_number_beside_it_around() -> None:
    shown = plotly_text("שלום")
    assert shown[0] == "\u2068"
    assert shown[-1] == "\u2069"


@pytest.mark.parametrize(("dark", "colours"), [(False, LIGHT), (True, DARK)])
def test_each_theme_has_its_own_colours_and_no_ground_of_its_own(dark: bool, colours: object) -> None:
    assert palette(dark=dark) == colours
    for figure in figures_of("text", dark=dark):
        layout = figure.layout.template.layout
        assert layout.font.color == palette(dark=dark).text
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out(colours: object) -> None:
    """WCAG 2.2: 4.5 to 1 for text; what people and machines are drawn in, nearly 3 to 1 and words beside it."""
    shown = LIGHT if colours is LIGHT else DARK
    assert contrast(shown.text, shown.ground) >= 4.5
    assert contrast(shown.muted, shown.ground) >= 4.5
    assert contrast(shown.person, shown.ground) >= 2.8
    assert contrast(shown.machine, shown.ground) >= 2.8


def test_nothing_to_draw_is_drawn_empty() -> None:
    assert len(ranking([], "Nothing", dark=False).data[0].x) == 0
    assert len(timeline([], "UTC", dark=False).data) == 0
    assert sum(len(trace.x) for trace in over_time(frame(), "day", "UTC", dark=True).data) == 0
