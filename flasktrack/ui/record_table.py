"""Records as a table, newest first, a page at a time; a click on one opens it beside the table."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from flasktrack.core.finding import ERROR
from flasktrack.core.record import Record
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.loaders import ask
from flasktrack.ui.record_detail import record_detail
from flasktrack.ui.selected import records_above
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.standing import nothing_recorded
from flasktrack.ui.text import count
from flasktrack.ui.times import local, short
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS

PAGE_RECORDS = 500
"""Rows on one page: a table that can be clicked sends all of its rows to the browser."""

_TABLE_HEIGHT = 430
_NARROW = ("seq", "check", "time", "action", "entity")


def records(context: Context, chosen: RecordFilter) -> None:
    """Draw the records that a filter selects, and the one that the address opens beside them.

    The address keeps `before` (the page shows records with lower positions) and `record` (the open one).
    """
    before, opened = address.position("before"), address.position("record")
    ledger = Ledger(context.engine, context.scope)
    found, gone = _find(context, chosen, ledger, before)
    page = found[:PAGE_RECORDS]
    if gone:
        st.warning(
            f"{count(gone, 'record')} that met the filter when taken in {'is' if gone == 1 else 'are'} not in the "
            "database any more: a verification says which.",
            icon=":material/gpp_maybe:",
        )
    if not page:
        _nothing(context, chosen, before)
        if opened is None:
            return
    table, detail = (st.container(), None) if opened is None else st.columns([11, 10])
    with table:
        if page:
            _pager(context, chosen, ledger, page, more=len(found) > PAGE_RECORDS)
            _table(context, page, narrow=opened is not None)
    if detail is not None and opened is not None:
        with detail:
            record_detail(context, opened, listed=[checked.record.seq for checked in page])


def _find(
    context: Context, chosen: RecordFilter, ledger: Ledger, before: int | None
) -> tuple[list[CheckedRecord], int]:
    """The newest records that a filter selects, one more than a page has, and how many are gone of those it counted.

    Where they are says the copy, as far as it has come, since the database would have to look through all of them.
    """
    wanted = PAGE_RECORDS + 1
    last = None if before is None else before - 1
    reached = 0 if _by_position(chosen) else context.standing.state.last_seq
    found: list[CheckedRecord] = []
    if not reached or not context.standing.complete:
        stream = ledger.stream(*chosen.conditions(), first=reached + 1, last=last, descending=True, limit=wanted)
        found = list(stream)
    if not reached or len(found) >= wanted:
        return found, 0
    upto = reached if last is None else min(last, reached)
    positions = ask(context, Questions.positions, chosen, last=upto, limit=wanted - len(found))
    there = list(ledger.at(positions))
    return found + there[::-1], len(set(positions) - {checked.record.seq for checked in there})


def _by_position(chosen: RecordFilter) -> bool:
    """Whether the database finds them without looking at any other."""
    return set(chosen.to_params()) <= {"seq", "positions"}


def record_frame(page: Sequence[CheckedRecord], zone: ZoneInfo) -> pd.DataFrame:
    """Checked records as the table's columns, with times in `zone`."""
    return pd.DataFrame(
        [
            (
                record.seq,
                _check(checked),
                short(record.occurred_at, zone),
                _delay(record),
                record.actor_name or record.actor_id,
                ACTOR_TYPE_WORDS.get(record.actor_type, record.actor_type),
                record.action,
                record.entity_type,
                _entity(record),
                record.outcome,
                record.reason or "",
            )
            for checked, record in ((checked, shown(checked.record)) for checked in page)
        ],
        columns=[
            "seq",
            "check",
            "time",
            "delay",
            "actor",
            "actor_type",
            "action",
            "entity_type",
            "entity",
            "outcome",
            "reason",
        ],
    )


def _delay(record: Record) -> str:
    """How long after the act it was recorded, where that is worth a look."""
    occurred, recorded = (local(text, ZoneInfo("UTC")) for text in (record.occurred_at, record.recorded_at))
    if occurred is None or recorded is None:
        return ""
    seconds = (recorded - occurred).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h")):
        if abs(seconds) >= size:
            return f"{seconds / size:+,.0f} {unit}"
    return ""


def _entity(record: Record) -> str:
    named = record.entity_name and record.entity_name != record.entity_id
    return f"{record.entity_id}, {record.entity_name}" if named else record.entity_id


