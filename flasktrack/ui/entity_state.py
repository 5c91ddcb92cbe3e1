"""What an entity was after any of its revisions, and what differs between two of them.

The address keeps `revision`, `against` (the one that it is compared with) and `field` (which values are drawn).
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import streamlit as st

from flasktrack.core.record import MAX_POSITION, Record
from flasktrack.core.times import in_zone, parse_time
from flasktrack.insight.diff import changes
from flasktrack.insight.history import EntityHistory, State
from flasktrack.insight.wording import values
from flasktrack.insight.words import split_words
from flasktrack.ui import address
from flasktrack.ui.diff import draw_change_rows, draw_values
from flasktrack.ui.record_detail import draw_findings
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import full, short

_FEW = 30  # values, up to which nobody has to search for one


def draw_state(context: Context, history: EntityHistory) -> None:
    """Draw the state after the revision that the address names, or how it differs from that after another one."""
    newest = history.newest
    number = min(address.position("revision") or newest, newest)
    against = address.position("against")
    against = None if against is None else min(against, newest)
    state = history.state(number)
    _controls(context, history, newest, state, against)
    if against is None:
        st.markdown(f"**State after revision {number:,}** of {newest:,}{_who(context, state)}")
        _standing(state)
        _values(state)
        return
    older, newer = sorted((state, history.state(against)), key=lambda one: one.number)
    _difference(context, older, newer)


def _controls(context: Context, history: EntityHistory, newest: int, state: State, against: int | None) -> None:
    """Choose a revision by its number, by sliding, or by a moment; and one to compare it with."""
    by_number, by_sliding, by_moment, other = st.columns([3, 8, 4, 4], vertical_alignment="bottom")
    with by_number:
        _number("Revision", "revision", state.number, newest)
    with by_sliding:
        if newest > 1:
            st.session_state["state_slider"] = state.number
            st.slider(
                "Revision", 1, newest, key="state_slider", label_visibility="collapsed",
                on_change=lambda: address.write(revision=st.session_state["state_slider"], record=None),
            )  # fmt: skip
    with by_moment:
        _moment(context, history, state)
    with other:
        _number("Compare with revision", "against", against, newest)


def _number(label: str, parameter: str, value: int | None, newest: int) -> None:
    key = f"state_{parameter}"
    st.session_state[key] = value
    st.number_input(
        label, 1, newest, key=key, placeholder="None",
        on_change=lambda: address.write(**{parameter: st.session_state[key], "record": None}),
    )  # fmt: skip


def _moment(context: Context, history: EntityHistory, state: State) -> None:
    """The moment of the revision; another one leads to the last revision that had occurred by then."""
    st.session_state["state_moment"] = _occurred(context, state)

    def choose() -> None:
        given: datetime | None = st.session_state["state_moment"]
        if given is None:
            return
        number = history.number_at(given.replace(tzinfo=context.zone))
        if isinstance(number, int) and 0 < number <= MAX_POSITION:
            address.write(revision=number, record=None)
        else:
            st.toast("By then, nothing had happened to it.")

    st.datetime_input(
        f"At a moment ({context.zone.key})", value=None, key="state_moment", format="YYYY-MM-DD", step=60,
        on_change=choose, min_value=datetime.min, max_value=datetime.max,  # noqa: DTZ901 (the picker knows no zones)
    )  # fmt: skip


def _occurred(context: Context, state: State) -> datetime | None:
    """When the revision happened, on the organization's clock and to the minute."""
    if state.revision is None:
        return None
    try:
        moment = in_zone(parse_time(state.revision.record.occurred_at), context.zone)
    except (TypeError, ValueError):  # an altered row may hold anything
        return None
    return moment.replace(tzinfo=None, second=0, microsecond=0)


def _who(context: Context, state: State) -> str:
    """Who did the revision, what and when, as markdown."""
    if state.revision is None:
        return ""
    record = shown(state.revision.record)
    said = f": {record.action} by {record.actor_name or record.actor_id}, {full(record.occurred_at, context.zone)}"
    return literal(f"{said}. Reason: {record.reason}" if record.reason else said)


def _standing(state: State) -> None:
    """Say what the state rests on, wherever that is not simply the revision itself."""
    if state.revision is None:
        st.warning(f"Revision {state.number:,} is missing.", icon=":material/warning:")
    elif state.source is None or state.revision.record.seq != state.source.record.seq:
        draw_findings(state.revision.findings)
    source = _source(state)
    if state.missing:
        are = count(state.missing, "revision that is missing", "revisions that are missing")
        st.warning(f"Between it and {source} lie {are}: each may have changed the state.", icon=":material/warning:")
    if state.source is not None:
        draw_findings(state.source.findings)
    if state.standing == "never":
        st.info("No revision up to here recorded a state.", icon=":material/info:")
    elif state.standing == "deleted":
        st.info(f"It had no state any more: {source} deleted it.", icon=":material/info:")
    elif state.standing == "gone":
        st.info(f"The state was recorded by {source}, but is no longer stored.", icon=":material/info:")
    elif state.source is not None and state.source.record.entity_seq != state.number:
        st.caption(f"As {source} left it; what came after recorded no state.")


def _source(state: State) -> str:
    """The revision that the state was recorded by, as it stands in a sentence."""
    if state.source is None:
        return "the first one"
    record: Record = state.source.record
    return f"revision {record.entity_seq:,}" if isinstance(record.entity_seq, int) else f"record {record.seq:,}"


def _values(state: State) -> None:
    if state.standing == "unreadable" and state.source is not None and state.source.after is not None:
        st.code(state.source.after.body[:2000], language=None, wrap_lines=True)
    if state.standing != "recorded":
        return
    words = address.value("field") or ""
    if not words and next(islice(values(state.value), _FEW, None), None) is None:
        draw_values(state.value)
        return
    st.session_state["state_field"] = words
    st.text_input(
        "Find a value", key="state_field", placeholder="Find a field or value", width=420, icon=":material/search:",
        label_visibility="collapsed",
        on_change=lambda: address.write(field=st.session_state["state_field"].strip() or None),
    )  # fmt: skip
    try:
        draw_values(state.value, split_words(words))
    except ValueError as problem:
        st.warning(literal(f"The words to find: {problem}."), icon=":material/warning:")


def _difference(context: Context, older: State, newer: State) -> None:
    """What differs between two states, the older revision's first."""
    both = f"**From revision {older.number:,} to revision {newer.number:,}**"
    if older.number == newer.number:
        st.markdown(both)
        st.info("Choose two revisions that are not the same.", icon=":material/info:")
        return
    comparable = all(one.standing in ("recorded", "deleted", "never") for one in (older, newer))
    found = changes(older.value, newer.value) if comparable else []
    st.markdown(f"{both}: {count(len(found), 'difference')}" if comparable else both)
    for one in (older, newer):
        _standing(one)
    st.caption(literal(" ".join(_line(context, one) for one in (older, newer))))
    if found:
        draw_change_rows(found)
    elif comparable:
        st.text("Nothing differs between the two states.")


def _line(context: Context, state: State) -> str:
    if state.revision is None:
        return f"Revision {state.number:,} is missing."
    record = shown(state.revision.record)
    when = short(record.occurred_at, context.zone)
    return f"Revision {state.number:,}: {record.action} by {record.actor_name or record.actor_id}, {when}."
