"""What a reader sees when something is wrong: what happened and what to do, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from flasktrack.errors import FlaskTrackError, InvalidFilter, UnknownOrganization
from flasktrack.ui import address
from flasktrack.ui.text import literal

_log = logging.getLogger(__name__)


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
    st.error(f"**{literal(problem.what)}** {literal(problem.advice)}", icon=":material/error:")
    if st.query_params and isinstance(problem, (address.InvalidAddress, InvalidFilter, UnknownOrganization)):
        st.button("Reset the address", icon=":material/restart_alt:", on_click=st.query_params.clear)
