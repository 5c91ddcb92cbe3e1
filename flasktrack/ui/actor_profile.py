"""One actor: what they did when, on what, through what, and for whom; and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.filter_values import MAX_VALUES
from flasktrack.insight.questions import Questions
from flasktrack.insight.week_hours import other_hours
from flasktrack.ui.activity_figures import (
    RANKED,
    clock_of,
    draw_over_time,
    draw_ranking,
    draw_week,
    over_steps,
    step_of,
    working_hours,
)
from flasktrack.ui.cells import matrix
from flasktrack.ui.charts import Numbers, draw_figure, filter_key, heading
from flasktrack.ui.figures import common_scale
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import count, literal
from flasktrack.ui.theme import is_dark
from flasktrack.ui.times import minute
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS

_MOST = 8  # rows and columns of a matrix
_MOST_LETTERS = 80  # of a name, in a sentence
_UNSUCCESSFUL = ("failure", "denied")
_ACTS = ("action", "entity_type", "outcome")
_CHANNELS = {
    "credentials": "Credentials used",
    "ips": "Network addresses used",
    "on_behalf_of": "On behalf of",
    "actions": "Actions that failed or were denied",
}
"""Through what, for whom and to what avail somebody acted: fields of a filter, and titles."""

Actor = pd.Series | Mapping[Any, Any]
"""A row of `Questions.actors`."""


def draw_profile(context: Context, chosen: RecordFilter, actor: pd.Series) -> None:
    """Draw one actor, whose row of `Questions.actors` is given, and who is the only one that the filter selects."""
    st.text(_sentence(context, actor))
    _figures(context, chosen, actor)
    over_time, hours = st.columns([3, 2])
    with over_time:
        draw_over_time(context, chosen, moment_of(actor["first_occurred"]), moment_of(actor["last_occurred"]))
    with hours:
        draw_week(context, chosen)
    acts = ask(context, Questions.counts, chosen, *_ACTS)
    left, right = st.columns(2)
    with left:
        _matrix(context, chosen, acts)
    with right:
        _entities(context, chosen)
    _channels(context, chosen, acts)


def draw_side_by_side(context: Context, chosen: RecordFilter, actors: Sequence[pd.Series]) -> None:
    """Draw actors in columns of one scale; each is what the filter would show of that actor alone."""
    alone = [replace(chosen, actors=(name,)) for actor in actors if (name := actor_name(actor)) is not None]
    first = min((moment for actor in actors if (moment := moment_of(actor["first_occurred"]))), default=None)
    last = max((moment for actor in actors if (moment := moment_of(actor["last_occurred"]))), default=None)
    step = step_of(chosen, first, last)
    scale = common_scale([over_steps(context, one, step) for one in alone], step)
    for column, actor, one in zip(st.columns(len(alone)), actors, alone, strict=True):
        with column:
            st.subheader(literal(actor_title(actor)), anchor=False)
            st.text(_sentence(context, actor))
            _figures(context, one, actor)
            draw_over_time(context, one, first, last, scale=scale)
            draw_week(context, one)
    for column, one in zip(st.columns(len(alone)), alone, strict=True):
        with column:
            _matrix(context, one, ask(context, Questions.counts, one, *_ACTS))
    for column, one in zip(st.columns(len(alone)), alone, strict=True):
        with column:
            _entities(context, one)
    _channels_side_by_side(context, alone)


def actor_name(actor: Actor) -> str | None:
    """An actor as a filter takes it; None where an altered record holds no text there."""
    return pair(actor["actor_type"], actor["actor_id"])


def actor_title(actor: Actor) -> str:
    """The actor's name, or else id, no longer than a line."""
    title = display(actor["actor_name"] or actor["actor_id"])
    return title if len(title) <= _MOST_LETTERS else f"{title[: _MOST_LETTERS - 1]}…"


def actor_kind(actor: Actor) -> str:
    """`Person`, `API key` and so on."""
    return display(ACTOR_TYPE_WORDS.get(actor["actor_type"], actor["actor_type"]))


def _sentence(context: Context, actor: pd.Series) -> str:
    """Who it is, and what they did, in one line."""
    role = f", {display(actor['actor_role'])}" if actor["actor_role"] else ""
    said = f"{actor_title(actor)} ({actor_kind(actor)}{role}) acted {count(int(actor['records']), 'time')}"
    first, last = (moment_of(actor[name]) for name in ("first_occurred", "last_occurred"))
    if first is not None and last is not None:
        said += f", from {minute(first, context.zone)} to {minute(last, context.zone)}"
    return f"{said}; {actor['denied']:,} denied, {actor['failed']:,} failed."


def _figures(context: Context, chosen: RecordFilter, actor: pd.Series) -> None:
    """What one would ask first of an actor; each leads to its records."""
    off = other_hours(working_hours(context), context.zone)
    numbers = frozenset[int]().union(*(hours.numbers for hours in off))
    week = clock_of(context, chosen).week
    off_hours = int(week[week["week_hour"].isin(numbers)]["records"].sum())
    unsuccessful = int(actor["denied"] + actor["failed"])
    person = actor["actor_type"] == "user"
    for_others, label, narrower = _on_behalf(context, chosen, actor, person=person)
    one, two, three = st.columns(3)
    with one:
        share = f" ({off_hours / actor['records']:.0%})" if off_hours else ""
        _leading(off_hours, f"off-hours{share}", chosen, replace(chosen, hours=tuple(map(str, off))))
    with two:
        _leading(unsuccessful, "failed or denied", chosen, replace(chosen, outcomes=_UNSUCCESSFUL))
    with three:
        _leading(for_others, label, chosen, narrower)


