"""Figures and tables on a page: a click on either narrows what the page shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from flasktrack.core.record import ACTOR_TYPES
from flasktrack.errors import InvalidFilter
from flasktrack.insight.clock import clock
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import Step
from flasktrack.insight.questions import Questions, Totals
from flasktrack.insight.week_hours import WORKING_HOURS, read_week_hours
from flasktrack.ui import address
from flasktrack.ui.cells import week
from flasktrack.ui.figures import over_time, ranking
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import literal
from flasktrack.ui.theme import is_dark

MACHINES = tuple(kind for kind in ACTOR_TYPES if kind != "user")
_ROW_HEIGHT = 31  # pixels, with the theme's font size
_RANKED = 7  # bars of a ranking
_TABLE = "table"  # in the address
_HOURLY, _DAILY, _WEEKLY = timedelta(days=3), timedelta(days=200), timedelta(days=1000)


class Numbers(NamedTuple):
    """The table behind a figure: `frame` as it is drawn, and for each row the customdata of the figure's point."""

    name: str
    frame: pd.DataFrame
    points: Sequence[Any]


def draw_figure(
    figure: go.Figure, key: str, alt: str, clicked: Callable[[Any], None] | None = None, numbers: Numbers | None = None
) -> None:
    """Draw a figure; `clicked` is given the customdata of the point that somebody clicks. `alt` says what it shows.

    With `numbers`, the reader can have them as a table in the figure's place, where a click does the same; the
    address says which figures are tables (`table`).
    """
    if numbers is not None:
        as_table = numbers.name in address.values(_TABLE)
        _head(figure, key, numbers.name, as_table=as_table)
        if as_table:
            _draw_numbers(numbers, key, int(figure.layout.height), clicked)
            return
    config = {"displayModeBar": False}
    if clicked is None:
        st.plotly_chart(figure, key=key, theme=None, config=config, alt=alt)
        return

    def changed() -> None:
        points = st.session_state[key].selection.points
        if points and points[0]["customdata"] is not None:
            clicked(points[0]["customdata"])

    st.plotly_chart(
        figure, key=key, theme=None, on_select=changed, selection_mode="points", config=config, alt=alt
    )  # fmt: skip


def _head(figure: go.Figure, key: str, name: str, *, as_table: bool) -> None:
    """A figure's title, as the page's own text, and the way to its numbers and back."""
    title = figure.layout.title.text or ""
    figure.update_layout(title_text=None, margin_t=6, height=figure.layout.height - 30)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"head_{key}"):
        st.html(f'<div style="font-size:14px">{title}</div>', width="stretch")
        st.button(
            "Figure" if as_table else "Table", key=f"table_{key}", type="tertiary", width="content",
            help="Show the figure" if as_table else "Show the numbers behind the figure",
            on_click=_toggle, args=(name,),
        )  # fmt: skip


def _toggle(name: str) -> None:
    shown = address.values(_TABLE)
    address.write(**{_TABLE: [other for other in shown if other != name] if name in shown else [*shown, name]})


def _draw_numbers(numbers: Numbers, key: str, height: int, clicked: Callable[[Any], None] | None) -> None:
    options: dict[str, Any] = {"height": table_height(len(numbers.frame), height)}
    if clicked is None:
        st.dataframe(numbers.frame, hide_index=True, **options)
    else:
        clickable_table(numbers.frame, f"numbers_{key}", lambda row: clicked(numbers.points[row]), **options)


def filter_key(name: str, context: Context, chosen: RecordFilter) -> str:
    """A widget's key that is new with every filter, so that an old selection is not kept."""
    return f"{name}_{context.organization.id}_{hash(chosen)}"


def draw_over_time(
    context: Context, chosen: RecordFilter, totals: Totals, height: int = 250, narrowed: RecordFilter | None = None
) -> None:
    """Draw what a filter selects over time; a click on a bar narrows the filter to its time and kind of actor.

    `narrowed` is the filter that the address holds, where that is not the one that is drawn.
    """
    step = _step(chosen, totals)
    frame = ask(context, Questions.over_time, chosen, context.zone, "kind", step)

    def narrow(data: Any) -> None:
        start, end, kind = data
        given: dict[str, Any] = {
            "occurred_from": _later(chosen.occurred_from, start),
            "occurred_to": _earlier(chosen.occurred_to, end),
        }
        set_filter(replace(of_kind(narrowed or chosen, kind), **given))

    figure = over_time(frame, step, context.zone.key, dark=is_dark(), height=height)
    alt = f"{totals.records:,} records by {step}, people and machines apart"
    draw_figure(figure, filter_key("over_time", context, chosen), alt, narrow)


