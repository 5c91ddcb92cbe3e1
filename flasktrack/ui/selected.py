"""How many records a filter selects: the copy says it, once it has come to the newest record. The database would have
to look through all of them."""

from __future__ import annotations

from dataclasses import replace

from flasktrack.errors import InvalidFilter
from flasktrack.export.selection import count_selected, up_to
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.ui.loaders import ask
from flasktrack.ui.session import Context


def records_selected(context: Context, chosen: RecordFilter) -> tuple[RecordFilter, int]:
    """The filter up to the newest record that there is now, and how many records meet it."""
    if not context.standing.complete:
        return count_selected(Ledger(context.engine, context.scope), chosen)
    counted = up_to(chosen, context.standing.state.last_seq)
    return (chosen, 0) if counted is None else (counted, ask(context, Questions.totals, chosen).records)


def records_above(context: Context, chosen: RecordFilter, position: int) -> int:
    """How many records the filter selects at higher positions."""
    if not context.standing.complete:
        ledger = Ledger(context.engine, context.scope)
        return ledger.count(*chosen.conditions(), audit_record.c.seq > position)
    try:
        above = replace(chosen, seq_first=max(chosen.seq_first or 1, position + 1))
    except InvalidFilter:  # the filter ends at this position
        return 0
    return ask(context, Questions.totals, above).records
