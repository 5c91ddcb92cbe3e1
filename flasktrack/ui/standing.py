"""What the figures of a page count, where that is not everything, or not all of it sound."""

from __future__ import annotations

import streamlit as st

from flasktrack.insight.following import Standing
from flasktrack.store.scope import Permission
from flasktrack.ui.session import Context, keep_up, of_refresh
from flasktrack.ui.text import count, literal

_EVERY = 2  # seconds between two looks at the progress


def draw_standing(context: Context) -> None:
    """Say how far records were taken in for counting, and how many of those failed their check; else nothing."""
    standing = context.standing
    if standing.instead_of is not None:
        st.warning(
            f"{literal(standing.instead_of)} Until FlaskTrack is started again, figures are counted from a private "
            "copy: look at FLASKTRACK_ANALYTICS_URL and the server that it names.",
            icon=":material/warning:",
        )
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


def nothing_recorded(context: Context) -> str:
    """What to say where nothing is found and no filter asked for less, as markdown: what the reader can do next."""
    if not context.standing.complete:
        return "Nothing is counted yet: this page fills as soon as records are taken in."
    return (
        "No record yet: this organization's history is empty. Bring events in by `python -m flasktrack import`, or let "
        "an application record what it changes (docs/capture.md)."
    )


def _progress(context: Context) -> None:
    standing = keep_up(of_refresh(context, Permission.SEE_ACTIVITY))
    begun = standing.state.records and not context.standing.state.records
    if standing.complete or begun or standing.problem is not None:
        st.rerun()
    st.progress(_share(standing))
    st.caption(_said(context.standing, standing))


def _share(standing: Standing) -> float:
    return min(1.0, standing.state.last_seq / standing.newest) if standing.newest else 0.0


def _said(drawn: Standing, standing: Standing) -> str:
    """`drawn` is where the copy stood when the page was drawn, which is drawn anew once everything is taken in."""
    return (
        f"Figures count {drawn.state.records:,} records so far; by now {standing.state.records:,} are checked and "
        f"taken in, of those up to position {standing.newest:,}."
    )
