"""Actors: who acts here, people and machines, how much, when and on what."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.ui.charts import (
    clickable_table,
    draw_over_time,
    draw_ranking,
    draw_week,
    filter_key,
    narrow_to,
    table_height,
)
from flasktrack.ui.filter_bar import filter_bar
from flasktrack.ui.loaders import ask
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import count
from flasktrack.ui.times import minute, minutes
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS

_TABLE_HEIGHT = 300


def main() -> None:
    context = open_page("actors")
    chosen = filter_bar(context)
    found = ask(context, Questions.actors, chosen)
    if not found.empty:
        st.text(_sentence(context, found))
        totals = ask(context, Questions.totals, chosen)
        over_time, hours = st.columns([3, 2])
        with over_time:
            draw_over_time(context, chosen, totals)
        with hours:
            draw_week(context, chosen)
        if len(found) > 1:
            _table(context, chosen, found)
        actions, entity_types = st.columns(2)
        with actions:
            draw_ranking(context, chosen, "action", "Actions")
        with entity_types:
            draw_ranking(context, chosen, "entity_type", "Entity types")
    records(context, chosen)


def _sentence(context: Context, found: pd.DataFrame) -> str:
    """Who acted, in one line."""
    total = int(found["records"].sum())
    busiest = found.iloc[0]
    name = display(busiest["actor_name"] or busiest["actor_id"])
    if len(found) == 1:
        role = f", {display(busiest['actor_role'])}" if busiest["actor_role"] else ""
        kind = display(ACTOR_TYPE_WORDS.get(busiest["actor_type"], busiest["actor_type"]))
        sentence = f"{name} ({kind}{role}) acted {count(total, 'time')}"
        seen = [minute(moment.to_pydatetime(), context.zone) for moment in _seen(busiest)]
        sentence += f", from {seen[0]} to {seen[1]}" if len(seen) == 2 else ""
        return f"{sentence}; {busiest['denied']:,} denied, {busiest['failed']:,} failed."
    people = int((found["actor_type"] == "user").sum())
    share = f"{busiest['records'] / total:.0%}"
    actors = f"{count(people, 'person', 'people')} and {count(len(found) - people, 'machine')}"
    return (
        f"{actors} acted {count(total, 'time')}; "
        f"the busiest, {name}, {count(int(busiest['records']), 'time')} ({share})."
    )


def _seen(actor: pd.Series) -> list[pd.Timestamp]:
    return [actor[name] for name in ("first_occurred", "last_occurred") if not pd.isna(actor[name])]


def _table(context: Context, chosen: RecordFilter, found: pd.DataFrame) -> None:
    """All actors; a click narrows the page to one."""
    zone = context.zone.key
    shown = pd.DataFrame(
        {
            "actor": [display(name or id_) for name, id_ in zip(found["actor_name"], found["actor_id"], strict=True)],
            "type": [display(ACTOR_TYPE_WORDS.get(kind, kind)) for kind in found["actor_type"]],
            "role": found["actor_role"].map(display),
            "records": found["records"],
            "denied": found["denied"],
            "failed": found["failed"],
            "first": minutes(found["first_occurred"], context.zone),
            "last": minutes(found["last_occurred"], context.zone),
            "id": found["actor_id"].map(display),
        }
    )

    def open_actor(row: int) -> None:
        actor = found.iloc[row]
        narrow_to(chosen, "actors", pair(actor["actor_type"], actor["actor_id"]))

    column = st.column_config
    clickable_table(
        shown,
        filter_key("actors_table", context, chosen),
        open_actor,
        height=table_height(len(shown), _TABLE_HEIGHT),
        column_config={
            "actor": column.TextColumn("Actor", width=190, help="A click shows this actor alone."),
            "type": column.TextColumn("Type", width=100),
            "role": column.TextColumn("Role", width=110),
            "records": column.NumberColumn("Records", format="localized", width=65),
            "denied": column.NumberColumn("Denied", format="localized", width=60),
            "failed": column.NumberColumn("Failed", format="localized", width=60),
            "first": column.TextColumn(f"First ({zone})", width=140),
            "last": column.TextColumn(f"Last ({zone})", width=140),
            "id": column.TextColumn("Id", width=100),
        },
    )


main()
