"""Exports: take away what a filter selects, all of it, and see before what it will be."""

from __future__ import annotations

import streamlit as st

from flasktrack.ui.filter_bar import filter_bar
from flasktrack.ui.make_export import make_export
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records

context = open_page("exports")
chosen = filter_bar(context)
make_export(context, chosen)
st.caption(
    "CSV is for spreadsheets: text that one would take for a formula gets an apostrophe before it. JSON Lines holds "
    "each record with all that its hash was made of. Either holds every record that the filter selects."
)
records(context, chosen)
