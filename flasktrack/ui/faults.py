"""What a reader sees when something is wrong: what happened and what to do, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from flasktrack.errors import EmptyDatabase, FlaskTrackError, InvalidFilter, UnknownOrganization
from flasktrack.ui import address
from flasktrack.ui.text import literal

_log = logging.getLogger(__name__)
_BEGINNINGS = {
    "To take in the records of a laboratory (docs/importing.md says which files):": "import FILE --organization ID",
    "For a look, with half a year of two made-up laboratories:": "demo",
}
"""What somebody may want who has an empty database, and by which command."""


@contextmanager
def readable() -> Iterator[None]:
    """Show whatever is raised inside as a box with a sentence; a fault of our own goes to the log in full."""
    try:
        yield
    except FlaskTrackError as problem:
        explain(problem)
    except Exception:  # noqa: BLE001 (no traceback reaches a reader)
        _log.exception("A page failed.")
        st.error("This page failed where it should not. The log says more; please report it.", icon=":material/error:")


def explain(problem: FlaskTrackError) -> None:
    """Draw the box for one error, with a way back where the address is to blame."""
    if isinstance(problem, EmptyDatabase):
        _welcome(problem)
        return
    st.error(f"**{literal(problem.what)}** {literal(problem.advice)}", icon=":material/error:")
    if st.query_params and isinstance(problem, (address.InvalidAddress, InvalidFilter, UnknownOrganization)):
        st.button("Reset the address", icon=":material/restart_alt:", on_click=st.query_params.clear)


def _welcome(problem: EmptyDatabase) -> None:
    """Say how to begin: that nothing is there yet is no error."""
    st.header("FlaskTrack", anchor=False)
    st.text(f"{problem.what} There are two ways to begin:")
    for purpose, command in _BEGINNINGS.items():
        with st.container(border=True, gap="small"):
            st.text(purpose)
            st.code(f"python -m flasktrack {command}", language=None)
    st.caption("Then load this page again.")