def _on_behalf(
    context: Context, chosen: RecordFilter, actor: pd.Series, *, person: bool
) -> tuple[int, str, RecordFilter]:
    """Acts of a machine for others, or of others for a person: how many, in words, and what selects them."""
    if person:
        narrower = replace(chosen, actors=(), on_behalf_of=(str(actor_name(actor)),))
        return ask(context, Questions.totals, narrower).records, "on their behalf", narrower
    found = ask(context, Questions.counts, chosen, "on_behalf_of").dropna(subset=["on_behalf_of"])
    most = found.head(MAX_VALUES)
    narrower = replace(chosen, on_behalf_of=tuple(most["on_behalf_of"]))
    busiest = f"on behalf of the {MAX_VALUES} busiest" if len(found) > MAX_VALUES else "on behalf of others"
    return int(most["records"].sum()), busiest, narrower


def _leading(number: int, words: str, chosen: RecordFilter, narrower: RecordFilter) -> None:
    st.button(
        f"**{number:,}** {words}", key=f"figure_{words}_{hash(chosen)}", width="stretch", help="Show these alone",
        disabled=not number, on_click=set_filter, args=(narrower,),
    )  # fmt: skip


def _matrix(context: Context, chosen: RecordFilter, acts: pd.DataFrame) -> None:
    """Which actions on which types of entities; a click narrows the filter to both."""
    counted = acts.groupby(["action", "entity_type"], as_index=False, dropna=False)[["records"]].sum()
    for column in ("action", "entity_type"):
        most = counted.groupby(column)["records"].sum().nlargest(_MOST).index
        counted = counted[counted[column].isin(most)]
    counted = counted.sort_values("records", ascending=False, kind="stable")
    rows = [(action, entity_type, number, [action, entity_type]) for action, entity_type, number in _tuples(counted)]
    figure = matrix(rows, "Actions by entity type", "Entity type", "Action", dark=is_dark())

    def narrow(data: Any) -> None:
        action, entity_type = data[0]
        set_filter(replace(chosen, actions=(action,), entity_types=(entity_type,)))

    frame = pd.DataFrame([row[:3] for row in rows], columns=["Action", "Entity type", "Records"])
    numbers = Numbers(
        "matrix", frame.map(lambda cell: display(cell) if isinstance(cell, str) else cell), [[row[3]] for row in rows]
    )
    draw_figure(figure, filter_key("matrix", context, chosen), "Records by action and entity type", narrow, numbers)


def _entities(context: Context, chosen: RecordFilter) -> None:
    found = ask(context, Questions.counts, chosen, "entity_type", "entity_id", limit=RANKED)
    rows = [(f"{display(kind)} {display(id_)}", number, pair(kind, id_)) for kind, id_, number in _tuples(found)]
    draw_ranking(context, chosen, "entities", "Entities touched most", rows)


def _channels(context: Context, chosen: RecordFilter, acts: pd.DataFrame) -> None:
    """Through what they acted, for whom, and what came of it; what there is nothing of is left out."""
    shown = [(field, rows) for field, rows in _used(context, chosen, acts).items() if rows]
    for start in range(0, len(shown), 2):
        for column, (field, rows) in zip(st.columns(2), shown[start : start + 2], strict=False):
            with column:
                _channel(context, chosen, field, rows)


def _channels_side_by_side(context: Context, alone: Sequence[RecordFilter]) -> None:
    """The same of several actors, each in a column; what none of them has is left out."""
    used = [_used(context, one, ask(context, Questions.counts, one, *_ACTS)) for one in alone]
    for field in _CHANNELS:
        if any(one[field] for one in used):
            for column, one, rows in zip(st.columns(len(alone)), alone, (one[field] for one in used), strict=True):
                with column:
                    if rows:
                        _channel(context, one, field, rows)
                    else:
                        heading(f"{_CHANNELS[field]}: none")


def _used(context: Context, chosen: RecordFilter, acts: pd.DataFrame) -> dict[str, list[tuple[Any, int, str | None]]]:
    """For each of the channels, what was used most, as `draw_ranking` takes it."""
    used = ask(context, Questions.counts, chosen, "credential_id", "ip", "on_behalf_of")
    failed = acts[acts["outcome"] != "success"]
    return {
        "credentials": _ranked(used, "credential_id"),
        "ips": _ranked(used, "ip"),
        "on_behalf_of": _ranked(used, "on_behalf_of"),
        "actions": _ranked(failed, "action"),
    }


def _channel(context: Context, chosen: RecordFilter, field: str, rows: list[tuple[Any, int, str | None]]) -> None:
    narrowed = replace(chosen, outcomes=_UNSUCCESSFUL) if field == "actions" else chosen
    draw_ranking(context, narrowed, field, _CHANNELS[field], rows, name=f"used_{field}")


def _ranked(counted: pd.DataFrame, column: str) -> list[tuple[Any, int, str | None]]:
    known = counted.dropna(subset=[column])
    most = known.groupby(column)["records"].sum().sort_values(ascending=False, kind="stable").head(RANKED)
    return [(value, int(number), str(value)) for value, number in most.items()]


def _tuples(frame: pd.DataFrame) -> Any:
    return frame.itertuples(index=False, name=None)


def moment_of(given: Any) -> datetime | None:
    """A time of a question's frame; None where there is none."""
    return None if pd.isna(given) else given.to_pydatetime()
