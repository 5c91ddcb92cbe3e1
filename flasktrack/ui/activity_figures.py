"""The figures of the pages on activity: each asks its question, draws the answer, and makes a filter of a click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd

from flasktrack.core.display import display
from flasktrack.core.record import ACTOR_TYPES
from flasktrack.insight.attention.thresholds import read_thresholds
from flasktrack.insight.clock import Clock, clock
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.steps import Step
from flasktrack.insight.week_hours import WeekHours, hours_between, read_week_hours
from flasktrack.ui import address
from flasktrack.ui.cells import hour_name, week
from flasktrack.ui.charts import Numbers, draw_figure, filter_key, narrow_to
from flasktrack.ui.figures import Act, Scale, over_time, ranking, timeline
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.theme import is_dark

MACHINES = tuple(kind for kind in ACTOR_TYPES if kind != "user")
RANKED = 7
"""Bars of a ranking."""

_HOURLY, _DAILY, _WEEKLY = timedelta(days=3), timedelta(days=200), timedelta(days=1000)


def clock_of(context: Context, chosen: RecordFilter) -> Clock:
    """When what a filter selects occurred, by the organization's clocks."""
    return ask(context, clock, chosen, context.zone)


def working_hours(context: Context) -> tuple[WeekHours, ...]:
    """When the organization's people are expected to work: as its rule for acts outside working hours has it."""
    rule = read_thresholds(context.engine, context.scope).thresholds["off_hours"]
    return hours_between(rule["begins"], rule["ends"], rule["days"], context.zone)


def draw_over_time(
    context: Context,
    chosen: RecordFilter,
    first: datetime | None,
    last: datetime | None,
    *,
    height: int = 250,
    scale: Scale | None = None,
    narrowed: RecordFilter | None = None,
) -> None:
    """Draw what a filter selects over time; a click on a bar narrows the filter to its time and kind of actor.

    `first` and `last` say from when to when there is something to draw. Figures that are compared share a `scale`.
    `narrowed` is the filter that the address holds, where that is not the one that is drawn.
    """
    step = step_of(chosen, first, last)
    frame = over_steps(context, chosen, step)

    def narrow(data: Any) -> None:
        begins, ends, kind = data
        given: dict[str, Any] = {
            "occurred_from": _later(chosen.occurred_from, begins),
            "occurred_to": _earlier(chosen.occurred_to, ends),
        }
        set_filter(replace(of_kind(narrowed or chosen, kind), **given))

    figure = over_time(frame, step, context.zone.key, dark=is_dark(), height=height, scale=scale)
    points = [data for trace in figure.data for data in trace.customdata]
    rows = [
        (words.partition("<br>")[0], trace.name, number)
        for trace in figure.data
        for words, number in zip(trace.hovertext, trace.y, strict=True)
    ]
    numbers = Numbers("over_time", pd.DataFrame(rows, columns=[f"When ({context.zone.key})", "Who", "Records"]), points)
    alt = f"{int(frame['records'].sum()):,} records by {step}, people and machines apart"
    draw_figure(figure, filter_key("over_time", context, chosen), alt, narrow, numbers)


def over_steps(context: Context, chosen: RecordFilter, step: Step) -> pd.DataFrame:
    """Records by step and kind: [start, kind, records]."""
    if step == "hour":
        return ask(context, Questions.over_time, chosen, context.zone, "kind", step)
    return clock_of(context, chosen).over_time(step)


def step_of(chosen: RecordFilter, first: datetime | None, last: datetime | None) -> Step:
    """Bars as fine as a screen can show."""
    start, end = _later(chosen.occurred_from, first), _earlier(chosen.occurred_to, last)
    span = end - start if start is not None and end is not None else timedelta()
    if span <= _HOURLY:
        return "hour"
    return "day" if span <= _DAILY else "week" if span <= _WEEKLY else "month"


