"""What needs attention, as pages draw it: the rules' answer for a period, the panel on the overview, tables of hits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.attention.attention import Attention, find_attention
from flasktrack.insight.attention.look import DEFAULT_DAYS, Hit
from flasktrack.insight.attention.rule import SEVERITIES
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import InForce, read_thresholds
from flasktrack.insight.filter import RecordFilter
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.links import page_link
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, literal
from flasktrack.ui.theme import ATTENTION
from flasktrack.ui.times import minute

PANEL_HITS = 4


def attention(
    context: Context, since: datetime | None = None, until: datetime | None = None, days: int = DEFAULT_DAYS
) -> tuple[Attention, InForce]:
    """What the rules find in a period of recording, and the thresholds by which they do."""
    in_force = read_thresholds(context.engine, context.scope)
    return ask(context, find_attention, in_force.thresholds, since, until, days), in_force


def draw_attention(context: Context, chosen: RecordFilter) -> None:
    """Draw the overview's panel: what needs attention in the filter's period, the gravest first, each a link."""
    found, in_force = attention(context, chosen.occurred_from, chosen.occurred_to)
    if not found.span.records:
        return
    ends = (("since", chosen.occurred_from), ("until", chosen.occurred_to))
    period: dict[str, Any] = {name: moment.isoformat() for name, moment in ends if moment is not None}
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Needs attention** {severities(found)}", width="content")
            st.caption(literal(covered(context, found)), width="content")
            page_link(context, "attention", "Show all, and the rules", place="panel", **period)
        if in_force.problem is not None:
            st.error(literal(in_force.problem), icon=":material/error:")
        for place, hit in enumerate(found.hits[:PANEL_HITS]):
            look = ATTENTION[hit.severity]
            with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
                st.markdown(f":{look.colour}[{look.icon} {look.word}]", width=80)
                st.caption(RULES[hit.rule].title, width=160)
                page_link(
                    context, "attention", hit.why, place=f"panel_{place}", first=hit.rule, **period, **of_hit(hit)
                )
        if found.total > PANEL_HITS:
            st.caption(f"and {found.total - PANEL_HITS:,} more")


def of_hit(hit: Hit) -> dict[str, Any]:
    """The parameters of the page Attention that open a hit: its rule, and the filter that selects its records."""
    given = hit.chosen.to_params()
    return {"rule": hit.rule, **{name: given.get(name) for name in address.FILTER}}


def severities(found: Attention) -> str:
    """How many hits there are of each severity, as markdown in colour, with icons and words."""
    numbers = {severity: found.of_severity(severity) for severity in SEVERITIES}
    said = [
        f":{look.colour}[{look.icon} {numbers[severity]:,} {look.word.lower()}]"
        for severity, look in ATTENTION.items()
        if numbers[severity]
    ]
    return " ".join(said) or "nothing out of the ordinary"


def covered(context: Context, found: Attention) -> str:
    """Which records the rules looked at."""
    span = found.span
    if span.begins is None or span.ends is None:
        return "no record in this period"
    when = f"recorded from {minute(span.begins, context.zone)} to {minute(span.ends, context.zone)}"
    return f"{count(span.records, 'record')}, {when}"


def hit_table(context: Context, hits: Sequence[Hit], key: str, clicked: Callable[[Hit], None]) -> None:
    """Draw one rule's hits as a table; `clicked` is given the hit that somebody clicks."""
    frame = pd.DataFrame(
        [(ATTENTION[hit.severity].word, display(hit.why), hit.records, _last(context, hit)) for hit in hits],
        columns=["severity", "why", "records", "last"],
    )
    column = st.column_config
    clickable_table(
        frame,
        f"hits_{key}_{context.organization.id}_{hash(tuple(hits))}",
        lambda row: clicked(hits[row]),
        height=table_height(len(frame), 220),
        column_config={
            "severity": column.TextColumn("Severity", width=65),
            "why": column.TextColumn("What and who", width=690, help="A click shows the records."),
            "records": column.NumberColumn("Records", format="localized", width=65),
            "last": column.TextColumn("Last of them", width=130, help=f"When it occurred, in {context.zone.key}"),
        },
    )


def _last(context: Context, hit: Hit) -> str:
    return "" if hit.last_occurred is None else minute(hit.last_occurred, context.zone)[:-7]
