"""Overview: what happened, who did it, and is the history intact?"""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions, Totals
from flasktrack.ui.address import shared
from flasktrack.ui.attention import draw_attention
from flasktrack.ui.charts import MACHINES, draw_busiest, draw_over_time, draw_ranking
from flasktrack.ui.filter_bar import filter_bar, set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.page import open_page
from flasktrack.ui.record_table import records
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.text import count
from flasktrack.ui.times import minute


def main() -> None:
    context = open_page("overview")
    chosen = filter_bar(context)
    totals = ask(context, Questions.totals, chosen)
    if totals.records:
        st.text(_sentence(context, totals))
        _figures(chosen, totals)
        draw_over_time(context, chosen, totals)
        draw_attention(context, chosen)
        left, middle, right = st.columns(3)
        with left:
            draw_busiest(context, chosen)
        with middle:
            draw_ranking(context, chosen, "action", "Most frequent actions")
        with right:
            draw_ranking(context, chosen, "entity_type", "Entity types touched most")
    records(context, chosen)


def _sentence(context: Context, totals: Totals) -> str:
    """What happened, in one line."""
    happened = f"{count(totals.people, 'person', 'people')} and {count(totals.machines, 'machine')}"
    happened += f" left {count(totals.records, 'record')} of what they did"
    if totals.first_occurred is None or totals.last_occurred is None:
        return f"{happened}."
    first, last = (minute(moment, context.zone) for moment in (totals.first_occurred, totals.last_occurred))
    return f"{happened}, from {first} to {last}."


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
