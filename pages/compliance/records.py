"""Records: search the history with every filter there is, and read one record in full."""

from __future__ import annotations

from flasktrack.ui.filter_bar import filter_bar
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records

context = open_page("records")
records(context, filter_bar(context))
