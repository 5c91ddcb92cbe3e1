"""Entities: find one, and read its history: every revision, what it changed, and who did it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.errors import InvalidFilter
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, filter_key, narrow_to, table_height
from flasktrack.ui.entity_history import draw_history
from flasktrack.ui.filter_bar import current_filter, filter_bar
from flasktrack.ui.loaders import ask
from flasktrack.ui.page import open_page
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import minutes

_MOST = 200


def main() -> None:
    context = open_page("entities")
    chosen = current_filter(context)
    if len(chosen.entities) == 1:
        draw_history(context, chosen.entities[0])
    else:
        _find(context, filter_bar(context))


def _find(context: Context, chosen: RecordFilter) -> None:
    """A list of entities, found by words in their type, id or name; a click opens a history."""
    words = (address.value("find") or "").strip()
    try:
        found = ask(context, Questions.entities, chosen, words, _MOST)
    except InvalidFilter as problem:
        st.warning(literal(str(problem)), icon=":material/warning:")
        found = ask(context, Questions.entities, chosen, "", _MOST)
    total = ask(context, Questions.totals, chosen)
    line = st.container()
    _search(words)
    if found.empty:
        line.text("No entity is found.")
        empty = not words and chosen.is_empty
        advice = (
            "No record yet: this organization's history is empty." if empty else "Try fewer words, or a wider filter."
        )
        st.info(advice, icon=":material/info:")
        return
    if words:
        line.text(f"{count(len(found), 'entity', 'entities')} found{_more(found)}; a click opens a history.")
    else:
        line.text(
            f"{count(total.entities, 'entity', 'entities')} touched by {count(total.records, 'record')}. "
            f"{_shown(len(found), total.entities)}A click opens a history."
        )
    _table(context, chosen, words, found)


def _shown(listed: int, all_: int) -> str:
    return f"Here are the {listed:,} touched last. " if listed < all_ else ""


def _more(found: pd.DataFrame) -> str:
    return " (there may be more: give another word)" if len(found) == _MOST else ""


def _search(words: str) -> None:
    st.session_state["find_entity"] = words
    st.text_input(
        "Find an entity", key="find_entity", placeholder="Find by type, id or name, such as: sample S-26", width=420,
        label_visibility="collapsed", icon=":material/search:",
        on_change=lambda: address.write(find=st.session_state["find_entity"].strip() or None),
    )  # fmt: skip


def _table(context: Context, chosen: RecordFilter, words: str, found: pd.DataFrame) -> None:
    zone = context.zone.key
    shown = pd.DataFrame(
        {
            "type": found["entity_type"].map(display),
            "id": found["entity_id"].map(display),
            "name": found["entity_name"].map(display),
            "records": found["records"],
            "first": minutes(found["first_occurred"], context.zone),
            "last": minutes(found["last_occurred"], context.zone),
        }
    )

    def open_entity(row: int) -> None:
        entity = found.iloc[row]
        narrow_to(chosen, "entities", pair(entity["entity_type"], entity["entity_id"]))

    column = st.column_config
    clickable_table(
        shown,
        filter_key(f"entities_{hash(words)}", context, chosen),
        open_entity,
        height=table_height(len(shown), 560),
        column_config={
            "type": column.TextColumn("Entity type", width=130),
            "id": column.TextColumn("Id", width=170),
            "name": column.TextColumn("Name", width=290),
            "records": column.NumberColumn("Records", format="localized", width=80),
            "first": column.TextColumn(f"First ({zone})", width=140),
            "last": column.TextColumn(f"Last ({zone})", width=140),
        },
    )


main()
