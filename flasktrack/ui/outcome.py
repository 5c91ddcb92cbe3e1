"""What came of a change that somebody asked for: said once, where it was asked."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from flasktrack.errors import FlaskTrackError
from flasktrack.ui.text import literal

_OUTCOME = "outcome_of_change"


def attempt(place: str, change: Callable[[], str]) -> None:
    """Make a change, in a widget's callback; `change` returns the sentence that says it was made."""
    try:
        st.session_state[_OUTCOME] = place, True, change()
    except FlaskTrackError as problem:
        st.session_state[_OUTCOME] = place, False, str(problem)


def draw_outcome(place: str) -> None:
    """Draw what came of the last change that was asked for here."""
    said = st.session_state.get(_OUTCOME)
    if said is None or said[0] != place:
        return
    del st.session_state[_OUTCOME]
    if said[1]:
        st.success(literal(said[2]), icon=":material/check_circle:")
    else:
        st.warning(f"Nothing was changed. {literal(said[2])}", icon=":material/warning:")
