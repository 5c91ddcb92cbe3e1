"""Entities: find one, and read its history: every revision, its state at any moment, and what it relates to."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.errors import InvalidFilter
from flasktrack.insight.entities import find_entities
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, filter_key, narrow_to, table_height
from flasktrack.ui.entity import draw_entity
from flasktrack.ui.filter_bar import current_filter, filter_bar
from flasktrack.ui.loaders import ask
from flasktrack.ui.looking import searched
from flasktrack.ui.page import open_page
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.standing import nothing_recorded
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import minutes

_MOST = 200


def main() -> None:
    context = open_page("entities")
    chosen = current_filter(context)
    if len(chosen.entities) == 1:
        draw_entity(context)
    else:
        _find(context, filter_bar(context))


def _find(context: Context, chosen: RecordFilter) -> None:
    """A list of entities, found by words in their type, id or name, or by a related entity; a click opens one."""
    words, related = (address.value("find") or "").strip(), (address.value("related") or "").strip()
    if words or related:
        searched(context, "entities", chosen, find=words, related=related)
    try:
        found = ask(context, find_entities, chosen, words, related, _MOST)
    except InvalidFilter as problem:
        st.warning(literal(str(problem)), icon=":material/warning:")
        found = ask(context, find_entities, chosen, "", "", _MOST)
    line = st.container()
    with st.container(horizontal=True, gap="small"):
        _search("find", words, "Find by type, id or name, such as: sample S-26")
        _search("related", related, "Related to, such as: batch B-26 or batch:B-260001")
    if found.empty:
        line.text("No entity is found.")
        empty = not words and not related and chosen.is_empty
        advice = nothing_recorded(context) if empty else "Try fewer words, or a wider filter."
        st.info(advice, icon=":material/info:")
        return
    line.text(_sentence(context, chosen, len(found), searched=bool(words or related)))
    _table(context, chosen, f"{words}_{related}", found)


def _sentence(context: Context, chosen: RecordFilter, listed: int, *, searched: bool) -> str:
    if searched:
        more = " (there may be more: give another word)" if listed == _MOST else ""
        return f"{count(listed, 'entity', 'entities')} found{more}; a click opens its history."
    totals = ask(context, Questions.totals, chosen)
    shown = f"Here are the {listed:,} touched last. " if listed < totals.entities else ""
    return (
        f"{count(totals.entities, 'entity', 'entities')} touched by {count(totals.records, 'record')}. "
        f"{shown}A click opens a history."
    )


def _search(parameter: str, words: str, placeholder: str) -> None:
    key = f"{parameter}_entity"
    st.session_state[key] = words
    st.text_input(
        placeholder, key=key, placeholder=placeholder, width=420, label_visibility="collapsed",
        icon=":material/search:",
        on_change=lambda: address.write(**{parameter: st.session_state[key].strip() or None}),
    )  # fmt: skip


def _table(context: Context, chosen: RecordFilter, searched: str, found: pd.DataFrame) -> None:
    zone = context.zone.key
    shown = pd.DataFrame(
        {
            "type": found["entity_type"].map(display),
            "id": found["entity_id"].map(display),
            "name": found["entity_name"].map(display),
            "records": found["records"],
            "last": minutes(found["last_occurred"], context.zone),
        }
    )

    def open_entity(row: int) -> None:
        entity = found.iloc[row]
        narrow_to(chosen, "entities", pair(entity["entity_type"], entity["entity_id"]))

    column = st.column_config
    clickable_table(
        shown,
        filter_key(f"entities_{hash(searched)}", context, chosen),
        open_entity,
        height=table_height(len(shown), 560),
        column_config={
            "type": column.TextColumn("Entity type", width=140),
            "id": column.TextColumn("Id", width=190),
            "name": column.TextColumn("Name", width=380),
            "records": column.NumberColumn("Records", format="localized", width=80),
            "last": column.TextColumn(f"Last ({zone})", width=150),
        },
    )


main()
