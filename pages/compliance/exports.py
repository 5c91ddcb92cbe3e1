"""Exports: take away what a filter selects, all of it, and see before what it will be; and what was taken before."""

from __future__ import annotations

import streamlit as st

from flasktrack.ui.export_history import export_history, opened_export
from flasktrack.ui.filter_bar import filter_bar
from flasktrack.ui.make_export import exports_under_way, make_export
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records

context = open_page("exports")
chosen = filter_bar(context)
make_export(context, chosen)
exports_under_way(context)
opened_export(context)
preview, history = st.tabs(["What will be written", "Exports made"])
with preview:
    records(context, chosen)
with history:
    export_history(context)
