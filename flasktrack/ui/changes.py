"""What changed against the period before: each line a number then and now, which leads to the records of now."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.activity import Periods, changes, within
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions, Totals
from flasktrack.ui.activity_figures import of_kind
from flasktrack.ui.charts import clickable_table, filter_key, heading, narrow_to
from flasktrack.ui.figures import plotly_text
from flasktrack.ui.filter_bar import set_filter
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context
from flasktrack.ui.times import span_words

_ACTIONS = 4  # of which the number changed most
_UNSUCCESSFUL = ("failure", "denied")


class Change(NamedTuple):
    """A line: what is counted, in the period and in the one before, and what narrows the filter to it."""

    what: str
    now: int
    before: int
    narrower: RecordFilter | None = None
    action: str | None = None


def totals_of(context: Context, chosen: RecordFilter, compared: Periods) -> tuple[Totals, Totals]:
    """The figures of the period and of the one before."""
    now = within(chosen, compared.start, compared.end)
    before = within(chosen, compared.before, compared.start)
    return ask(context, Questions.totals, now), ask(context, Questions.totals, before)


def change_words(now: int, before: int) -> str:
    """`+12%`, `-3%`, `as many`, `none before`, `none now`."""
    if now == before:
        return "as many" if now else "none"
    if not before:
        return "none before"
    if not now:
        return "none now"
    share = abs(now - before) / before
    return f"{'+' if now > before else '-'}{share:,.0%}" if share >= 0.005 else "nearly as many"


def draw_changes(context: Context, chosen: RecordFilter, compared: Periods) -> None:
    """Draw the table; a click on a line narrows the filter to the period, and to what the line counts."""
    lines = _lines(context, chosen, compared)
    now, before = (span_words(*span, context.zone) for span in (compared[1:3], compared[0:2]))
    heading(f"Changes against the period before ({plotly_text(context.zone.key)})")
    table = pd.DataFrame(
        [(display(line.what), line.now, line.before, change_words(line.now, line.before)) for line in lines],
        columns=["what", "now", "before", "change"],
    )

    def narrow(row: int) -> None:
        line = lines[row]
        if line.narrower is not None:
            set_filter(line.narrower)
        else:  # an altered record may hold what no filter accepts
            narrow_to(within(chosen, compared.start, compared.end), "actions", line.action)

    column = st.column_config
    clickable_table(
        table,
        filter_key("changes", context, chosen),
        narrow,
        height="content",
        column_config={
            "what": column.TextColumn("What", width=150),
            "now": column.NumberColumn(now, format="localized", width=110),
            "before": column.NumberColumn(before, format="localized", width=110),
            "change": column.TextColumn("Change", width=90),
        },
    )


def _lines(context: Context, chosen: RecordFilter, compared: Periods) -> list[Change]:
    counted = ask(context, changes, chosen, compared)
    now, before = totals_of(context, chosen, compared)
    period = within(chosen, compared.start, compared.end)

    def line(what: str, among: pd.Series[bool], narrower: RecordFilter | None, action: str | None = None) -> Change:
        numbers = counted[among].groupby("period")["records"].sum()
        return Change(what, int(numbers.get("now", 0)), int(numbers.get("before", 0)), narrower, action)

    kinds = [kind for kind in ("person", "machine") if _reaches(chosen, kind)]
    lines = [
        line(f"Records of {word}", counted["kind"] == kind, of_kind(period, kind))
        for kind, word in (("person", "people"), ("machine", "machines"))
        if kind in kinds
    ]
    lines += [
        Change(f"{word} who acted" if kind == "person" else f"{word} that acted", then, former, of_kind(period, kind))
        for kind, word, then, former in (
            ("person", "People", now.people, before.people),
            ("machine", "Machines", now.machines, before.machines),
        )
        if kind in kinds
    ]
    lines.append(Change("Entities touched", now.entities, before.entities, period))
    wanted = tuple(outcome for outcome in _UNSUCCESSFUL if not chosen.outcomes or outcome in chosen.outcomes)
    if wanted:
        lines.append(line("Failed or denied", counted["outcome"].isin(wanted), replace(period, outcomes=wanted)))
    return lines + [line(f"Action: {action}", counted["action"] == action, None, action) for action in _moved(counted)]


def _reaches(chosen: RecordFilter, kind: str) -> bool:
    return not chosen.actor_types or any((name == "user") == (kind == "person") for name in chosen.actor_types)


def _moved(counted: pd.DataFrame) -> list[str]:
    """The actions of which the number changed most."""
    signed = counted["records"].where(counted["period"] == "now", -counted["records"])
    moved = signed.groupby(counted["action"]).sum()
    moved = moved[moved != 0]
    return [str(action) for action in moved.abs().sort_values(ascending=False, kind="stable").index[:_ACTIONS]]
