"""Filters by name: open one, save the one that the page shows, for oneself or for the organization."""

from __future__ import annotations

import streamlit as st

from flasktrack.errors import FlaskTrackError, InvalidFilter
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.saved_filters import (
    MAX_NAME,
    SavedFilter,
    delete_filter,
    list_filters,
    may_change,
    save_filter,
)
from flasktrack.store.scope import Permission, Scope
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import literal

_NAME, _SHARED, _SAID = "saved_filter_name", "saved_filter_shared", "saved_filter_said"


def saved_filters(context: Context, chosen: RecordFilter) -> None:
    """Draw the button behind which the saved filters are."""
    scope = context.scope
    with st.popover("Saved filters", icon=":material/bookmark:", width="content"):
        found = list_filters(context.engine, scope)
        for saved in found:
            _one(context, scope, saved)
        if not found:
            st.caption("None is saved yet.")
        st.divider()
        st.caption(literal(f"Save this filter: {chosen.describe(context.zone)}"))
        st.text_input("Name", key=_NAME, max_chars=MAX_NAME, placeholder="Such as: Deletions", width=320)
        st.checkbox("Share it with the organization", key=_SHARED)
        st.button("Save", key="saved_filter_save", on_click=_save, args=(context, chosen))
        if said := st.session_state.pop(_SAID, None):
            st.caption(literal(said))


def _one(context: Context, scope: Scope, saved: SavedFilter) -> None:
    key = f"{saved.owner}_{saved.name}"
    try:
        chosen = RecordFilter.from_params(saved.params, context.zone)
        says = chosen.describe(context.zone)
    except InvalidFilter as problem:
        chosen, says = None, str(problem)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width=420):
        st.button(
            literal(saved.name), key=f"saved_filter_open_{key}", type="tertiary", disabled=chosen is None,
            help=literal(says), on_click=set_filter, args=(chosen,),
        )  # fmt: skip
        st.caption(literal(f"shared by {saved.saved_by}" if saved.is_shared else "yours"))
        if may_change(scope, saved):
            st.button(
                "", key=f"saved_filter_drop_{key}", icon=":material/delete:", help="Forget it", type="tertiary",
                on_click=_forget, args=(context, saved),
            )  # fmt: skip


def _forget(context: Context, saved: SavedFilter) -> None:
    try:
        delete_filter(context.engine, of_click(context, Permission.EXPORT).scope, saved.name, shared=saved.is_shared)
    except FlaskTrackError as problem:
        st.session_state[_SAID] = str(problem)


def _save(context: Context, chosen: RecordFilter) -> None:
    name, shared = st.session_state[_NAME], st.session_state[_SHARED]
    try:
        scope = of_click(context, Permission.EXPORT).scope
        save_filter(context.engine, scope, name, chosen.to_params(), shared=shared)
    except FlaskTrackError as problem:
        st.session_state[_SAID] = str(problem)
    else:
        st.session_state[_NAME] = ""
        st.session_state[_SAID] = f"Saved as {name.strip()}."
