"""Verifying and sealing on a schedule: a process that runs for months, and a file that says how it fares.

    python -m flasktrack verify --every 6h --seal --health /run/flasktrack/health.json

The health file is for whoever watches: it is written whole after every round, and is too old when a round hangs.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import FlaskTrackError, ScheduleError
from flasktrack.seal.sealing import seal
from flasktrack.store.inspection import IndexCheck
from flasktrack.store.organizations import list_chains
from flasktrack.store.verifications import VERIFIED
from flasktrack.verify.compiled import open_indexes
from flasktrack.verify.runner import Trust, verify_organization

BY = "automation:schedule"


def run_schedule(
    engine: Engine,
    trust: Trust,
    every: timedelta,
    *,
    seals: bool = False,
    health: Path | None = None,
    report: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Verify all organizations in full, and seal them with `seals`, again and again until `stop` is set.

    A round begins `every` so long after the last one began, or at once where that took longer. What fails is reported
    and tried again in the next round. Raises ScheduleError where the health file can't be written.
    """
    for _ in rounds(every, stop or threading.Event()):
        chains = _chains(engine, trust, report)
        with IndexCheck(engine, open_indexes) if chains else nullcontext(None) as indexes:
            done = [_round(engine, chain, trust, seals, report, indexes) for chain in chains]
        if health is not None:
            write_health(health, every, done)


def rounds(every: timedelta, stop: threading.Event) -> Iterator[None]:
    """Rounds of whatever is done again and again: one at once, each `every` so long after the last one began."""
    while True:
        began = time.monotonic()
        yield
        if stop.wait(max(0.0, every.total_seconds() - (time.monotonic() - began))):
            return


def _chains(engine: Engine, trust: Trust, report: Callable[[str], None]) -> list[str]:
    try:
        anchored = trust.anchors.organizations() if trust.anchors is not None else []
        return sorted({*list_chains(engine), *anchored})
    except FlaskTrackError as problem:
        report(str(problem))
        return []


def _round(
    engine: Engine,
    chain: str,
    trust: Trust,
    seals: bool,
    report: Callable[[str], None],
    indexes: IndexCheck | None,
) -> dict[str, Any]:
    """One organization's turn, as the health file tells it."""
    said: dict[str, Any] = {"organization_id": chain, "status": "failed", "at": format_time(utc_now())}
    try:
        done = verify_organization(engine, chain, started_by=BY, trust=trust, indexes=indexes)
        said |= {"status": done.status, "records": done.records, "sealed": done.sealed, "findings": len(done.findings)}
        said |= {"remarks": list(done.remarks)} if done.remarks else {}
        report(f"{chain}: {done.status}, {done.records:,} records, {len(done.findings):,} findings")
        if seals and done.status == VERIFIED:
            sealed = seal(engine, chain, trust, started_by=BY)
            said["sealed"] = sealed.size if sealed is not None else 0
    except FlaskTrackError as problem:
        said["problem"] = str(problem)
        report(f"{chain}: {problem}")
    return said


def write_health(path: Path, every: timedelta, organizations: list[dict[str, Any]]) -> None:
    """Write the health file whole: `ok` only where every organization is verified. Raises ScheduleError."""
    ok = bool(organizations) and all(one["status"] == VERIFIED and "problem" not in one for one in organizations)
    document = {
        "ok": ok,
        "written_at": format_time(utc_now()),
        "every_seconds": int(every.total_seconds()),
        "organizations": organizations,
    }
    try:
        descriptor, name = tempfile.mkstemp(prefix=".health-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as problem:
        raise ScheduleError(
            f"The health file {path} can't be written ({problem.strerror}).", "Give another --health."
        ) from None


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that a service manager's stop ends between two rounds at the latest."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