def draw_busiest(context: Context, chosen: RecordFilter) -> None:
    """Draw the busiest actors; a click on one narrows the filter to them."""
    top = ask(context, Questions.actors, chosen).head(_RANKED)
    columns = top[["actor_type", "actor_id", "actor_name", "records"]]
    rows = [(name or id_, number, pair(kind, id_)) for kind, id_, name, number in columns.itertuples(index=False)]
    kinds = ["person" if kind == "user" else "machine" for kind in top["actor_type"]]
    figure = ranking(rows, "Busiest actors", dark=is_dark(), kinds=kinds)

    def narrow(data: Any) -> None:
        narrow_to(chosen, "actors", data[0])

    draw_figure(figure, filter_key("actors", context, chosen), "Busiest actors", narrow)


def draw_ranking(context: Context, chosen: RecordFilter, column: Literal["action", "entity_type"], title: str) -> None:
    """Draw the most frequent values of a column; a click on one narrows the filter to it."""
    found = ask(context, Questions.counts, chosen, column, limit=_RANKED)
    rows = [
        (value, number, value if isinstance(value, str) else None)
        for value, number in found[[column, "records"]].itertuples(index=False)
    ]
    figure = ranking(rows, title, dark=is_dark())

    def narrow(data: Any) -> None:
        narrow_to(chosen, f"{column}s", data[0])

    draw_figure(figure, filter_key(column, context, chosen), title, narrow)


def draw_week(context: Context, chosen: RecordFilter) -> None:
    """Draw when in the week acts occurred; a click on an hour narrows the filter to it."""
    counts = ask(context, clock, chosen, context.zone).week.groupby("week_hour", as_index=False)[["records"]].sum()
    working = (read_week_hours(WORKING_HOURS, context.zone),)
    figure = week(counts, context.zone.key, working, dark=is_dark())

    def narrow(data: Any) -> None:
        if data[0] is not None:  # an hour without records
            narrow_to(chosen, "hours", str(read_week_hours(data[0], context.zone)))

    draw_figure(figure, filter_key("week", context, chosen), "Records by weekday and hour", narrow)


def of_kind(chosen: RecordFilter, kind: str) -> RecordFilter:
    """The filter narrowed to people or to machines; what it says of types of actors already stays."""
    types = ("user",) if kind == "person" else MACHINES
    kept = tuple(name for name in chosen.actor_types if name in types) or types
    return replace(chosen, actor_types=kept)


def narrow_to(chosen: RecordFilter, field: str, value: str | None) -> None:
    """What a click on a value does: the filter's field becomes that value alone. None is no value to look for."""
    if value is None:
        st.toast("An altered record holds no text there, so no filter can ask for it.")
        return
    change: dict[str, Any] = {field: (value,)}
    try:
        set_filter(replace(chosen, **change))
    except InvalidFilter as problem:  # an altered record may hold what no filter accepts
        st.toast(literal(str(problem)))


def clickable_table(frame: pd.DataFrame, key: str, clicked: Callable[[int], None], **options: Any) -> None:
    """Draw a table; `clicked` is given the number of the row that somebody clicks."""

    def changed() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            clicked(cells[0][0])

    st.dataframe(frame, key=key, hide_index=True, on_select=changed, selection_mode="single-cell", **options)


def _step(chosen: RecordFilter, totals: Totals) -> Step:
    """Bars as fine as a screen can show."""
    start = _later(chosen.occurred_from, totals.first_occurred)
    end = _earlier(chosen.occurred_to, totals.last_occurred)
    span = end - start if start is not None and end is not None else timedelta()
    if span <= _HOURLY:
        return "hour"
    return "day" if span <= _DAILY else "week" if span <= _WEEKLY else "month"


def _later(one: datetime | None, other: datetime | str | None) -> datetime | None:
    moment = datetime.fromisoformat(other) if isinstance(other, str) else other
    return max(filter(None, (one, moment)), default=None)


def _earlier(one: datetime | None, other: datetime | str | None) -> datetime | None:
    moment = datetime.fromisoformat(other) if isinstance(other, str) else other
    return min(filter(None, (one, moment)), default=None)


def table_height(rows: int, most: int) -> int | Literal["content"]:
    """The height of a table in pixels: as much as its rows need, up to `most`."""
    return "content" if rows * _ROW_HEIGHT < most else most
