"""What the figures of a page count, where that is not everything, or not all of it sound."""

from __future__ import annotations

import streamlit as st

from flasktrack.insight.following import Standing
from flasktrack.ui.session import Context, keep_up
from flasktrack.ui.text import count, literal

_EVERY = 2  # seconds between two looks at the progress


def draw_standing(context: Context) -> None:
    """Say how far records were taken in for counting, and how many of those failed their check; else nothing."""
    standing = context.standing
    if standing.problem is not None:
        st.warning(
            f"Figures count the records up to {standing.state.last_seq:,} alone: {literal(str(standing.problem))}",
            icon=":material/warning:",
        )
    elif not standing.complete:
        st.fragment(_progress, run_every=_EVERY)(context)
    if failed := standing.state.failed:
        st.warning(
            f"{count(failed, 'record')} of the {standing.state.records:,} that are counted failed the check when taken "
            "in. What they say is counted as it was found; a verification says what is wrong.",
            icon=":material/gpp_maybe:",
        )


def _progress(context: Context) -> None:
    standing = keep_up(context)
    if standing.complete or standing.problem is not None:
        st.rerun()
    st.progress(_share(standing))
    st.caption(_said(standing))


def _share(standing: Standing) -> float:
    return min(1.0, standing.state.last_seq / standing.newest) if standing.newest else 0.0


def _said(standing: Standing) -> str:
    return (
        f"Figures count {standing.state.records:,} records so far; those up to position {standing.newest:,} "
        "are being checked and taken in."
    )
