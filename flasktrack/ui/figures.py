"""Every Plotly figure of the app: from a question's DataFrame to a figure, in light and in dark.

Figures know nothing of Streamlit or the database. Each point carries in `customdata` what a page needs to find the
records behind it. Plotly reads a little HTML in any text that it draws, so text from records passes `plotly_text`.

Colours: people and machines have one colour each, which nothing else in the app uses; the pair is told apart with any
form of colour blindness, and by the words beside it. Everything else is drawn in one neutral colour.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from flasktrack.core.display import display
from flasktrack.ui.drawing import Drawing
from flasktrack.ui.text import number

PERSON, MACHINE = "person", "machine"  # the values of the column `kind`

_KIND_WORDS = {PERSON: "people", MACHINE: "machines"}
_STEPS = {
    "hour": pd.DateOffset(hours=1),
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(weeks=1),
    "month": pd.DateOffset(months=1),
}
_FEW = 5  # records, up to which an axis names each number
_DAY = 86_400_000  # milliseconds
DATES: dict[str, Any] = {
    "type": "date",
    "tickformatstops": [  # as all other times of the app are written, however far apart the ticks are
        {"dtickrange": [None, 60_000], "value": "%H:%M:%S\n%Y-%m-%d"},
        {"dtickrange": [60_000, _DAY], "value": "%H:%M\n%Y-%m-%d"},
        {"dtickrange": [_DAY, 21 * _DAY], "value": "%m-%d\n%Y"},
        {"dtickrange": ["M1", "M12"], "value": "%Y-%m"},
        {"dtickrange": ["M12", None], "value": "%Y"},
    ],
}
"""An axis of times."""
_LEAST_STEPS = 8  # that an axis of times shows
_BAR_SHARE = 0.86  # of a step's width; the rest keeps neighbours apart
_FONT = '"Source Sans", sans-serif'  # Streamlit's own, which the page has loaded
_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


class Palette(NamedTuple):
    """The colours of one theme. `low` is no record, `few` and `high` are the ends of a scale."""

    text: str
    muted: str
    grid: str
    ground: str
    person: str
    machine: str
    plain: str
    low: str
    few: str
    high: str


LIGHT = Palette(
    "#1d252c", "#5b6770", "#e3e8ec", "#ffffff", "#6f4aa8", "#d9822b", "#7d8b96", "#eef1f4", "#c3cdd5", "#2b3a45"
)
DARK = Palette(
    "#e4e9ed", "#9aa7b1", "#2a333c", "#12171c", "#b79be6", "#eba14f", "#8595a2", "#1c232a", "#46535f", "#dbe4ea"
)


def palette(*, dark: bool) -> Palette:
    """The colours for the theme that the reader chose."""
    return DARK if dark else LIGHT


def plotly_text(text: object, limit: int = 60) -> str:
    """Text from records, so that Plotly draws it as `display` gives it: no markup, at most `limit` long."""
    shown = display(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in shown):
        shown = f"{_ISOLATE}{shown}{_POP_ISOLATE}"  # or the numbers beside it would change places with it
    return escape(shown, quote=False)


class Scale(NamedTuple):
    """From when to when, by the organization's clocks, and up to how many records a figure reaches."""

    start: datetime
    end: datetime
    records: int


def over_time(
    frame: pd.DataFrame,
    step: str,
    zone: str,
    *,
    dark: bool,
    height: int = 260,
    scale: Scale | None = None,
) -> go.Figure:
    """Records per hour, day, week or month, people and machines apart.

    `frame` has start (aware, in the organization's zone), kind and records. A point's customdata is the time from and
    the time to (ISO 8601, from <= t < to) and its kind. Figures that are compared share a `scale`.
    """
    colours = palette(dark=dark)
    figure = drawing(dark=dark, height=height)
    heading = [f"Records per {step}"]
    for kind in (PERSON, MACHINE):
        rows = frame[frame["kind"] == kind]
        figure.add_bar(**_bars(rows, kind, step, getattr(colours, kind)))
        if len(rows) or frame.empty:
            word = f"{_KIND_WORDS[kind]} {int(rows['records'].sum()):,}"
            heading.append(f'<span style="color:{getattr(colours, kind)}">■ {word}</span>')
    figure.update_layout(
        barmode="stack",
        title={"text": "   ".join(heading)},
        xaxis={
            "title": {"text": f"When it happened, by {step} ({plotly_text(zone)})"},
            "ticklabelmode": "period",  # a day's name stands under its bar
            **DATES,
        },
        yaxis={"title": {"text": "Records"}, "rangemode": "tozero", **whole_numbers(max(frame["records"], default=0))},
    )
    if scale is None and len(frame):
        figure.update_xaxes(range=_wide_enough(frame, step))
    elif scale is not None:
        figure.update_xaxes(range=[scale.start, scale.end])
        figure.update_yaxes(range=[0, scale.records * 1.05])
    return figure.figure()


