"""What an entity relates to and what relates to it: a graph to walk along, and the acts on all in one timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.record import Reference
from flasktrack.core.times import in_zone
from flasktrack.errors import InvalidFilter
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.filter_values import MAX_VALUES
from flasktrack.insight.questions import Questions
from flasktrack.insight.relations import FROM, TO, Neighbour, acts, neighbours
from flasktrack.ui import address
from flasktrack.ui.activity_figures import draw_over_time, draw_timeline
from flasktrack.ui.charts import clickable_table, draw_figure, filter_key, table_height
from flasktrack.ui.figures import Act
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.record_table import PAGE_RECORDS, records
from flasktrack.ui.relation_figure import Node, relations
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import count
from flasktrack.ui.theme import is_dark

_MOST_NAMED = 12  # entities on each side of the graph, where there are not more types than that
_MOST_LANES = 12  # of a timeline; with more entities, there is one for each type


def draw_relations(context: Context, chosen: RecordFilter, entity: Reference) -> None:
    """Draw the entities next to one, and what was done to it and to those, as far as the filter selects it."""
    found = ask(context, neighbours, entity)
    if not found:
        st.info("No record names it as related, and its own records name no other.", icon=":material/info:")
        return
    found = [one for way in (TO, FROM) for one in _few([near for near in found if near.direction == way])]
    _graph(context, chosen, entity, found)
    with st.expander("The same as a table"):
        _table(context, chosen, found)
    near = [name for one in found if (name := _address(one)) is not None]
    together = tuple(dict.fromkeys([*chosen.entities, *near]))[:MAX_VALUES]
    merged = replace(chosen, entities=together, with_related=False)
    st.markdown(f"**Acts on it and on the {count(len(together) - 1, 'entity', 'entities')} named above**")
    totals = ask(context, Questions.totals, merged)
    if 0 < totals.records <= PAGE_RECORDS:
        _timeline(context, merged)
    elif totals.records:
        draw_over_time(context, merged, totals.first_occurred, totals.last_occurred, height=200, narrowed=chosen)
    records(context, merged)


def _few(side: Sequence[Neighbour]) -> Iterator[Neighbour]:
    """As many of each type as a graph can name."""
    types = [list(of_type) for _, of_type in groupby(side, key=lambda one: one.entity_type)]
    for of_type in types:
        yield from of_type[: max(1, _MOST_NAMED // len(types))]


def _address(neighbour: Neighbour) -> str | None:
    """The entity as a filter takes it; None where an altered record names what no record can."""
    entity = pair(neighbour.entity_type, neighbour.entity_id)
    return entity if entity is not None and _can_be_asked_for(entity) else None


def _can_be_asked_for(entity: str) -> bool:
    """Whether a filter takes it: an altered record may name what no record can."""
    try:
        RecordFilter(entities=(entity,))
    except InvalidFilter:
        return False
    return True


def _graph(context: Context, chosen: RecordFilter, entity: Reference, found: Sequence[Neighbour]) -> None:
    sides = {way: [one for one in found if one.direction == way] for way in (TO, FROM)}
    numbers = {way: sum({one.entity_type: one.of_type for one in side}.values()) for way, side in sides.items()}
    name = f"{entity.type} {entity.id}"
    nodes = {way: list(_nodes(side)) for way, side in sides.items()}
    figure = relations(name, nodes[TO], nodes[FROM], (numbers[TO], numbers[FROM]), dark=is_dark())

    def follow(data: Any) -> None:
        kind, value = data
        if kind == "entity":
            _walk(chosen, value)
        elif kind == "type":
            set_filter(replace(chosen, entities=(), with_related=False, entity_types=(value,)))
            address.write(related=chosen.entities[0], find=None, view=None, revision=None, against=None)

    alt = f"{display(name)} relates to {numbers[TO]:,} entities; {numbers[FROM]:,} relate to it"
    draw_figure(figure, filter_key("relations", context, chosen), alt, follow)


def _walk(chosen: RecordFilter, entity: str) -> None:
    """Go on to another entity, in the same view."""
    set_filter(replace(chosen, entities=(entity,)))
    address.write(revision=None, against=None, field=None)


def _nodes(side: Sequence[Neighbour]) -> Iterator[Node]:
    """The entities of one direction, type by type; after those that are named, one node for all others of the type."""
    for kind, of_type in groupby(side, key=lambda one: one.entity_type):
        named = list(of_type)
        for one in named:
            name = f", {one.entity_name}" if one.entity_name and one.entity_name != one.entity_id else ""
            hint = f"{kind} {one.entity_id}{name}; {count(one.records, 'record links', 'records link')} them"
            entity = _address(one)
            yield Node(f"{kind} {one.entity_id}{name}", hint, None if entity is None else ("entity", entity))
        further = named[0].of_type - len(named)
        if further:
            label = f"{further:,} more of type {kind}"
            yield Node(label, f"{label}; a click lists them all", ("type", kind), several=True)


def _table(context: Context, chosen: RecordFilter, found: Sequence[Neighbour]) -> None:
    column = st.column_config
    shown = pd.DataFrame(
        [
            ("it relates to" if one.direction == TO else "relates to it", display(one.entity_type),
             display(one.entity_id), display(one.entity_name), one.records)
            for one in found
        ],
        columns=["direction", "type", "id", "name", "records"],
    )  # fmt: skip

    def open_entity(line: int) -> None:
        if entity := _address(found[line]):
            _walk(chosen, entity)

    clickable_table(
        shown,
        filter_key("neighbours", context, chosen),
        open_entity,
        height=table_height(len(shown), 400),
        column_config={
            "direction": column.TextColumn("Direction", width=110),
            "type": column.TextColumn("Entity type", width=130),
            "id": column.TextColumn("Id", width=170),
            "name": column.TextColumn("Name", width=290),
            "records": column.NumberColumn("Records that link them", format="localized", width=150),
        },
    )


def _timeline(context: Context, merged: RecordFilter) -> None:
    """Each act as a point, a lane for each entity, in the order in which they come up; a click opens its record."""
    found = ask(context, acts, merged, PAGE_RECORDS)
    by_type = len({(act.entity_type, act.entity_id) for act in found}) > _MOST_LANES
    drawn = [
        Act(
            act.seq, act.entity_seq, in_zone(act.occurred_at, context.zone), act.action,
            act.actor_name or act.actor_id, "person" if act.actor_type == "user" else "machine",
            (act.failed or "").replace("_", " "),
            lane=act.entity_type if by_type else f"{act.entity_type} {act.entity_id}",
        )
        for act in found
        if act.occurred_at is not None
    ]  # fmt: skip
    opened = address.position("record")
    alt = f"{count(len(drawn), 'act')} in time, by entity; people and machines apart"
    key = f"{filter_key('acts', context, merged)}_{opened}"
    draw_timeline(context, drawn, key, alt, selected=opened, what="acts")
