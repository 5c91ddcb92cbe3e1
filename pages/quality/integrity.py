"""Integrity: is the history intact, how do we know, and what is wrong where it is not?"""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.finding import ERROR, WARNING
from flasktrack.core.times import parse_time
from flasktrack.settings import Settings
from flasktrack.store.verifications import FULL, INCREMENTAL, RANGE, VERIFIED, Verification, list_verifications
from flasktrack.trust.checkpoints import latest_checkpoint
from flasktrack.ui import address
from flasktrack.ui.charts import Numbers, clickable_table, draw_figure, table_height
from flasktrack.ui.checkpoint_table import draw_checkpoints
from flasktrack.ui.coverage import coverage, stretches
from flasktrack.ui.findings import MOST_FINDINGS, draw_findings
from flasktrack.ui.page import open_page
from flasktrack.ui.record_detail import record_detail
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, literal
from flasktrack.ui.theme import SEVERITY, STATUS, is_dark
from flasktrack.ui.times import local, minute
from flasktrack.ui.verdict import ago, describe, newest_position
from flasktrack.ui.verify_now import verify_now

_ANSWERS = {
    "verified": "The recorded history is intact",
    "broken": "The recorded history is not intact",
    "not_checked": "Nothing is proved yet",
}
_SCOPES = {"full": "all", "incremental": "since {:,}", "range": "{:,} to {:,}"}


def main() -> None:
    context = open_page("integrity")
    runs = list_verifications(context.engine, context.scope)
    size = newest_position(context)
    shown = _chosen(runs)
    _answer(context, shown, size, runs, latest=shown is not None and shown == runs[0])
    verify_now(context)
    if shown is None:
        return
    if shown.findings or shown.records:
        _where(shown, size)
    opened = address.position("record")
    if opened is None:
        draw_findings(shown)
    else:
        left, right = st.columns(2)
        with left:
            draw_findings(shown)
        with right:
            findings = [f for f in shown.findings if f.seq <= opened <= f.seq_end]
            record_detail(context, opened, findings=findings)
    draw_checkpoints(context)
    _history(context, runs, shown)


def _chosen(runs: list[Verification]) -> Verification | None:
    """The verification that the address names, or else the latest."""
    wanted = address.value("run")
    if wanted is None:
        return runs[0] if runs else None
    for run in runs:
        if run.id == wanted:
            return run
    raise address.InvalidAddress("run", "is no verification of this organization, or an old one that is not listed")


def _answer(context: Context, shown: Verification | None, size: int, runs: list[Verification], *, latest: bool) -> None:
    """The verdict, and what it can't speak for."""
    if shown is None:
        look, said = STATUS["not_checked"], _never(size)
        answer = _ANSWERS["not_checked"]
    else:
        look, answer = STATUS[shown.status], _ANSWERS[shown.status]
        if shown.status == VERIFIED and shown.mode != FULL:  # never a full verdict for a part
            answer = "What is new is intact" if shown.mode == INCREMENTAL else "This range is intact"
        warnings = sum(finding.severity == WARNING for finding in shown.findings)
        if shown.status == VERIFIED and warnings:
            answer += f"; {count(warnings, 'warning')} to look at"
        said = f"Started by {display(shown.started_by)}, took {_seconds(shown)}."
        if not latest:  # of the latest one, the page's head says what it rests on
            answer = f"An earlier verification: {answer[0].lower()}{answer[1:]}"
            said = f"{describe(context, shown, size)}. {said}"
    st.markdown(f"### :{look.colour}[{look.icon} {answer}]")
    if shown is None or shown.believed:
        st.text(said[0].upper() + said[1:])
    for remark in () if shown is None else shown.remarks:
        st.error(literal(remark), icon=SEVERITY[ERROR].icon)
    if shown is not None and size:
        _warn(context, shown, size, runs)


def _warn(context: Context, shown: Verification, size: int, runs: list[Verification]) -> None:
    """Say what makes the verdict weaker than it looks."""
    settings = Settings.from_environment()
    now = datetime.now(UTC)
    full = next((parse_time(run.started_at) for run in runs if run.believed and run.mode == FULL), None)
    if full is None or now - full > settings.verify_within:
        last = "never" if full is None else ago(full)
        st.warning(f"The last full verification was {last}. Verify now.", icon=":material/schedule:")
    with context.engine.connect() as connection:
        sealed = latest_checkpoint(connection, context.scope)
    signed = None if sealed is None else local(sealed.created_at, context.zone)
    if sealed is not None and sealed.size < size and signed is not None and now - signed > settings.seal_within:
        st.warning(f"The last seal was {ago(signed)}. Seal now.", icon=":material/schedule:")
    if sealed is None and not shown.sealed and shown.mode != RANGE:
        st.caption(
            "None sealed: nobody has signed this chain yet. Whoever can rewrite the whole database could have made all "
            "its hashes anew; a verification can't rule that out until records are sealed."
        )


def _seconds(run: Verification) -> str:
    return f"{run.seconds:,.1f} s" if run.seconds >= 0.1 else "less than 0.1 s"


def _never(size: int) -> str:
    if not size:
        return "This organization has no record yet, so there is nothing to verify."
    return f"No verification was ever run on the {count(size, 'record')}. Verify now checks every one."


def _where(shown: Verification, size: int) -> None:
    figure = coverage(shown, size, shown.findings[:MOST_FINDINGS], dark=is_dark())
    rows = [(one.first, one.last, one.name) for one in stretches(shown, size, shown.findings)]
    rows += [(one.seq, one.seq_end, f"{one.severity}: {one.code}") for one in shown.findings[:MOST_FINDINGS]]
    frame = pd.DataFrame(rows, columns=["From position", "To position", "What is there"])
    numbers = Numbers("coverage", frame, [[first] for first, _, _ in rows])
    draw_figure(figure, f"coverage_{shown.id}_{size}", "Findings by position", _open, numbers)


def _open(data: list[int | None]) -> None:
    if data[0] is not None:
        address.write(record=int(data[0]))


def _history(context: Context, runs: list[Verification], shown: Verification) -> None:
    """Every verification that was run; a click shows one."""
    st.markdown(f"**Verifications** ({len(runs):,}{', the newest' if len(runs) == 100 else ''})")
    frame = pd.DataFrame(
        [
            (
                "▸" if run.id == shown.id else "",
                STATUS[run.status].word if run.believed else "Not readable",
                _SCOPES[run.mode].format(run.first_seq, run.last_seq) if run.believed else "",
                minute(parse_time(run.started_at), context.zone) if run.believed else "",
                display(run.started_by),
                run.records,
                run.sealed,
                len(run.findings),
                run.seconds,
            )
            for run in runs
        ],
        columns=["shown", "status", "scope", "started", "by", "records", "sealed", "findings", "seconds"],
    )
    column = st.column_config
    clickable_table(
        frame,
        f"runs_{context.organization.id}_{runs[0].id}",
        lambda row: address.write(run=runs[row].id if row else None, record=None),
        height=table_height(len(frame), 300),
        column_config={
            "shown": column.TextColumn("", width=30),
            "status": column.TextColumn("Result", width=90),
            "scope": column.TextColumn("Scope", width=140),
            "started": column.TextColumn(f"Started ({context.zone.key})", width=190),
            "by": column.TextColumn("By", width=170),
            "records": column.NumberColumn("Records", format="localized", width=90),
            "sealed": column.NumberColumn("Sealed", format="localized", width=80),
            "findings": column.NumberColumn("Findings", format="localized", width=80),
            "seconds": column.NumberColumn("Seconds", format="%.1f", width=80),
        },
    )


main()
