"""Make an export: exactly the records that were counted, written beside the app, then offered for download."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import streamlit as st

from flasktrack.core.display import display
from flasktrack.export.formats import FORMATS, format_named
from flasktrack.export.selection import count_selected
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.reader import Ledger
from flasktrack.ui.downloads import downloads
from flasktrack.ui.jobs import Job
from flasktrack.ui.session import Context
from flasktrack.ui.text import count, literal

MOST_AT_ONCE = 4
"""Exports that are made at the same time, all sessions together: each keeps a processor busy."""
_EVERY = 0.5  # seconds between two looks at the progress
_PATIENCE = 5.0  # seconds for an export to end that was cancelled
_STATE, _REFUSED = "export", "export_refused"


@dataclass(slots=True)
class _Export:
    """An export of this session: what was asked for, and the process that writes it."""

    organization_id: str
    said: str
    records: int
    file: Path
    job: Job
    address: str | None = None


class _Exports:
    """The exports that are being made, whoever asked for them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: list[Job] = []


@st.cache_resource(show_spinner=False)
def _exports() -> _Exports:
    return _Exports()


def make_export(context: Context, chosen: RecordFilter) -> None:
    """Draw what will be written, the choice of a format, the button, and what came of it."""
    counted, records = count_selected(Ledger(context.engine, context.organization.id), chosen)
    st.text(f"{count(records, 'record')} will be written: {display(chosen.describe(context.zone))}")
    made: _Export | None = st.session_state.get(_STATE)
    running = made is not None and made.job.running
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        format_ = st.segmented_control(
            "Format", list(FORMATS), format_func=lambda name: FORMATS[name].title, default="csv", required=True,
            label_visibility="collapsed", key="export_format",
        )  # fmt: skip
        st.button(
            f"Export {count(records, 'record')}", type="primary", icon=":material/file_save:",
            disabled=running or not records, on_click=_start, args=(context, counted, str(format_), records),
        )  # fmt: skip
    if refused := st.session_state.pop(_REFUSED, None):
        st.warning(f"Nothing was begun. {literal(refused)}", icon=":material/warning:")
    if made is not None and made.organization_id == context.organization.id:
        with st.container(border=True):
            if running:
                st.fragment(_progress, run_every=_EVERY)(made)
            else:
                _result(made, now=counted.describe(context.zone))


def _start(context: Context, counted: RecordFilter, format_: str, records: int) -> None:
    stamp = datetime.now(context.zone).strftime("%Y-%m-%d-%H%M%S")
    with _exports().lock:
        _exports().jobs = [job for job in _exports().jobs if job.running]
        if len(_exports().jobs) >= MOST_AT_ONCE:
            st.session_state[_REFUSED] = f"{MOST_AT_ONCE} exports are being made now: try again when one has ended."
            return
        try:
            file = downloads().new_file(f"{context.organization.id}-{stamp}.{format_named(format_).suffix}")
        except OSError as problem:  # a full disk
            st.session_state[_REFUSED] = f"There is no place for the file: {problem.strerror or problem}."
            return
        job = Job(
            context.engine, "export", f"--organization={context.organization.id}", f"--format={format_}",
            f"--output={file}", *_arguments(counted),
        )  # fmt: skip
        _exports().jobs.append(job)
    former: _Export | None = st.session_state.get(_STATE)
    st.session_state[_STATE] = _Export(context.organization.id, counted.describe(context.zone), records, file, job)
    if former is not None:
        former.job.cancel()
        former.job.wait(_PATIENCE)
        downloads().withdraw(former.file)


def _arguments(chosen: RecordFilter) -> list[str]:
    """The filter as the command line takes it (spec section 6)."""
    params = chosen.to_params()
    flags = ["--with-related"] if params.pop("with_related", None) else []
    return flags + [f"--{name.replace('_', '-')}={value}" for name, values in params.items() for value in values]


def _progress(made: _Export) -> None:
    if not made.job.running:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        done = f"{made.job.checked:,} of {made.records:,} records written"
        st.progress(made.job.share, text="Cancelling ..." if made.job.cancelled else done, width=420)
        st.button("Cancel", disabled=made.job.cancelled, on_click=made.job.cancel)


def _result(made: _Export, now: str) -> None:
    """What was written, and the way to it; `now` is what would be written by now."""
    if made.job.answer is None:
        said = "Cancelled; nothing was kept." if made.job.cancelled else f"{made.job.problem} Nothing was kept."
        st.error(literal(f"The export was not made: {said}"), icon=":material/error:")
        return
    if not made.file.exists():
        st.info("The file of the last export is no longer kept. Make it again.", icon=":material/info:")
        return
    if made.address is None:
        made.address = downloads().offer(made.file)
    written = int(made.job.answer["records"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        kind: Literal["primary", "secondary"] = "primary" if made.said == now else "secondary"
        st.link_button("Download", made.address, type=kind, icon=":material/download:")
        st.text(f"{made.file.name}: {count(written, 'record')}, {_size(made.file)}")
    st.caption(literal(made.said if made.said == now else f"Made before, with another filter: {made.said}"))
    st.caption("SHA-256 of the file, to note beside it")
    st.code(str(made.job.answer["sha256"]), language=None, wrap_lines=True)


def _size(file: Path) -> str:
    size = float(file.stat().st_size)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
