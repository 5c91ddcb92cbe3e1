"""A record's own proof, to take away: the text of C2SP tlog-proof, and an evidence package of this one record."""

from __future__ import annotations

import streamlit as st

from flasktrack.errors import FlaskTrackError
from flasktrack.export.sealed import record_proof
from flasktrack.settings import Settings
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.trust.checkpoints import latest_checkpoint
from flasktrack.trust.keyring import Keyring
from flasktrack.ui.downloads import downloads
from flasktrack.ui.jobs import Job
from flasktrack.ui.links import page_link
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.text import literal, number

_PATIENCE = 60.0  # seconds for a package of one record
_STATE = "record_proof"


def draw_proof(context: Context, checked: CheckedRecord) -> None:
    """Draw whether the record can be proved, and the way to its proof."""
    st.markdown("**Proof**")
    seq = checked.record.seq
    if any(finding.severity == "error" for finding in checked.findings):
        st.caption("There is no proof of a record that is not sound.")
        return
    with context.engine.connect() as connection:
        sealed = latest_checkpoint(connection, context.organization.id)
    if sealed is None or sealed.size < seq:
        st.caption("Not sealed yet: no signed checkpoint covers this record, so nothing proves it. Seal first.")
        if context.role in PAGES["integrity"].roles:
            page_link(context, "integrity", "Seal now, on the page Integrity")
        return
    st.caption(f"Sealed: a checkpoint signed over records 1 to {number(sealed.size)} covers it.")
    if context.role not in PAGES["exports"].roles:
        return
    if st.button("Prove this record", icon=":material/verified:", key="prove_record"):
        with st.spinner("Making the proof and the package ..."):
            st.session_state[_STATE] = _make(context, seq)
    made: _Made | None = st.session_state.get(_STATE)
    if made is not None and made.record == (context.organization.id, seq):
        _offer(made)


class _Made:
    """What was made of a record, or why it was not."""

    def __init__(self, record: tuple[str, int]) -> None:
        self.record = record
        self.text = ""
        self.package = ""
        self.problem = ""

    @property
    def name(self) -> str:
        return "{}-record-{}".format(*self.record)


def _make(context: Context, seq: int) -> _Made:
    made = _Made((context.organization.id, seq))
    try:
        ledger = Ledger(context.engine, context.organization.id)
        made.text = record_proof(ledger, Keyring.from_settings(Settings.from_environment()), seq)
        file = downloads().new_file(f"{made.name}.zip")
    except FlaskTrackError as problem:
        made.problem = str(problem)
        return made
    except OSError as problem:  # a full disk
        made.problem = f"There is no place for the package: {problem.strerror or problem}."
        return made
    job = Job(
        context.engine, "export", f"--organization={context.organization.id}", "--format=evidence", f"--output={file}",
        f"--seq={seq}", f"--by={context.principal}",
    )  # fmt: skip
    job.wait(_PATIENCE)
    if job.answer is None:
        job.cancel()
        made.problem = job.problem or "The package took too long. Make it on the page Exports."
    else:
        made.package = downloads().offer(file)
    return made


def _offer(made: _Made) -> None:
    if made.problem:
        st.error(literal(made.problem), icon=":material/error:")
    with st.container(horizontal=True, gap="small"):
        if made.text:
            st.download_button(
                "Proof (C2SP tlog-proof)", made.text, f"{made.name}.tlog-proof", "text/plain",
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip
        if made.package:
            st.link_button("Evidence package of this record", made.package, icon=":material/download:")
    if made.text:
        st.caption(
            "Whoever has the organization's public key checks them without FlaskTrack: docs/evidence.md says how. "
            "Both hold this record's header; the package holds its sections, too."
        )
