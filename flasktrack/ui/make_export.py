"""Make an export: exactly the records that were counted, written by a process beside the app.

The page may be left meanwhile: a row in the database says how far an export is, to any session.
"""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.record import SECTIONS
from flasktrack.errors import FlaskTrackError, NotPermitted
from flasktrack.export.columns import COLUMNS
from flasktrack.export.formats import COLUMNS as TAKES_COLUMNS
from flasktrack.export.formats import FORMATS, WITHHELD, ExportFormat, format_named
from flasktrack.export.running import ask_for_export
from flasktrack.export.selection import ExportOptions, count_selected
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.exports import (
    CANCELLING,
    FAILED,
    UNDER_WAY,
    Export,
    cancel_export,
    list_exports,
    settle_export,
)
from flasktrack.store.organizations import check_time_zone
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import Permission
from flasktrack.trust.checkpoints import latest_checkpoint
from flasktrack.ui import address
from flasktrack.ui.jobs import asked_in, run_beside
from flasktrack.ui.links import page_link
from flasktrack.ui.saved_filters import saved_filters
from flasktrack.ui.selected import records_above, records_selected
from flasktrack.ui.session import Context, of_click, of_refresh
from flasktrack.ui.text import count, literal
from flasktrack.ui.verify_now import seal_first

OPENED = "export"
"""The parameter that says which export the page shows in detail."""
_EVERY = 1.0  # seconds between two looks at the progress
_REFUSED, _SEEN = "export_refused", "exports_under_way"


def make_export(context: Context, chosen: RecordFilter) -> None:
    """Draw what will be written, the choice of a format with its options, and the button."""
    counted, records = records_selected(context, chosen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.text(
            f"{count(records, 'record')} will be written: {display(chosen.describe(context.zone))}", width="content"
        )
        saved_filters(context, chosen)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = st.segmented_control(
            "Format", list(FORMATS), format_func=lambda name: FORMATS[name].title, default="csv", required=True,
            label_visibility="collapsed", key="export_format",
        )  # fmt: skip
        format_ = format_named(str(name))
        options = _options(context, format_)
        st.button(
            f"Export {count(records, 'record')}", type="primary", icon=":material/file_save:",
            disabled=not records and not format_.of_nothing,
            on_click=_start, args=(context, counted, format_, options),
        )  # fmt: skip
    st.caption(format_.about)
    if format_.of_sealed:
        _offer_seal(context, counted, chosen)
    if refused := st.session_state.pop(_REFUSED, None):
        st.warning(literal(refused), icon=":material/warning:")


def _offer_seal(context: Context, counted: RecordFilter, chosen: RecordFilter) -> None:
    """Where some of the records are not sealed, say so before anything is begun, with the ways on."""
    with context.engine.connect() as connection:
        last = latest_checkpoint(connection, context.scope)
    through = 0 if last is None else last.size
    above = records_above(context, counted, through)
    if not above:
        return
    covered = f"the last checkpoint, which covers positions 1 to {through:,}" if through else "any checkpoint"
    st.info(
        f"{count(above, 'record')} {'lies' if above == 1 else 'lie'} above {covered}: nothing proves "
        f"{'it' if above == 1 else 'them'} yet.",
        icon=":material/lock_open:",
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if through >= (chosen.seq_first or 1):
            only = f"{chosen.seq_first or ''}-{through}"
            page_link(context, "exports", "Only what is sealed", keep_filter=True, seq=only)
        if context.may(Permission.SEAL):
            seal_first(context)
        else:
            st.caption("A QA lead can seal them, on the page Integrity.")


def _options(context: Context, format_: ExportFormat) -> ExportOptions:
    """What this format can be told beside the records."""
    columns: list[str] = []
    withheld: list[str] = []
    with st.popover("Options", icon=":material/settings:", width="content"):
        zones = list(dict.fromkeys([context.zone.key, "UTC"]))
        zone = st.selectbox("Time zone", zones, key=f"export_zone_{context.organization.id}")
        if TAKES_COLUMNS in format_.takes:
            columns = st.multiselect("Columns", list(COLUMNS), key="export_columns", placeholder="All, in their order")
        if WITHHELD in format_.takes:
            withheld = st.multiselect("Withhold", list(SECTIONS), key="export_withheld", placeholder="Nothing")
            st.caption("What is withheld is still proved: its digest stays in the record.")
    return ExportOptions(check_time_zone(zone), tuple(columns), tuple(withheld), context.scope.actor.subject)


def _start(context: Context, counted: RecordFilter, format_: ExportFormat, options: ExportOptions) -> None:
    try:
        address.write(**{OPENED: start_export(context, counted, format_, options)})
    except FlaskTrackError as problem:
        st.session_state[_REFUSED] = str(problem)


def start_export(context: Context, chosen: RecordFilter, format_: ExportFormat, options: ExportOptions) -> str:
    """Let a process write an export, which the page Exports shows by the id that this returns.

    It is what a click does. Raises NotPermitted, ExportFailed.
    """
    context = of_click(context, Permission.EXPORT)
    counted, records = count_selected(Ledger(context.engine, context.scope), chosen)
    asked = ask_for_export(
        context.engine, context.scope, counted, records, format_.name, options, Settings.from_environment()
    )

    def ended(problem: str) -> None:
        """What the process itself could not say; where it has, this changes nothing."""
        with writing(context.engine) as connection:
            settle_export(connection, asked.id, FAILED, problem=problem)

    which = f"--organization={context.organization.id}", f"--id={asked.id}"
    run_beside(context.engine, ended, "run-export", *which, asked_in(context))
    return asked.id


def exports_under_way(context: Context) -> None:
    """Draw the progress of every export of the organization that is being written, whoever asked for it."""
    running = [one.id for one in list_exports(context.engine, context.scope) if one.status in UNDER_WAY]
    st.session_state[_SEEN] = running
    if running:
        st.fragment(_progress, run_every=_EVERY)(context)


def _progress(context: Context) -> None:
    context = of_refresh(context, Permission.EXPORT)
    running = [one for one in list_exports(context.engine, context.scope) if one.status in UNDER_WAY]
    if [one.id for one in running] != st.session_state.get(_SEEN):
        st.rerun()
    for one in running:
        _one(context, one)


def _cancel(context: Context, export_id: str) -> None:
    with suppress(NotPermitted):  # the page says so, next
        cancel_export(context.engine, of_click(context, Permission.EXPORT).scope, export_id)


def _one(context: Context, one: Export) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        share = min(1.0, one.written / one.records) if one.records else 1.0
        done = f"{FORMATS[one.format].title if one.format in FORMATS else one.format}, for {one.requested_by}: "
        done += f"{one.written:,} of {count(one.records, 'record')} written"
        cancelling = one.status == CANCELLING
        st.progress(share, text="Cancelling ..." if cancelling else literal(done), width=520)
        st.button(
            "Cancel", key=f"cancel_{one.id}", disabled=cancelling, on_click=_cancel, args=(context, one.id),
        )  # fmt: skip
