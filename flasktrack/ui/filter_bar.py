"""The one filter bar: a period and a search, everything else behind one button, and what is active as chips.

The address holds the filter; widgets show what it says and change it. So a filter can be sent as a link, is carried
from page to page, and no widget can disagree with what a page shows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.record import ACTOR_TYPES, OUTCOMES
from flasktrack.core.times import in_zone
from flasktrack.errors import InvalidFilter
from flasktrack.insight.entities import find_entities
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.insight.week_hours import read_week_hours
from flasktrack.ui import address
from flasktrack.ui.links import CURRENT_PAGE
from flasktrack.ui.loaders import ask
from flasktrack.ui.looking import searched
from flasktrack.ui.presets import Period, presets
from flasktrack.ui.session import Context
from flasktrack.ui.shown import pair
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import minute
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS

CUSTOM = "Other period"
CURSORS = ("before", "record")  # where a page stood in another filter's records
_MOST_CHIPS = 12
_MOST_OFFERED = 500  # values of a field: all go to the browser at every run
_MOST_LETTERS = 80  # of a name
_PROBLEM, _DRAWN, _TURN = "filter_problem", "filter_drawn", "filter_turn"
_LABELS = {
    "actors": "Actor",
    "actor_types": "Actor type",
    "actions": "Action",
    "entities": "Entity",
    "entity_types": "Entity type",
    "outcomes": "Outcome",
    "credentials": "Credential",
    "on_behalf_of": "On behalf of",
    "ips": "Network address",
    "hours": "Hours",
}


def current_filter(context: Context) -> RecordFilter:
    """The filter that the address holds. Raises InvalidFilter, which names the parameter."""
    return RecordFilter.from_params({name: address.values(name) for name in address.FILTER if name in st.query_params},
                                    context.zone)  # fmt: skip


def filter_bar(context: Context) -> RecordFilter:
    """Draw the bar and return the filter. Raises InvalidFilter where the address makes no sense."""
    chosen = current_filter(context)
    if st.session_state.get(_DRAWN) != (context.organization.id, chosen):
        st.session_state[_DRAWN] = (context.organization.id, chosen)
        _renew()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _period(context, chosen)
        text = _show("text", chosen.text or "")
        st.text_input(
            "Search words", key=text, placeholder="Search words", label_visibility="collapsed", width=240,
            on_change=lambda: _change(context, text=st.session_state[text].strip() or None),
        )  # fmt: skip
        with st.popover("Filters", icon=":material/tune:", width="content"):
            _more(context, chosen)
        _chips(context, chosen)
    if problem := st.session_state.pop(_PROBLEM, None):
        st.warning(literal(problem), icon=":material/warning:")
    page = st.session_state[CURRENT_PAGE]
    searched(context, page, replace(chosen, actors=()) if page == "actors" else chosen)  # there, actors are viewed
    return chosen


def set_filter(chosen: RecordFilter) -> None:
    """Put a filter into the address, and leave the place in the records that belonged to the former one."""
    given = chosen.to_params()
    address.write(**{name: given.get(name) for name in address.FILTER}, **dict.fromkeys(CURSORS))


def _change(context: Context, **fields: Any) -> None:
    """Narrow or widen the filter; what can't be meant is explained, and the filter stays as it was."""
    try:
        if "hours" in fields:  # typed without a zone, the organization's is meant
            fields["hours"] = RecordFilter.from_params({"hours": fields["hours"]}, context.zone).hours
        set_filter(replace(current_filter(context), **fields))
    except InvalidFilter as problem:
        st.session_state[_PROBLEM] = str(problem)
        _renew()


def _show(name: str, state: Any) -> str:
    """Let a widget show what the address says, and return its key."""
    key = f"filter_{name}_{st.session_state[_TURN]}"
    st.session_state[key] = state
    return key


def _renew() -> None:
    """Make every widget another one, since the filter is another one.

    The browser draws nothing of a closed popover: a widget in there would keep its former value, and send it back.
    """
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def _period(context: Context, chosen: RecordFilter) -> None:
    known = presets(datetime.now(UTC), context.zone)
    period = Period(chosen.occurred_from, chosen.occurred_to)
    named = next((name for name, preset in known.items() if preset == period), CUSTOM)
    key = _show("period", named)

    def choose() -> None:
        preset = known.get(st.session_state[key])
        if preset is not None:
            _change(context, occurred_from=preset.start, occurred_to=preset.end)

    options = [*known, CUSTOM] if named == CUSTOM else list(known)
    st.selectbox("Period", options, key=key, label_visibility="collapsed", width=150, on_change=choose)


def _more(context: Context, chosen: RecordFilter) -> None:
    options = ask(context, offered)
    left, right = st.columns(2, width=620)
    with left:
        _moment(context, chosen, "occurred_from", f"Occurred from ({context.zone.key})")
        _several(context, chosen, "actors", options["actors"], new="Or type user:u-17")
        _several(context, chosen, "actions", options["actions"])
        _several(context, chosen, "outcomes", dict.fromkeys(OUTCOMES))
        _several(context, chosen, "hours", {}, new="Type mon-fri:8-18")
        _positions(context, chosen)
    with right:
        _moment(context, chosen, "occurred_to", f"and before ({context.zone.key})")
        _several(context, chosen, "actor_types", {name: ACTOR_TYPE_WORDS[name] for name in ACTOR_TYPES})
        _several(context, chosen, "entity_types", options["entity_types"])
        _several(context, chosen, "entities", options["entities"], new="Or type sample:S-0042")
        _several(context, chosen, "credentials", {}, new="Type tok_4f1c")
        _several(context, chosen, "on_behalf_of", {}, new="Type user:u-17")
        _several(context, chosen, "ips", {}, new="Type 192.0.2.17")
        related = _show("with_related", chosen.with_related)
        st.checkbox(
            "Records that relate to the entity, too", key=related, disabled=not chosen.entities,
            on_change=lambda: _change(context, with_related=st.session_state[related]),
        )  # fmt: skip