def _check(checked: CheckedRecord) -> str:
    codes = sorted({finding.code for finding in checked.findings})
    if any(finding.severity == ERROR for finding in checked.findings):
        return f"✕ {', '.join(codes)}"
    return f"✓ {', '.join(codes)}".strip()


def _nothing(context: Context, chosen: RecordFilter, before: int | None) -> None:
    if before is not None:
        st.info("There are no such records at lower positions.", icon=":material/info:")
        st.button("Newest", on_click=address.write, kwargs={"before": None})
    elif chosen.is_empty:
        st.info(nothing_recorded(context), icon=":material/info:")
    else:
        st.info("No record meets the filter. Widen it, or clear it above.", icon=":material/info:")


def _pager(
    context: Context, chosen: RecordFilter, ledger: Ledger, page: Sequence[CheckedRecord], *, more: bool
) -> None:
    """Where this page stands among all records that the filter selects, and the ways to its neighbours."""
    first, last = page[0].record.seq, page[-1].record.seq
    above = 0
    if context.standing.complete:
        above = records_above(context, chosen, first) if address.value("before") else 0
        total = ask(context, Questions.totals, chosen).records
        place = f"{above + 1:,} to {above + len(page):,} of " if total > 1 else ""
        said = f"{place}{count(total, 'record')}"
    else:  # what is counted so far may be less than what is listed
        said = f"{count(len(page), 'record')}{' (there are more)' if more else ''}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(f"{said}, by position, newest first; each was checked as it was read")
        if above or (address.value("before") and not context.standing.complete):
            st.button("Newest", type="tertiary", on_click=address.write, kwargs={"before": None})
            st.button("Newer", type="tertiary", on_click=_newer, args=(context, chosen, ledger, first))
        if more:
            st.button("Older", type="tertiary", on_click=address.write, kwargs={"before": last})


def _newer(context: Context, chosen: RecordFilter, ledger: Ledger, first: int) -> None:
    wanted = PAGE_RECORDS + 1
    reached = 0 if _by_position(chosen) else context.standing.state.last_seq
    newer = ask(context, Questions.positions, chosen, first=first + 1, limit=wanted) if first < reached else []
    if not reached or not context.standing.complete:
        above = ledger.stream(*chosen.conditions(), first=max(first, reached) + 1, limit=wanted - len(newer))
        newer = newer + [found.record.seq for found in above]
    address.write(before=newer[PAGE_RECORDS] if len(newer) > PAGE_RECORDS else None)


def _table(context: Context, page: Sequence[CheckedRecord], *, narrow: bool) -> None:
    """A click on any cell opens its record: the address says so, and the next run draws it."""
    key = f"records_{context.organization.id}_{page[0].record.seq}_{page[-1].record.seq}"
    _select_open(key, page)
    column = st.column_config
    clickable_table(
        record_frame(page, context.zone),
        key,
        lambda row: address.write(record=page[row].record.seq),
        height=table_height(len(page), _TABLE_HEIGHT),
        column_order=_NARROW if narrow else None,
        column_config={
            "seq": column.NumberColumn("Position", format="localized", width=70),
            "check": column.TextColumn("Check", width=48, help="Whether its content still gives its hash."),
            "time": column.TextColumn("Occurred", help=f"In {context.zone.key}", width=130),
            "delay": column.TextColumn("Delay", width=52, help="How long after the act it was recorded."),
            "actor": column.TextColumn("Actor", width=112),
            "actor_type": column.TextColumn("Actor type", width=98),
            "action": column.TextColumn("Action", width=72),
            "entity_type": column.TextColumn("Entity type", width=90),
            "entity": column.TextColumn("Entity", width=130),
            "outcome": column.TextColumn("Outcome", width=66),
            "reason": column.TextColumn("Reason", width=94),
        },
    )


def _select_open(key: str, page: Sequence[CheckedRecord]) -> None:
    """Mark the record that the address opens, however it came there; the cell that was clicked stays where it is."""
    opened = address.position("record")
    row = next((row for row, checked in enumerate(page) if checked.record.seq == opened), None)
    # By item: until the browser has answered, this is what the last run put there.
    marked = st.session_state[key]["selection"]["cells"] if key in st.session_state else []
    if [cell[0] for cell in marked] != ([] if row is None else [row]):
        st.session_state[key] = {"selection": {"cells": [] if row is None else [(row, "seq")]}}