def _wide_enough(frame: pd.DataFrame, step: str) -> list[datetime] | None:
    """From when to when an axis reaches where few steps alone would be drawn as wide as a wall; else None."""
    start, end = _wall_time(frame["start"].min()), _wall_time(frame["start"].max() + _STEPS[step])
    one = _wall_time(frame["start"].min() + _STEPS[step]) - start
    lacking = _LEAST_STEPS * one - (end - start)
    try:
        return [start - lacking / 2, end + lacking / 2] if lacking > timedelta() else None
    except OverflowError:  # at the ends of the calendar
        return None


def common_scale(frames: Sequence[pd.DataFrame], step: str) -> Scale | None:
    """The scale on which all of these can be drawn; None where all are empty."""
    drawn = pd.concat(frames)
    if drawn.empty:
        return None
    last = drawn["start"].max() + _STEPS[step]
    top = max(int(frame.groupby("start")["records"].sum().max()) for frame in frames if not frame.empty)
    return Scale(_wall_time(drawn["start"].min()), _wall_time(last), top)


def whole_numbers(largest: int) -> dict[str, int]:
    """An axis whose ticks would be fractions, of which whole ones are repeated, has one at each number."""
    return {"dtick": 1} if largest <= _FEW else {}


def _bars(rows: pd.DataFrame, kind: str, step: str, colour: str) -> dict[str, Any]:
    starts: list[pd.Timestamp] = list(rows["start"])
    ends = [start + _STEPS[step] for start in starts]
    walls = [(_wall_time(start), _wall_time(end)) for start, end in zip(starts, ends, strict=True)]
    if step == "hour":  # the one that comes twice would have no width, and the one before a gap twice as much
        walls = [(start, start + timedelta(hours=1)) for start, _ in walls]
    return {
        "name": _KIND_WORDS[kind],
        "x": [start + (end - start) / 2 for start, end in walls],
        "y": list(rows["records"]),
        "width": [(end - start).total_seconds() * 1000 * _BAR_SHARE for start, end in walls],  # milliseconds
        "customdata": [[start.isoformat(), end.isoformat(), kind] for start, end in zip(starts, ends, strict=True)],
        "hovertext": [
            f"{_period(start, step)}<br>{records:,} by {_KIND_WORDS[kind]}"
            for start, records in zip(starts, rows["records"], strict=True)
        ],
        "hoverinfo": "text",
        "marker": {"color": colour, "line": {"width": 0}},
    }


def _wall_time(moment: pd.Timestamp) -> datetime:
    """What a clock on the organization's wall shows: Plotly draws a time as it is written."""
    return moment.tz_localize(None).to_pydatetime()


def _period(start: pd.Timestamp, step: str) -> str:
    if step == "hour":
        return start.strftime("%a %Y-%m-%d, %H:00 to %H:59 (UTC%z)")
    if step == "month":
        return start.strftime("%Y-%m")
    return ("Week from " if step == "week" else "") + start.strftime("%a %Y-%m-%d")


def ranking(
    rows: Sequence[tuple[str, int, Any]],
    title: str,
    *,
    dark: bool,
    kinds: Sequence[str] | None = None,
    height: int | None = None,
) -> go.Figure:
    """The largest counts as bars, each with its label and number beside it.

    `rows` are label, count, and customdata; `kinds` (person or machine) colours them where they are actors.
    """
    colours = palette(dark=dark)
    places = list(range(len(rows)))
    labels = [plotly_text(label, 26) for label, _, _ in rows]
    figure = drawing(dark=dark, height=height or 62 + 24 * max(len(rows), 1))
    figure.add_bar(
        orientation="h",
        x=[count for _, count, _ in rows],
        y=places,
        text=[f"{count:,}" for _, count, _ in rows],
        textposition="outside",
        textfont={"color": colours.text},
        cliponaxis=False,
        customdata=[[data] for _, _, data in rows],
        hovertext=[f"{plotly_text(label, 120)}<br>{count:,} records" for label, count, _ in rows],
        hoverinfo="text",
        marker={"color": [getattr(colours, kind) for kind in kinds] if kinds else colours.plain},
    )
    top = max((count for _, count, _ in rows), default=1)
    figure.update_layout(
        title={"text": plotly_text(title, 120)},
        bargap=0.3,
        margin={"b": 6, "r": 16},
        xaxis={"visible": False, "range": [0, top * 1.22]},  # the number says it; room for the longest beside its bar
        yaxis={
            "tickvals": places, "ticktext": labels, "range": [max(len(rows), 1) - 0.5, -0.5],
            "showgrid": False, "ticks": "", "tickfont": {"color": colours.text},
        },
    )  # fmt: skip
    return figure.figure()