def _moment(context: Context, chosen: RecordFilter, field: str, label: str) -> None:
    moment: datetime | None = getattr(chosen, field)
    key = _show(field, moment and in_zone(moment, context.zone).replace(tzinfo=None))

    def change() -> None:
        given: datetime | None = st.session_state[key]
        _change(context, **{field: given and given.replace(tzinfo=context.zone)})

    st.datetime_input(
        label, value=None, key=key, format="YYYY-MM-DD", on_change=change,
        min_value=datetime.min, max_value=datetime.max,  # noqa: DTZ901 (Streamlit's picker knows no zones)
    )  # fmt: skip


def _several(
    context: Context, chosen: RecordFilter, field: str, options: dict[str, str | None], new: str | None = None
) -> None:
    """A choice of several values; `options` gives each its word, `new` asks for values that are not offered."""
    selected = list(getattr(chosen, field))
    key = _show(field, selected)
    st.multiselect(
        _LABELS[field],
        list(dict.fromkeys([*options, *selected])),
        key=key,
        format_func=lambda option: display(options.get(option) or option),
        accept_new_options=new is not None,
        placeholder=new or "Any",
        on_change=lambda: _change(context, **{field: tuple(st.session_state[key])}),
    )


def _positions(context: Context, chosen: RecordFilter) -> None:
    key = _show("seq", next(iter(chosen.to_params().get("seq", ())), ""))

    def change() -> None:
        try:
            given = st.session_state[key].strip()
            read = RecordFilter.from_params({"seq": [given]} if given else {})
        except InvalidFilter as problem:
            st.session_state[_PROBLEM] = str(problem)
            _renew()
        else:
            _change(context, seq_first=read.seq_first, seq_last=read.seq_last)

    st.text_input("Positions", key=key, placeholder="10-20, 10-, -20 or 10", on_change=change)


def offered(questions: Questions) -> dict[str, dict[str, str | None]]:
    """What the bar offers of some fields, each value with its word: what is most frequent, and the entities that were
    touched last. Any other actor or entity can be typed."""
    actors, entities = questions.actors(RecordFilter()).head(_MOST_OFFERED), find_entities(questions, RecordFilter())
    return {
        "actors": _named(actors, "actor"),
        "actions": dict.fromkeys(questions.distinct("action", _MOST_OFFERED)),
        "entity_types": dict.fromkeys(questions.distinct("entity_type", _MOST_OFFERED)),
        "entities": _named(entities, "entity"),
    }


def _named(found: pd.DataFrame, of: str) -> dict[str, str | None]:
    columns = found[[f"{of}_type", f"{of}_id", f"{of}_name"]]
    return {
        value: f"{display(name)[:_MOST_LETTERS]} ({value})" if name else None
        for kind, id_, name in columns.itertuples(index=False)
        if (value := pair(kind, id_)) is not None
    }


def _chips(context: Context, chosen: RecordFilter) -> None:
    """What is active, each with a way to drop it, and a way to drop all."""
    active = _active(context, chosen)
    for number, (label, without) in enumerate(active[:_MOST_CHIPS]):
        st.button(
            literal(label), key=f"chip_{number}_{label}", icon=":material/close:", icon_position="right",
            help="Drop this filter", type="tertiary", on_click=set_filter, args=(without,),
        )  # fmt: skip
    if len(active) > _MOST_CHIPS:
        st.text(f"and {len(active) - _MOST_CHIPS} more")
    if active:
        st.button("Clear", key="filter_clear", type="tertiary", on_click=set_filter, args=(RecordFilter(),))


def _active(context: Context, chosen: RecordFilter) -> list[tuple[str, RecordFilter]]:
    """Each active filter in words, and the filter without it. A period with a name shows in its own widget."""
    found: list[tuple[str, RecordFilter]] = []
    if Period(chosen.occurred_from, chosen.occurred_to) not in presets(datetime.now(UTC), context.zone).values():
        if chosen.occurred_from is not None:
            found.append((f"From {minute(chosen.occurred_from, context.zone)}", replace(chosen, occurred_from=None)))
        if chosen.occurred_to is not None:
            found.append((f"Before {minute(chosen.occurred_to, context.zone)}", replace(chosen, occurred_to=None)))
    for field, label in _LABELS.items():
        values: tuple[str, ...] = getattr(chosen, field)
        for value in values:
            rest = tuple(other for other in values if other != value)
            said = read_week_hours(value).words if field == "hours" else _shortened(value)
            found.append((f"{label}: {said}", replace(chosen, **{field: rest})))  # type: ignore[arg-type]
    if chosen.with_related and chosen.entities:
        found.append(("and what relates to it", replace(chosen, with_related=False)))
    if seq := chosen.to_params().get("seq"):
        found.append((f"Positions: {seq[0]}", replace(chosen, seq_first=None, seq_last=None)))
    if chosen.positions:
        found.append((count(len(chosen.positions), "single record"), replace(chosen, positions=())))
    if chosen.text:
        found.append((f"Words: {_shortened(chosen.text)}", replace(chosen, text=None)))
    return found


def _shortened(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
