"""Figures made of cells: when in the week, and which of these with which of those.

Plotly's own heat maps tell nobody which cell was clicked, so each cell is a bar of a stacked chart, with its
`customdata` as every other figure's point has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.colors import find_intermediate_color, hex_to_rgb

from flasktrack.core.clocks import HOURS, WEEK
from flasktrack.insight.week_hours import DAYS, WeekHours
from flasktrack.ui.drawing import Drawing
from flasktrack.ui.figures import Palette, drawing, palette, plotly_text

_WEEKDAYS = tuple(day.title() for day in DAYS)
_GAP = 0.04  # of a cell's width, on each side
_MOST_LETTERS = 18  # of a column's label, which is turned


class Cell(NamedTuple):
    """A number of records in a column and row; without `data`, nobody can click it."""

    column: int
    row: int
    records: int
    words: str
    data: Any = None


def week(counts: pd.DataFrame, zone: str, working: Sequence[WeekHours], *, dark: bool, height: int = 250) -> go.Figure:
    """When in the week: records by weekday and hour in the organization's zone, with working hours outlined.

    `counts` has week_hour (0 to 167) and records. A cell's customdata is the hour as a filter takes it, `mon:14`.
    """
    colours = palette(dark=dark)
    records = dict(zip(counts["week_hour"].astype(int), counts["records"].astype(int), strict=True))
    work = frozenset[int]().union(*(hours.numbers for hours in working))
    cells = [
        Cell(
            number % HOURS,
            number // HOURS,
            found,
            _hour_words(number, found, work),
            hour_name(number) if found else None,
        )
        for number, found in ((number, records.get(number, 0)) for number in range(WEEK))
    ]
    figure = _drawing(cells, colours, dark=dark, height=height)
    heading = ["By weekday and hour"]
    if work:
        off = sum(number for hour, number in records.items() if hour not in work)
        share = f"{off / total:.0%}" if (total := sum(records.values())) else "0"  # no count: a title may be cut
        heading.append(f"□ working   off-hours {share}")
    figure.update_layout(
        title={"text": "   ".join(heading)},
        shapes=[_outline(first, last, hours, colours) for hours in working for first, last in _spans(hours)],
        xaxis={
            "title": {"text": f"Hour of the day ({plotly_text(zone)})"}, "tickvals": list(range(0, HOURS, 3)),
            "range": [-0.5, HOURS - 0.5],
        },
        yaxis={
            "title": {"text": "Weekday"}, "tickvals": list(range(7)), "ticktext": list(_WEEKDAYS), "range": [6.5, -0.5],
        },
    )  # fmt: skip
    return figure.figure()


def matrix(counts: Sequence[tuple[str, str, int, Any]], title: str, across: str, down: str, *, dark: bool) -> go.Figure:
    """Which of these with which of those, the most frequent first; the number stands in its cell.

    `counts` are the row's label, the column's label, the number and customdata; `across` and `down` name the axes.
    """
    colours = palette(dark=dark)
    rows, columns = (_by_frequency(counts, place) for place in (0, 1))
    cells = [
        Cell(columns.index(column), rows.index(row), number,
             f"{plotly_text(row, 120)}, {plotly_text(column, 120)}<br>{number:,} records", data)
        for row, column, number, data in counts
    ]  # fmt: skip
    figure = _drawing(cells, colours, dark=dark, height=110 + 24 * max(len(rows), 1), numbers=True)
    figure.update_layout(
        title={"text": plotly_text(title, 120)},
        xaxis={
            "title": {"text": plotly_text(across)}, "tickvals": list(range(len(columns))),
            "ticktext": [plotly_text(column, _MOST_LETTERS) for column in columns],
            "range": [-0.5, max(len(columns), 1) - 0.5], "tickfont": {"color": colours.text},
        },
        yaxis={
            "title": {"text": plotly_text(down)}, "tickvals": list(range(len(rows))),
            "ticktext": [plotly_text(row, 26) for row in rows],
            "range": [max(len(rows), 1) - 0.5, -0.5], "tickfont": {"color": colours.text},
        },
    )  # fmt: skip
    return figure.figure()


def _drawing(cells: Sequence[Cell], colours: Palette, *, dark: bool, height: int, numbers: bool = False) -> Drawing:
    largest = max((cell.records for cell in cells), default=0)
    grounds = [_shade(cell.records, largest, colours) for cell in cells]
    figure = drawing(dark=dark, height=height)
    figure.add_bar(
        x=[cell.column for cell in cells],
        base=[cell.row - 0.5 + _GAP for cell in cells],
        y=[1 - 2 * _GAP] * len(cells),
        width=1 - 2 * _GAP,
        customdata=[[cell.data] for cell in cells],
        hovertext=[cell.words for cell in cells],
        hoverinfo="text",
        marker={"color": grounds, "line": {"width": 0}},
        **_numbers(cells, grounds, colours) if numbers else {},
    )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(ticks="", showgrid=False)
    figure.update_yaxes(ticks="", showgrid=False)
    return figure


def _numbers(cells: Sequence[Cell], grounds: Sequence[str], colours: Palette) -> dict[str, Any]:
    inks = (colours.text, colours.ground)
    return {
        "text": [f"{cell.records:,}" for cell in cells],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "none",
        "textfont": {"color": [max(inks, key=lambda ink: abs(_light(ink) - _light(ground))) for ground in grounds]},
    }


def _shade(records: int, largest: int, colours: Palette) -> str:
    """From `few` to `high`; a single record stands out from none."""
    if not records:
        return colours.low
    few, high = (tuple(channel / 255 for channel in hex_to_rgb(colour)) for colour in (colours.few, colours.high))
    mixed = find_intermediate_color(few, high, records / largest)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in mixed)


def _light(colour: str) -> float:
    red, green, blue = hex_to_rgb(colour)
    return float(0.299 * red + 0.587 * green + 0.114 * blue)


def hour_name(number: int) -> str:
    """An hour of the week as a filter takes it, `mon:14`."""
    return f"{DAYS[number // HOURS]}:{number % HOURS}"


def _hour_words(number: int, records: int, work: frozenset[int]) -> str:
    day, hour = divmod(number, HOURS)
    off = ", off-hours" if work and number not in work else ""
    return f"{_WEEKDAYS[day]} {hour:02}:00 to {hour:02}:59{off}<br>{records:,} records"


def _spans(hours: WeekHours) -> list[tuple[int, int]]:
    """The days as spans that don't pass Sunday."""
    if hours.first_day <= hours.last_day:
        return [(hours.first_day, hours.last_day)]
    return [(hours.first_day, len(DAYS) - 1), (0, hours.last_day)]


def _outline(first: int, last: int, hours: WeekHours, colours: Palette) -> dict[str, Any]:
    return {
        "type": "rect", "x0": hours.from_hour - 0.5, "x1": hours.to_hour - 0.5, "y0": first - 0.5, "y1": last + 0.5,
        "line": {"color": colours.text, "width": 1.5}, "layer": "above",
    }  # fmt: skip


def _by_frequency(counts: Sequence[tuple[str, str, int, Any]], place: int) -> list[str]:
    numbers: dict[str, int] = {}
    for count in counts:
        label = str(count[place])
        numbers[label] = numbers.get(label, 0) + count[2]
    return sorted(numbers, key=lambda label: -numbers[label])
