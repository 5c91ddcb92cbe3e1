"""Overview: what happened, who did it, and is the history intact?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from flasktrack.core.times import in_zone
from flasktrack.insight.activity import Periods, periods
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions, Totals
from flasktrack.ui.activity_figures import MACHINES, draw_busiest, draw_counts, draw_over_time
from flasktrack.ui.address import shared
from flasktrack.ui.attention import draw_attention
from flasktrack.ui.changes import change_words, draw_changes, totals_of
from flasktrack.ui.filter_bar import filter_bar, set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, who
from flasktrack.ui.theme import STATUS
from flasktrack.ui.verdict import chain_verdict

_CHAIN = {
    "verified": "The recorded history is intact",
    "broken": "The recorded history is not intact",
    "not_checked": "Nobody has verified the history yet",
}


def main() -> None:
    context = open_page("overview")
    chosen = filter_bar(context)
    totals = ask(context, Questions.totals, chosen)
    if totals.records:
        last = totals.last_occurred
        compared = None if last is None else periods(chosen, last, datetime.now(UTC), context.zone)
        st.text(f"{_happened(context, chosen, totals, compared)} {_chain(context)}.")
        _figures(chosen, totals)
        draw_over_time(context, chosen, totals.first_occurred, last)
        draw_attention(context, chosen)
        left, right = st.columns([5, 4])
        with left:
            if compared is not None:
                draw_changes(context, chosen, compared)
        with right:
            draw_busiest(context, chosen)
        left, right = st.columns(2)
        with left:
            draw_counts(context, chosen, "action", "Most frequent actions")
        with right:
            draw_counts(context, chosen, "entity_type", "Entity types touched most")
    records(context, chosen)


def _happened(context: Context, chosen: RecordFilter, totals: Totals, compared: Periods | None) -> str:
    """What happened, in the numbers of the figures below, and how much of it lately."""
    acted = f"{who(totals.people, totals.machines)} acted {count(totals.records, 'time')}"
    if compared is None:
        return f"{acted}."
    now, before = totals_of(context, chosen, compared)
    former = "the period before" if compared.days is None else f"the {compared.days} days before"
    changed = change_words(now.records, before.records)
    beside = f"{changed} as in {former}" if changed.endswith("many") else f"{changed} against {former}"
    if not before.records:
        beside = f"none in {former}"
    if compared.days is None:
        return f"In this period, {acted} ({beside})."
    recent = compared.end > datetime.now(UTC)
    last = in_zone(totals.last_occurred or compared.end, context.zone)
    lately = f"in the last {compared.days} days" if recent else f"in the {compared.days} days up to {last.date()}"
    share = f"{now.records:,} of them" if now.records < totals.records else "all of them" if now.records > 1 else ""
    return f"{acted}, {share} {lately} ({beside}).".replace("  ", " ")


def _chain(context: Context) -> str:
    """Whether the chain is intact, in the words of the latest verification."""
    look, _ = chain_verdict(context)
    known = next((status for status, other in STATUS.items() if other.word == look.word), None)
    return _CHAIN.get(known or "", f"{look.word}: what is new is intact")


def _figures(chosen: RecordFilter, totals: Totals) -> None:
    """The figures; a click leads to what is behind one."""
    people, machines, entities, unsuccessful = st.columns(4)
    with people:
        _narrowing(totals.people, "person", "people", replace(chosen, actor_types=("user",)))
    with machines:
        _narrowing(totals.machines, "machine", "machines", replace(chosen, actor_types=MACHINES))
    with entities:
        label = f"**{totals.entities:,}** {'entity' if totals.entities == 1 else 'entities'} touched"
        if st.button(label, width="stretch", help="List them"):
            st.switch_page(PAGES["entities"].path, query_params=shared())
    with unsuccessful:
        narrower = replace(chosen, outcomes=("failure", "denied"))
        _narrowing(totals.not_successful, "act failed or denied", "acts failed or denied", narrower)


def _narrowing(number: int, one: str, many: str, narrower: RecordFilter) -> None:
    st.button(
        f"**{number:,}** {one if number == 1 else many}", width="stretch", help="Show these alone", disabled=not number,
        on_click=set_filter, args=(narrower,),
    )  # fmt: skip


main()
