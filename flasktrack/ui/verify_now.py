"""Verify or seal now: one such job for an organization at a time, beside the app, whoever starts it and looks."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import NamedTuple

import streamlit as st

from flasktrack.errors import NotPermitted
from flasktrack.store.scope import Permission
from flasktrack.ui.jobs import Job
from flasktrack.ui.session import Context, of_click, of_refresh
from flasktrack.ui.text import literal

_EVERY = 0.5  # seconds between two looks at the progress


class _Started(NamedTuple):
    """A job, and what it takes to start or cancel it."""

    job: Job
    permission: Permission


class _Running:
    """The jobs that run, or ended last, by database and organization."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[tuple[str, str], _Started] = {}

    def get(self, context: Context) -> _Started | None:
        return self._jobs.get(_key(context))

    def start(self, context: Context, permission: Permission, *command: str) -> None:
        try:
            context = of_click(context, permission)
        except NotPermitted:  # the page says so, next
            return
        with self._lock:
            last = self._jobs.get(_key(context))
            if last is None or not last.job.running:
                who = (f"--organization={context.organization.id}", f"--by={context.scope.actor.subject}")
                job = Job(context.engine, *command, *who, context=context.scope.context)
                self._jobs[_key(context)] = _Started(job, permission)


def _key(context: Context) -> tuple[str, str]:
    return context.engine.url.render_as_string(hide_password=False), context.organization.id


@st.cache_resource(show_spinner=False)
def _running() -> _Running:
    return _Running()


def verify_now(context: Context) -> None:
    """Draw the buttons, or the progress of the job that runs; its end draws the page anew."""
    last = _running().get(context)
    if last is not None and last.job.running:
        st.fragment(_progress, run_every=_EVERY)(context, last)
        return
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Verify now", type="primary", icon=":material/fact_check:",
            on_click=_running().start, args=(context, Permission.VERIFY, "verify"),
            help="Checks every record and checkpoint that there is now. The result is kept, with your name.",
        )  # fmt: skip
        st.button(
            "Verify what is new", icon=":material/update:",
            on_click=_running().start, args=(context, Permission.VERIFY, "verify", "--incremental"),
            help="Checks only what came since the last verified checkpoint. Faster, and no full verdict.",
        )  # fmt: skip
        st.button(
            "Seal now", icon=":material/lock:",
            on_click=_running().start, args=(context, Permission.SEAL, "checkpoint"),
            help="Verifies what is new, and signs a checkpoint over everything that there is.",
        )  # fmt: skip
    _tell_end(last)


def seal_first(context: Context) -> None:
    """Draw a button that seals, or the progress of the job that runs; its end draws the page anew."""
    last = _running().get(context)
    if last is not None and last.job.running:
        st.fragment(_progress, run_every=_EVERY)(context, last)
        return
    st.button(
        "Seal now", icon=":material/lock:", on_click=_running().start, args=(context, Permission.SEAL, "checkpoint")
    )
    _tell_end(last)


def _tell_end(last: _Started | None) -> None:
    """Say where the last job did not do what it was to do."""
    if last is not None and last.job.cancelled and last.job.answer is None:  # and had not ended before it was told
        st.info("That was cancelled; nothing of it was kept.", icon=":material/info:")
    elif last is not None and last.job.problem is not None:
        st.error(f"That could not be done: {literal(last.job.problem)}", icon=":material/error:")


def _cancel(context: Context, started: _Started) -> None:
    with suppress(NotPermitted):  # the page says so, next
        of_click(context, started.permission)
        started.job.cancel()


def _progress(context: Context, started: _Started) -> None:
    context, job = of_refresh(context, Permission.SEE_INTEGRITY), started.job
    if not job.running:
        st.rerun()
    done = f"{job.checked:,} of {job.total:,} records checked" if job.total else "Starting ..."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, text="Cancelling ..." if job.cancelled else done, width=420)
        st.button("Cancel", disabled=job.cancelled, on_click=_cancel, args=(context, started))
