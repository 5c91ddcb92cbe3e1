"""Attention: what is out of the ordinary in a period, why that matters, and by which rules it is found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from flasktrack.insight.attention.attention import Attention
from flasktrack.insight.attention.look import DEFAULT_DAYS, Hit
from flasktrack.insight.attention.rule import SEVERITIES, Rule
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.filter import RecordFilter
from flasktrack.ui import address
from flasktrack.ui.attention import attention, covered, hit_table, of_hit
from flasktrack.ui.attention_rules import draw_rules, regulation
from flasktrack.ui.filter_bar import current_filter
from flasktrack.ui.links import page_link
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.standing import nothing_recorded
from flasktrack.ui.text import count, literal
from flasktrack.ui.theme import ATTENTION

_PERIODS = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days", "365": "Last 365 days"}
_OTHER = "other"
_VIEWS = {"hits": "What was found", "rules": "Rules and thresholds"}


def main() -> None:
    context = open_page("attention")
    since, until = _moment(context, "since"), _moment(context, "until")
    days = int(address.choice("days", _PERIODS, str(DEFAULT_DAYS)))
    view = address.choice("view", _VIEWS, "hits")
    severity = address.choice("severity", ("", *SEVERITIES), "")
    rule = address.choice("rule", ("", *RULES), "")
    found, in_force = attention(context, since, until, days)
    st.text(_sentence(context, found))
    if in_force.problem is not None:
        st.error(f"{literal(in_force.problem)} The defaults are used.", icon=":material/error:")
    _controls(days, view, other=since is not None or until is not None)
    if view == "rules":
        draw_rules(context, in_force, rule)
        return
    _figures(found, severity)
    if found.note is not None:
        st.caption(found.note)
    if not found.span.records:
        empty = not (since or until)
        advice = nothing_recorded(context) if empty else "Nothing was recorded in this period."
        st.info(advice, icon=":material/info:")
        return
    first = address.choice("first", ("", *RULES), "")
    for name, answer in sorted(found.answers.items(), key=lambda one: one[0] != first):
        hits = [hit for hit in answer.hits if severity in ("", hit.severity)]
        if hits:
            _group(context, RULES[name], hits, answer.total, answer.note, opened=name == rule)
    _quiet(context, found)


def _moment(context: Context, name: str) -> datetime | None:
    """A parameter that is an end of the period. Raises InvalidFilter for what is no time."""
    given = address.value(name)
    return None if given is None else RecordFilter.from_params({"from": [given]}, context.zone).occurred_from


def _sentence(context: Context, found: Attention) -> str:
    """What there is to look at, in one line."""
    if not found.total:
        if not context.standing.complete:  # to have looked at a part is no all-clear
            return f"Nothing out of the ordinary so far, and not everything is looked at ({covered(context, found)})."
        return f"Nothing out of the ordinary ({covered(context, found)})."
    rules = sum(answer.total > 0 for answer in found.answers.values())
    return f"{count(found.total, 'thing')} to look at, found by {count(rules, 'rule')} ({covered(context, found)})."


def _controls(days: int, view: str, *, other: bool) -> None:
    """The period and the view, both of which the address keeps."""
    periods = {**_PERIODS, _OTHER: "Other period"} if other else _PERIODS
    st.session_state["attention_days"] = _OTHER if other else str(days)
    st.session_state["attention_view"] = view

    def choose_period() -> None:
        chosen = st.session_state["attention_days"]
        if chosen != _OTHER:
            _close()
            address.write(days=chosen, since=None, until=None, first=None)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.selectbox(
            "Period", list(periods), format_func=periods.__getitem__, key="attention_days", width=150,
            label_visibility="collapsed", on_change=choose_period,
        )  # fmt: skip
        st.segmented_control(
            "View", list(_VIEWS), format_func=_VIEWS.__getitem__, key="attention_view", required=True,
            label_visibility="collapsed", on_change=lambda: address.write(view=st.session_state["attention_view"]),
        )  # fmt: skip


def _figures(found: Attention, severity: str) -> None:
    """How many hits there are of each severity; a click shows these alone, another one all."""
    places = st.columns(len(SEVERITIES))
    for place, (name, look) in zip(places, ATTENTION.items(), strict=True):
        number = found.of_severity(name)
        with place:
            st.button(
                f"{look.icon} **{number:,}** {look.word.lower()}", key=f"severity_{name}", width="stretch",
                type="primary" if severity == name else "secondary", disabled=not number and severity != name,
                help="Show these alone, or all again", on_click=address.write,
                kwargs={"severity": None if severity == name else name},
            )  # fmt: skip


def _group(context: Context, rule: Rule, hits: list[Hit], total: int, note: str | None, *, opened: bool) -> None:
    """One rule's hits: what it means, why a regulator asks, and the records of the hit that is open."""
    look = ATTENTION[hits[0].severity]
    with st.container(border=True, gap="small"):
        st.markdown(
            f":{look.colour}[{look.icon} **{literal(rule.title)}**] ({count(total, 'hit')}) `{rule.name}`",
            help=f"Looks for {rule.looks_for}.",
        )
        st.text(rule.why)
        st.caption(literal(regulation(rule)))
        hit_table(context, hits, rule.name, lambda hit: address.write(**_to(hit)))
        if total > len(hits):
            st.caption(f"{len(hits):,} of {total:,} are listed.")
        if note is not None:
            st.caption(note)
        chosen = current_filter(context)
        if opened and not chosen.is_empty:
            _records(context, next((hit for hit in hits if hit.chosen == chosen), None), chosen)


def _to(hit: Hit) -> dict[str, Any]:
    return {**of_hit(hit), "before": None, "record": None}


def _records(context: Context, hit: Hit | None, chosen: RecordFilter) -> None:
    """The records of the hit that the address opens."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{literal(hit.why if hit else chosen.describe(context.zone))}**", width="content")
        st.button("Close", type="tertiary", icon=":material/close:", on_click=_close)
        if context.may(PAGES["records"].permission):
            page_link(context, "records", "Open in Records", keep_filter=True, place="hit")
    if hit is not None and hit.linked < hit.records:
        st.caption(f"Of {count(hit.records, 'record')}, the newest {hit.linked:,} are named here.")
    records(context, chosen)


def _close() -> None:
    address.write(rule=None, before=None, record=None, **dict.fromkeys(address.FILTER))


def _quiet(context: Context, found: Attention) -> None:
    """The rules that found nothing, and those that were not asked."""
    quiet = [RULES[name].title for name, answer in found.answers.items() if not answer.total]
    off = [rule.title for name, rule in RULES.items() if name not in found.answers]
    if quiet:
        st.caption(f"Nothing found: {literal(', '.join(quiet))}.")
    if off:
        st.caption(f"Switched off: {literal(', '.join(off))}.")


main()
