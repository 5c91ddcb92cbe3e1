"""One entity: what its history is in a line, and three ways to look at it (revisions, states, relations)."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from flasktrack.core.record import Reference
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.history import EntityHistory
from flasktrack.insight.questions import Questions, Totals
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.ui import address
from flasktrack.ui.entity_relations import draw_relations
from flasktrack.ui.entity_revisions import draw_revisions
from flasktrack.ui.entity_state import draw_state
from flasktrack.ui.filter_bar import filter_bar, set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.looking import viewed
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.text import count, literal, who
from flasktrack.ui.times import minute

VIEWS = {"revisions": "Revisions", "state": "State at any moment", "relations": "Relations"}
_MOST_LETTERS = 90  # of a name in the heading


def draw_entity(context: Context) -> None:
    """Draw the one entity that the filter in the address names, in the view that the address names."""
    chosen = filter_bar(context)
    kind, _, id_ = chosen.entities[0].partition(":")
    viewed(context, "entities", kind, id_)
    history = EntityHistory(Ledger(context.engine, context.scope), Reference(kind, id_))
    newest = next(iter(history.page(limit=1)), None)
    view = _heading(chosen, None if newest is None else newest.checked)
    if newest is None:
        st.info(f"No record is about {literal(chosen.entities[0])}.", icon=":material/info:")
        draw_relations(context, chosen, history.entity)  # others may name it all the same
        return
    whole = RecordFilter(entities=chosen.entities)
    st.text(_sentence(context, history.count(), ask(context, Questions.totals, whole)))
    match view:
        case "state":
            draw_state(context, history)
        case "relations":
            draw_relations(context, chosen, history.entity)
        case _:
            draw_revisions(context, replace(chosen, with_related=False), history)


def _heading(chosen: RecordFilter, newest: CheckedRecord | None) -> str:
    """The entity's name, as in its newest record, its type and id; the way back to the list, and the choice of a view,
    which is returned."""
    entity = chosen.entities[0]
    name = None if newest is None else shown(newest.record).entity_name
    title = f"{_shortened(name)} ({entity})" if name else entity
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(literal(title), width="content", anchor=False, help=_whole(name))
        st.button("All entities", icon=":material/arrow_back:", type="tertiary", on_click=_back, args=(chosen,))
        if newest is None:
            return ""
        st.space("stretch")
        return _view()


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def _whole(name: str | None) -> str | None:
    return literal(name) if name and len(name) > _MOST_LETTERS else None


def _back(chosen: RecordFilter) -> None:
    set_filter(replace(chosen, entities=(), with_related=False))
    address.write(view=None, revision=None, against=None, field=None)


def _sentence(context: Context, revisions: int, totals: Totals) -> str:
    """How many revisions there are, by whom and when; the number alone while the copy, which knows, is being built."""
    said = count(revisions, "revision")
    if totals.records != revisions or totals.first_occurred is None or totals.last_occurred is None:
        return f"{said}."
    said += f" by {who(totals.people, totals.machines)}"
    first, last = (minute(moment, context.zone) for moment in (totals.first_occurred, totals.last_occurred))
    return f"{said}, {first} to {last}." if first != last else f"{said}, {first}."


def _view() -> str:
    """Which view the address names; a choice of another one writes it there."""
    view = address.choice("view", VIEWS, "revisions")
    st.session_state["entity_view"] = view
    st.segmented_control(
        "View", list(VIEWS), key="entity_view", format_func=lambda name: VIEWS[name], required=True,
        label_visibility="collapsed", on_change=_choose_view,
    )  # fmt: skip
    return view


def _choose_view() -> None:
    chosen = st.session_state["entity_view"]
    address.write(view=None if chosen == "revisions" else chosen, record=None, before=None)
