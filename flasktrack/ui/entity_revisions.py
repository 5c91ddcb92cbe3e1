"""An entity's revisions in time, what each changed, and where the history does not fit together; a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.record import Record
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.history import EntityHistory, Revision
from flasktrack.insight.questions import Questions
from flasktrack.ui import address
from flasktrack.ui.activity_figures import draw_over_time, draw_timeline
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.diff import summary
from flasktrack.ui.figures import Act
from flasktrack.ui.loaders import ask
from flasktrack.ui.record_detail import record_detail
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.text import count
from flasktrack.ui.times import local, short


class Row(NamedTuple):
    """A revision as the table and the timeline show it, without its sections, which may be large.

    `mark` says what is wrong with it; `missing` how many revisions are missing right before it.
    """

    record: Record
    changes: str
    mark: str
    missing: int


def draw_revisions(context: Context, chosen: RecordFilter, history: EntityHistory) -> None:
    """Draw the revisions that the filter selects, and the one that the address opens beside them.

    The address keeps `before` (the page shows revisions with lower numbers) and `record` (the open one).
    """
    conditions = chosen.conditions()
    before = address.position("before")
    total = history.count(*conditions)
    rows = [_row(revision) for revision in reversed(history.page(*conditions, before=before))]
    opened = address.position("record")
    if not rows:
        _nothing(before)
    elif len(rows) == total:
        _timeline(context, rows, opened)
    elif (totals := ask(context, Questions.totals, chosen)).records:  # none yet while the copy is being built
        draw_over_time(context, chosen, totals.first_occurred, totals.last_occurred, height=190)
    table, detail = (st.container(), None) if opened is None else st.columns([1, 1])
    if rows:
        with table:
            _pager(history, chosen, rows, total)
            _table(context, rows, narrow=opened is not None)
    if detail is not None and opened is not None:
        with detail:
            record_detail(context, opened, listed=[row.record.seq for row in rows])


def _row(revision: Revision) -> Row:
    return Row(
        shown(revision.checked.record), display(summary(revision.changes)), _mark(revision), len(revision.missing)
    )


def _mark(revision: Revision) -> str:
    """What is wrong with a revision, in words; empty where nothing is."""
    said = [finding.code.replace("_", " ") for finding in revision.checked.findings]
    if revision.missing:
        first, last = revision.missing[0], revision.missing[-1]
        said.insert(0, f"missing before it: {first:,}" + (f" to {last:,}" if last > first else ""))
    if revision.gap:
        said.insert(0, "changed unrecorded before it")
    return ", ".join(said)


def _nothing(before: int | None) -> None:
    if before is not None:
        st.info("There are no such revisions with lower numbers.", icon=":material/info:")
        st.button("Newest", on_click=address.write, kwargs={"before": None})
    else:
        st.info("None of its revisions meets the filter. Widen it, or clear it above.", icon=":material/info:")


def _timeline(context: Context, rows: Sequence[Row], opened: int | None) -> None:
    acts = [act for row in reversed(rows) if (act := _act(context, row)) is not None]
    alt = f"{count(len(acts), 'revision')} in time, by what was done; people and machines apart"
    draw_timeline(context, acts, f"timeline_{_key(rows)}_{opened}", alt, selected=opened, what="revisions")


def _act(context: Context, row: Row) -> Act | None:
    record = row.record
    occurred = local(record.occurred_at, context.zone)
    if occurred is None:
        return None
    kind = "person" if record.actor_type == "user" else "machine"
    actor = record.actor_name or record.actor_id
    return Act(record.seq, record.entity_seq, occurred, record.action, actor, kind, row.mark)


def _pager(history: EntityHistory, chosen: RecordFilter, rows: Sequence[Row], total: int) -> None:
    """How many of the revisions these are, whether they are sound, and the ways to the others."""
    highest, lowest = (row.record.entity_seq for row in (rows[0], rows[-1]))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(_rests_on(rows, total))
        if address.value("before") and isinstance(highest, int):
            newer = history.newer(*chosen.conditions(), than=highest)
            st.button("Newest", type="tertiary", on_click=address.write, kwargs={"before": None})
            st.button("Newer", type="tertiary", on_click=address.write, kwargs={"before": newer})
        if isinstance(lowest, int) and history.page(*chosen.conditions(), before=lowest, limit=1):
            st.button("Older", type="tertiary", on_click=address.write, kwargs={"before": lowest})


def _rests_on(rows: Sequence[Row], total: int) -> str:
    marked = sum(bool(row.mark) for row in rows)
    look = f"{count(marked, 'revision needs', 'revisions need')} a look" if marked else "each is sound"
    which = "newest first" if len(rows) == total else f"{len(rows):,} of {count(total, 'revision')}, newest first"
    missing = sum(row.missing for row in rows)
    gone = f"; {count(missing, 'revision is', 'revisions are')} missing" if missing else ""
    return f"{which[0].upper()}{which[1:]}; each was checked as it was read: {look}{gone}."


def _table(context: Context, rows: Sequence[Row], *, narrow: bool) -> None:
    """The revisions, the newest first, with a line where some are missing; a click opens one."""
    lines: list[tuple[Row | None, tuple[object, ...]]] = []
    for row in rows:
        record = row.record
        number = record.entity_seq if isinstance(record.entity_seq, int) else None
        actor = record.actor_name or record.actor_id
        lines.append(
            (row, (number, short(record.occurred_at, context.zone), actor, record.action, row.changes,
                   record.reason or "", row.mark))
        )  # fmt: skip
        if row.missing and number is not None:
            first = number - row.missing
            said = f"Revision {first:,} is missing" if row.missing == 1 else f"{row.missing:,} revisions are missing"
            lines.append((None, (first, "", "", "", said, "", "missing")))
    table = pd.DataFrame(
        [cells for _, cells in lines],
        columns=["revision", "time", "actor", "action", "changes", "reason", "look"],
    )

    def open_revision(line: int) -> None:
        row = lines[line][0]
        if row is not None:
            address.write(record=row.record.seq)

    column = st.column_config
    clickable_table(
        table,
        f"revisions_{_key(rows)}",
        open_revision,
        height=table_height(len(table), 430),
        column_order=_columns(narrow=narrow, looks=any(table["look"])),
        column_config={
            "revision": column.NumberColumn("Revision", format="localized", width=70),
            "time": column.TextColumn("Occurred", help=f"In {context.zone.key}", width=150),
            "actor": column.TextColumn("Actor", width=130),
            "action": column.TextColumn("Action", width=75),
            "changes": column.TextColumn("What changed", width=330),
            "reason": column.TextColumn("Reason", width=130),
            "look": column.TextColumn("Needs a look", width=170),
        },
    )


def _key(rows: Sequence[Row]) -> str:
    """What tells this page of this history from another one."""
    return f"{rows[0].record.seq}_{rows[-1].record.seq}_{len(rows)}"


def _columns(*, narrow: bool, looks: bool) -> list[str]:
    """What is shown beside an opened record (`narrow`) and otherwise."""
    wanted = ["revision", "look", "time", "actor", "action", "changes", "reason"]
    dropped = {"actor", "reason"} if narrow else set()
    return [name for name in wanted if name not in dropped and (looks or name != "look")]