def draw_week(context: Context, chosen: RecordFilter, *, height: int = 250) -> None:
    """Draw when in the week acts occurred; a click on an hour narrows the filter to it."""
    counts = clock_of(context, chosen).week.groupby("week_hour", as_index=False)[["records"]].sum()
    working = working_hours(context)
    figure = week(counts, context.zone.key, working, dark=is_dark(), height=height)

    def narrow(data: Any) -> None:
        if data[0] is not None:  # an hour without records
            narrow_to(chosen, "hours", str(read_week_hours(data[0], context.zone)))

    work = frozenset[int]().union(*(hours.numbers for hours in working))
    names = [hour_name(hour) for hour in counts["week_hour"]]
    frame = pd.DataFrame(
        {
            f"Hour of the week ({context.zone.key})": [read_week_hours(name, context.zone).words for name in names],
            "Working hours": ["yes" if hour in work else "no" for hour in counts["week_hour"]],
            "Records": counts["records"],
        }
    )
    numbers = Numbers("week", frame, [[name] for name in names])
    draw_figure(figure, filter_key("week", context, chosen), "Records by weekday and hour", narrow, numbers)


def draw_timeline(
    context: Context, acts: Sequence[Act], key: str, alt: str, *, selected: int | None, what: str
) -> None:
    """Draw acts in time, as many as `what` says of them; a click opens an act's record."""
    figure = timeline(acts, context.zone.key, dark=is_dark(), selected=selected, what=what)
    lane = ["Entity"] if any(act.lane for act in acts) else []
    rows = [
        (
            act.occurred_at.replace(tzinfo=None).isoformat(" ", "seconds"),
            act.seq,
            *([display(act.lane)] if lane else []),
            act.revision,
            display(act.action),
            display(act.actor),
            act.kind,
            display(act.marked),
        )
        for act in acts
    ]
    columns = [f"When ({context.zone.key})", "Position", *lane, "Revision", "Action", "Actor", "Who", "Needs a look"]
    numbers = Numbers("timeline", pd.DataFrame(rows, columns=columns), [[act.seq] for act in acts])
    draw_figure(figure, key, alt, lambda data: address.write(record=int(data[0])), numbers)


def draw_busiest(context: Context, chosen: RecordFilter) -> None:
    """Draw the busiest actors; a click on one narrows the filter to them."""
    top = ask(context, Questions.actors, chosen).head(RANKED)
    columns = top[["actor_type", "actor_id", "actor_name", "records"]]
    rows = [(name or id_, number, pair(kind, id_)) for kind, id_, name, number in columns.itertuples(index=False)]
    kinds = ["person" if kind == "user" else "machine" for kind in top["actor_type"]]
    draw_ranking(context, chosen, "actors", "Busiest actors", rows, kinds=kinds)


def draw_counts(context: Context, chosen: RecordFilter, column: Literal["action", "entity_type"], title: str) -> None:
    """Draw the most frequent values of a column; a click on one narrows the filter to it."""
    found = ask(context, Questions.counts, chosen, column, limit=RANKED)
    rows = [
        (value, number, value if isinstance(value, str) else None)
        for value, number in found[[column, "records"]].itertuples(index=False)
    ]
    draw_ranking(context, chosen, f"{column}s", title, rows)


def draw_ranking(
    context: Context,
    chosen: RecordFilter,
    field: str,
    title: str,
    rows: Sequence[tuple[Any, int, str | None]],
    *,
    kinds: Sequence[str] | None = None,
    name: str | None = None,
) -> None:
    """Draw the largest counts (label, number, value); a click makes the filter's `field` that value alone.

    `name` tells the figure from others of the same field. `kinds` (person or machine) colours actors.
    """
    name = name or field
    figure = ranking(rows, title, dark=is_dark(), kinds=kinds)

    def narrow(data: Any) -> None:
        narrow_to(chosen, field, data[0])

    frame = pd.DataFrame([(display(label), number) for label, number, _ in rows], columns=[title, "Records"])
    numbers = Numbers(name, frame, [[value] for _, _, value in rows])
    draw_figure(figure, filter_key(name, context, chosen), f"{title}: the {len(rows)} largest", narrow, numbers)


def of_kind(chosen: RecordFilter, kind: str) -> RecordFilter:
    """The filter narrowed to people or to machines; what it says of types of actors already stays."""
    types = ("user",) if kind == "person" else MACHINES
    kept = tuple(name for name in chosen.actor_types if name in types) or types
    return replace(chosen, actor_types=kept)


def _later(one: datetime | None, other: datetime | str | None) -> datetime | None:
    moment = datetime.fromisoformat(other) if isinstance(other, str) else other
    return max(filter(None, (one, moment)), default=None)


def _earlier(one: datetime | None, other: datetime | str | None) -> datetime | None:
    moment = datetime.fromisoformat(other) if isinstance(other, str) else other
    return min(filter(None, (one, moment)), default=None)
