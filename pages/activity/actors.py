"""Actors: who acts here, people and machines, how much, when and on what; one of them, or two side by side."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.activity import trends
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.ui import address
from flasktrack.ui.activity_figures import draw_counts, draw_over_time, draw_week
from flasktrack.ui.actor_profile import actor_kind, actor_name, actor_title, draw_profile, draw_side_by_side, moment_of
from flasktrack.ui.charts import clickable_table, filter_key, narrow_to, table_height
from flasktrack.ui.filter_bar import filter_bar, set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.looking import searched, viewed
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, who
from flasktrack.ui.times import minutes

_MOST = 200
"""Rows of the table: all of them are sent to the browser, each with its trend line."""

_TABLE_HEIGHT = 350


def main() -> None:
    context = open_page("actors")
    chosen = filter_bar(context)
    found = ask(context, Questions.actors, chosen)
    if len(chosen.actors) == 2 and len(found) == 2:
        _back(chosen)
        for name in chosen.actors:
            kind, _, id_ = name.partition(":")
            viewed(context, "actors", kind, id_)
        draw_side_by_side(context, chosen, [found.iloc[0], found.iloc[1]])
    elif len(chosen.actors) == 1 and len(found) == 1:
        _one(context, chosen, found.iloc[0])
    elif not found.empty:
        _all(context, chosen, found)
    records(context, chosen)


def _one(context: Context, chosen: RecordFilter, actor: pd.Series) -> None:
    kind, _, id_ = chosen.actors[0].partition(":")
    viewed(context, "actors", kind, id_)
    everybody = ask(context, Questions.actors, replace(chosen, actors=()))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _back(chosen)
        _compare(chosen, actor, everybody)
    draw_profile(context, chosen, actor)


def _back(chosen: RecordFilter) -> None:
    st.button(
        "All actors", icon=":material/arrow_back:", type="tertiary", on_click=set_filter,
        args=(replace(chosen, actors=()),),
    )  # fmt: skip


def _compare(chosen: RecordFilter, actor: pd.Series, everybody: pd.DataFrame) -> None:
    """Choose another actor to stand beside this one."""
    titles = {
        name: f"{actor_title(other)} ({actor_kind(other)}, {count(int(other['records']), 'record')})"
        for other in everybody.head(_MOST).to_dict("records")
        if (name := actor_name(other)) is not None and name != actor_name(actor)
    }
    key = f"compare_{hash(chosen)}"

    def choose() -> None:
        other = st.session_state[key]
        if other is not None:
            set_filter(replace(chosen, actors=(*chosen.actors, other)))

    if titles:
        st.selectbox(
            "Compare with", list(titles), index=None, key=key, format_func=lambda name: titles[name], width=320,
            placeholder="Compare with ...", label_visibility="collapsed", on_change=choose,
        )  # fmt: skip


def _all(context: Context, chosen: RecordFilter, found: pd.DataFrame) -> None:
    words = (address.value("find") or "").strip()
    if words:
        searched(context, "actors", chosen, find=words)
    listed = found[_named(found, words)] if words else found
    st.text(_sentence(found, listed, words))
    over_time, hours = st.columns([3, 2])
    with over_time:
        draw_over_time(
            context, chosen, moment_of(found["first_occurred"].min()), moment_of(found["last_occurred"].max())
        )
    with hours:
        draw_week(context, chosen)
    _search(words)
    if listed.empty:
        st.info("No actor is called so. Try fewer words, or clear the search.", icon=":material/info:")
    else:
        _table(context, chosen, words, listed.head(_MOST))
    actions, entity_types = st.columns(2)
    with actions:
        draw_counts(context, chosen, "action", "Actions")
    with entity_types:
        draw_counts(context, chosen, "entity_type", "Entity types")


def _sentence(found: pd.DataFrame, listed: pd.DataFrame, words: str) -> str:
    """Who acted, in one line."""
    if words:
        more = f" Here are the busiest {_MOST}." if len(listed) > _MOST else ""
        return f"{count(len(listed), 'actor')} of {len(found):,} found; a click shows one alone.{more}"
    total = int(found["records"].sum())
    busiest = found.iloc[0]
    people = int((found["actor_type"] == "user").sum())
    said = f"{who(people, len(found) - people)} acted {count(total, 'time')}"
    if len(found) > 1 and busiest["records"] > found.iloc[1]["records"]:
        said += f"; the busiest, {actor_title(busiest)}, {count(int(busiest['records']), 'time')}"
        said += f" ({busiest['records'] / total:.0%})" if busiest["records"] / total >= 0.005 else ""
    return f"{said}.{f' Here are the busiest {_MOST}: find others by name.' if len(found) > _MOST else ''}"


def _search(words: str) -> None:
    st.session_state["find_actor"] = words
    st.text_input(
        "Find an actor", key="find_actor", placeholder="Find by name, id, role or type, such as: analyst", width=420,
        label_visibility="collapsed", icon=":material/search:",
        on_change=lambda: address.write(find=st.session_state["find_actor"].strip() or None),
    )  # fmt: skip


def _named(found: pd.DataFrame, words: str) -> pd.Series[bool]:
    """Which actors hold every word in their name, id, role or type."""
    texts = [
        " ".join(
            map(display, (actor["actor_name"], actor["actor_id"], actor["actor_role"], actor_kind(actor)))
        ).casefold()
        for actor in found.to_dict("records")
    ]
    wanted = words.casefold().split()
    return pd.Series([all(word in text for word in wanted) for text in texts], index=found.index)


def _table(context: Context, chosen: RecordFilter, words: str, listed: pd.DataFrame) -> None:
    """Actors, the busiest first; a click narrows the page to one."""
    zone = context.zone.key
    actors = listed.to_dict("records")
    shown = pd.DataFrame(
        {
            "actor": [actor_title(actor) for actor in actors],
            "type": [actor_kind(actor) for actor in actors],
            "role": listed["actor_role"].map(display),
            "records": listed["records"],
            "trend": _trends(context, chosen, listed),
            "denied": listed["denied"] / listed["records"],
            "failed": listed["failed"] / listed["records"],
            "first": minutes(listed["first_occurred"], context.zone),
            "last": minutes(listed["last_occurred"], context.zone),
            "id": listed["actor_id"].map(display),
        }
    )

    def open_actor(row: int) -> None:
        narrow_to(chosen, "actors", actor_name(listed.iloc[row]))

    column = st.column_config
    clickable_table(
        shown,
        filter_key(f"actors_table_{hash(words)}", context, chosen),
        open_actor,
        height=table_height(len(shown), _TABLE_HEIGHT),
        column_config={
            "actor": column.TextColumn("Actor", width=165, help="A click shows this actor alone."),
            "type": column.TextColumn("Type", width=98),
            "role": column.TextColumn("Role", width=80),
            "records": column.NumberColumn("Records", format="localized", width=65),
            "trend": column.LineChartColumn("Trend", width=100, y_min=0, help="Records over the time shown below."),
            "denied": column.NumberColumn("Denied", format="percent", width=56, help="Share of the records."),
            "failed": column.NumberColumn("Failed", format="percent", width=56, help="Share of the records."),
            "first": column.TextColumn(f"First ({zone})", width=128),
            "last": column.TextColumn(f"Last ({zone})", width=128),
            "id": column.TextColumn("Id", width=86),
        },
    )


def _trends(context: Context, chosen: RecordFilter, listed: pd.DataFrame) -> list[list[int]]:
    """For each actor, how their records are spread over the time in which anybody listed acted."""
    first, last = moment_of(listed["first_occurred"].min()), moment_of(listed["last_occurred"].max())
    names = [actor_name(actor) for actor in listed.to_dict("records")]
    if first is None or last is None:
        return [[] for _ in names]
    found = ask(context, trends, chosen, tuple(name for name in names if name is not None), first, last)
    return [found.get(name or "", []) for name in names]


main()
