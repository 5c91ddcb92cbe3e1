"""The exports of an organization: who made which, when, of what; a click on one shows how to take it away again."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.errors import InvalidFilter
from flasktrack.export.formats import FORMATS
from flasktrack.export.running import kept_file
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.exports import CANCELLED, DONE, UNDER_WAY, Export, find_export, list_exports
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.downloads import download_address
from flasktrack.ui.links import page_link
from flasktrack.ui.make_export import OPENED
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import short

_MOST = 100
_HEIGHT = 360


def export_history(context: Context) -> None:
    """Draw the newest exports as a table, and the one that the address opens."""
    found = list_exports(context.engine, context.scope, _MOST)
    if not found:
        st.info("Nothing was exported yet. Filter, choose a format, and export.", icon=":material/info:")
        return
    if len(found) == _MOST:
        st.caption(f"The newest {_MOST} exports. All of them are records: filter for the action export.")
    column = st.column_config
    clickable_table(
        _frame(context, found),
        f"exports_{context.organization.id}_{len(found)}_{found[0].id}",
        lambda row: address.write(**{OPENED: found[row].id}),
        height=table_height(len(found), _HEIGHT),
        column_config={
            "time": column.TextColumn("Asked for", help=f"In {context.zone.key}", width=145),
            "who": column.TextColumn("By", width=125),
            "filter": column.TextColumn("Filter", width=215),
            "records": column.NumberColumn("Records", format="localized", width=70),
            "format": column.TextColumn("Format", width=80),
            "size": column.TextColumn("Size", width=75),
            "sha256": column.TextColumn("SHA-256", help="Its first characters; a click shows it whole.", width=100),
            "state": column.TextColumn("State", width=150),
        },
    )


def opened_export(context: Context) -> None:
    """Draw the export that the address opens: its state, the way to its file and to its filter, and its SHA-256."""
    wanted = address.value(OPENED)
    about = None if wanted is None else find_export(context.engine, context.scope, wanted)
    if about is None or about.status in UNDER_WAY:
        return
    with st.container(border=True):
        if about.status != DONE:
            said = "was cancelled" if about.status == CANCELLED else "was not made"
            st.error(literal(f"The export {said}: {about.problem}"), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if available(about):
                st.link_button(
                    "Download", download_address(context, about.id), type="primary", icon=":material/download:"
                )
            if about.status == DONE:
                made = f"{_name(about)}: {count(about.records, 'record')}, {size(about.bytes)}"
                st.text(display(made))
            _ways(context, about)
            st.button("Close", type="tertiary", on_click=address.write, kwargs={OPENED: None})
        st.caption(literal(f"{_filter(context, about)} {_made(context, about)}"))
        if about.status == DONE and about.problem:
            st.warning(literal(about.problem), icon=":material/warning:")
        if about.sha256:
            st.caption("SHA-256 of the file, to note beside it")
            st.code(about.sha256, language=None, wrap_lines=True)


def _ways(context: Context, about: Export) -> None:
    """Back to what was filtered, and to what the chain says of it."""
    if about.params or about.status == DONE:
        page_link(context, "exports", "Open its filter", place=about.id, **about.params)  # type: ignore[arg-type]
    if isinstance(about.seq, int):
        page_link(context, "records", f"Record {about.seq:,}", place=about.id, seq=str(about.seq), record=about.seq)


def available(about: Export) -> bool:
    """Whether the file can be downloaded now."""
    file = kept_file(about, Settings.from_environment())
    return about.downloadable and file is not None and file.is_file()


def size(number: int | None) -> str:
    """A file's size as people read it."""
    if not isinstance(number, int):
        return ""
    left = float(number)
    for unit in ("bytes", "kB", "MB"):
        if left < 1000:
            return f"{left:,.0f} {unit}" if unit == "bytes" else f"{left:,.1f} {unit}"
        left /= 1000
    return f"{left:,.1f} GB"


def _frame(context: Context, found: Sequence[Export]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                short(one.requested_at, context.zone),
                display(one.requested_by),
                display(_filter(context, one)),
                one.records,
                FORMATS[one.format].title if one.format in FORMATS else display(one.format),
                size(one.bytes),
                (one.sha256 or "")[:12],
                _state(context, one),
            )
            for one in found
        ],
        columns=["time", "who", "filter", "records", "format", "size", "sha256", "state"],
    )


def _state(context: Context, one: Export) -> str:
    if one.status in UNDER_WAY:
        return f"{one.written:,} written so far"
    if one.status != DONE:
        return one.status
    if one.expires_at is None:
        return "written elsewhere"
    return f"kept until {short(one.expires_at, context.zone)[:16]}" if available(one) else "no longer kept"


def _filter(context: Context, one: Export) -> str:
    try:
        return RecordFilter.from_params(one.params).describe(context.zone)
    except InvalidFilter:
        return "Its filter can't be read."


def _made(context: Context, one: Export) -> str:
    said = f"Asked for by {one.requested_by} at {short(one.requested_at, context.zone)} ({context.zone.key})"
    if one.status == DONE and one.expires_at is not None:
        said += f", kept until {short(one.expires_at, context.zone)}" if available(one) else ", no longer kept"
    options = one.options
    said += f". Columns: {', '.join(options.get('columns') or ['all'])}; zone {options.get('time_zone')}"
    return f"{said}; withheld: {', '.join(options['withheld'])}." if options.get("withheld") else f"{said}."


def _name(about: Export) -> str:
    return about.file.replace("\\", "/").rpartition("/")[2]
