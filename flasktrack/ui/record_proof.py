"""A record's own proof, to take away: the text of C2SP tlog-proof, and an evidence package of this one record."""

from __future__ import annotations

import streamlit as st

from flasktrack.errors import FlaskTrackError
from flasktrack.export.formats import format_named
from flasktrack.export.sealed import record_proof
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import Permission
from flasktrack.trust.checkpoints import latest_checkpoint
from flasktrack.trust.keyring import Keyring
from flasktrack.ui.downloads import Proof, download_address
from flasktrack.ui.links import page_link
from flasktrack.ui.make_export import start_export
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import literal, number

_STATE = "record_proof"


def draw_proof(context: Context, checked: CheckedRecord) -> None:
    """Draw whether the record can be proved, and the way to its proof."""
    st.markdown("**Proof**")
    seq = checked.record.seq
    if any(finding.severity == "error" for finding in checked.findings):
        st.caption("There is no proof of a record that is not sound.")
        return
    with context.engine.connect() as connection:
        sealed = latest_checkpoint(connection, context.scope)
    if sealed is None or sealed.size < seq:
        st.caption("Not sealed yet: no signed checkpoint covers this record, so nothing proves it. Seal first.")
        if context.may(Permission.SEAL):
            page_link(context, "integrity", "Seal now, on the page Integrity")
        return
    st.caption(f"Sealed: a checkpoint signed over records 1 to {number(sealed.size)} covers it.")
    if not context.may(Permission.EXPORT):
        return
    record = context.organization.id, seq
    with st.container(horizontal=True, gap="small"):
        for label, make in (("Make its proof", _prove), ("Make a package of it", _export)):
            st.button(label, icon=":material/verified:", key=f"{label}_{seq}", on_click=make, args=(context, seq))
    made = st.session_state.get(_STATE)
    if made is not None and made["record"] == record:
        _offer(context, **made)


def _prove(context: Context, seq: int) -> None:
    try:
        context = of_click(context, Permission.EXPORT)
        ledger = Ledger(context.engine, context.scope)
        text = record_proof(ledger, Keyring.from_settings(Settings.from_environment()), seq)
    except FlaskTrackError as problem:
        _keep(context, seq, problem=str(problem))
        return
    _keep(context, seq, text=text)


def _export(context: Context, seq: int) -> None:
    chosen = RecordFilter(seq_first=seq, seq_last=seq)
    options = ExportOptions(context.zone, requested_by=context.scope.actor.subject)
    try:
        _keep(context, seq, export=start_export(context, chosen, format_named("evidence"), options))
    except FlaskTrackError as problem:
        _keep(context, seq, problem=str(problem))


def _keep(context: Context, seq: int, *, text: str = "", export: str = "", problem: str = "") -> None:
    """What came of it, for the record that it is of."""
    record = context.organization.id, seq
    st.session_state[_STATE] = {"record": record, "text": text, "export": export, "problem": problem}


def _offer(context: Context, record: tuple[str, int], text: str, export: str, problem: str) -> None:
    if problem:
        st.error(literal(problem), icon=":material/error:")
    if text:
        place = download_address(context, Proof(record[1], text))
        st.link_button("Download the proof (C2SP tlog-proof)", place, icon=":material/download:")
        st.caption("It holds the record's header, and is checked with the organization's public key alone.")
    if export:
        page_link(context, "exports", "The package is on the page Exports, with its download", export=export)