class Act(NamedTuple):
    """An act on a timeline: `marked` says in a word what is wrong with it, or is empty; `lane` is where it is drawn,
    if not with its action."""

    seq: int
    revision: int
    occurred_at: datetime
    action: str
    actor: str
    kind: str
    marked: str
    lane: str = ""


def timeline(
    acts: Sequence[Act], zone: str, *, dark: bool, selected: int | None = None, what: str = "revisions"
) -> go.Figure:
    """Acts in time, a lane for each action; what is marked is ringed. customdata is the position."""
    colours = palette(dark=dark)
    lanes = list(dict.fromkeys(act.lane or act.action for act in acts))
    figure = drawing(dark=dark, height=120 + 26 * max(len(lanes), 1))
    heading = [f"{len(acts):,} {what}"]
    for kind in (PERSON, MACHINE):
        mine = [act for act in acts if act.kind == kind]
        if not mine:
            continue
        figure.add_scatter(
            mode="markers",
            name=_KIND_WORDS[kind],
            x=[act.occurred_at.replace(tzinfo=None) for act in mine],
            y=[lanes.index(act.lane or act.action) for act in mine],
            customdata=[[act.seq] for act in mine],
            hovertext=[_act_words(act) for act in mine],
            hoverinfo="text",
            marker={
                "color": getattr(colours, kind),
                "size": [15 if act.seq == selected else 11 for act in mine],
                "symbol": ["diamond" if act.marked else "circle" for act in mine],
                "line": {
                    "color": [colours.text if act.marked or act.seq == selected else colours.ground for act in mine],
                    "width": [2 if act.marked or act.seq == selected else 1 for act in mine],
                },
            },
        )
        heading.append(f'<span style="color:{getattr(colours, kind)}">● by {_KIND_WORDS[kind]} {len(mine):,}</span>')
    if any(act.marked for act in acts):
        heading.append("◆ needs a look")
    figure.update_layout(
        title={"text": "   ".join(heading)},
        xaxis={"title": {"text": f"When it happened ({plotly_text(zone)})"}, **DATES},
        yaxis={
            "tickvals": list(range(len(lanes))), "ticktext": [plotly_text(lane, 26) for lane in lanes],
            "range": [len(lanes) - 0.5, -0.5], "tickfont": {"color": colours.text},
        },
    )  # fmt: skip
    return figure.figure()


def _act_words(act: Act) -> str:
    lines = [
        *([plotly_text(act.lane, 120)] if act.lane else []),
        f"Revision {number(act.revision)}: {plotly_text(act.action)}",
        act.occurred_at.strftime("%a %Y-%m-%d, %H:%M:%S (UTC%z)"),
        f"{plotly_text(act.actor, 120)} ({act.kind})",
    ]
    return "<br>".join(lines + ([plotly_text(act.marked, 120)] if act.marked else []))


def drawing(*, dark: bool, height: int) -> Drawing:
    """A figure to be, in the look that all figures share."""
    return Drawing(template=template(dark=dark), height=height)


def template(*, dark: bool) -> dict[str, Any]:
    """The look that all figures share, as Plotly's template."""
    colours = palette(dark=dark)
    axis = {
        "automargin": True,
        "fixedrange": True,  # a click means "these records"; zooming by accident would only be in its way
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "tickfont": {"color": colours.muted, "size": 12},
        "title": {"font": {"color": colours.muted, "size": 12}, "standoff": 6},
        "zeroline": False,
    }
    return {
        "layout": {
            "font": {"family": _FONT, "size": 13, "color": colours.text},
            "title": {"font": {"size": 14}, "x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "container",
                      "yanchor": "top", "pad": {"t": 8}},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
            "showlegend": False,
            "hoverlabel": {"bgcolor": colours.ground, "bordercolor": colours.muted, "align": "left",
                           "font": {"family": _FONT, "size": 13, "color": colours.text}},
            "xaxis": {**axis, "showgrid": False},
            "yaxis": {**axis, "tickformat": ",d"},
        }
    }  # fmt: skip
