"""Figures and tables on a page: a click on either narrows what the page shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from flasktrack.errors import InvalidFilter
from flasktrack.insight.filter import RecordFilter
from flasktrack.ui import address
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.session import Context
from flasktrack.ui.text import literal

_ROW_HEIGHT = 31  # pixels, with the theme's font size
_TABLE = "table"  # in the address
_HEADING = "font-size: 14px; white-space: pre; overflow: hidden; text-overflow: ellipsis"
_ALONE = "; padding: 6px 0"


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
    if numbers is None and not figure.layout.title.text:
        _draw(figure, key, alt, clicked)
        return
    with st.container(gap=None):
        as_table = numbers is not None and numbers.name in address.values(_TABLE)
        _head(figure, key, numbers, as_table=as_table)
        if numbers is not None and as_table:
            _draw_numbers(numbers, key, int(figure.layout.height), clicked)
        else:
            _draw(figure, key, alt, clicked)


def _draw(figure: go.Figure, key: str, alt: str, clicked: Callable[[Any], None] | None) -> None:
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


def _head(figure: go.Figure, key: str, numbers: Numbers | None, *, as_table: bool) -> None:
    """A figure's title, as the page's own text, and the way to its numbers, where it has any, and back."""
    title = figure.layout.title.text or ""
    figure.layout.title = {}
    figure.update_layout(margin_t=6, height=figure.layout.height - 30)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"head_{key}"):
        heading(title, alone=numbers is None)
        if numbers is not None:
            st.button(
                "Figure" if as_table else "Table", key=f"table_{key}", type="tertiary", width="content",
                help="Show the figure" if as_table else "Show the numbers behind the figure",
                on_click=_toggle, args=(numbers.name,),
            )  # fmt: skip


def heading(html: str, *, alone: bool = True) -> None:
    """Draw what stands above a figure or table. Text from records in it has passed `plotly_text`, or is escaped.

    `alone`: without a button beside it, which would make the line as high as those of other headings.
    """
    st.html(f'<div style="{_HEADING}{_ALONE if alone else ""}">{html}</div>', width="stretch")


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


def table_height(rows: int, most: int) -> int | Literal["content"]:
    """The height of a table in pixels: as much as its rows need, up to `most`."""
    return "content" if rows * _ROW_HEIGHT < most else most
