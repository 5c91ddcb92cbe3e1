"""What the numbers on a page rest on: the latest verification in one line, and how far it reaches."""

from __future__ import annotations

from datetime import UTC, datetime

from flasktrack.core.finding import ERROR, WARNING
from flasktrack.core.times import parse_time
from flasktrack.store.reader import Ledger
from flasktrack.store.verifications import (
    BROKEN,
    FULL,
    INCREMENTAL,
    RANGE,
    VERIFIED,
    Verification,
    latest_verdict,
)
from flasktrack.trust.checkpoints import latest_checkpoint
from flasktrack.ui.session import Context
from flasktrack.ui.text import count
from flasktrack.ui.theme import STATUS, Look
from flasktrack.ui.times import minute


def chain_verdict(context: Context) -> tuple[Look, str]:
    """The state of the organization's chain, and a sentence that says what it rests on (plain text).

    A verification of a range speaks for the chain only where it found an error.
    """
    size = newest_position(context)
    latest = latest_verdict(context.engine, context.scope)
    if latest is None:
        return STATUS["not_checked"], f"{count(size, 'record')}, never verified"
    look = STATUS[latest.status]
    if latest.mode == INCREMENTAL and latest.status == VERIFIED:
        look = look._replace(word=f"Verified since {latest.first_seq:,}")  # never a full verdict
    return look, describe(context, latest, size)


def newest_position(context: Context) -> int:
    """Up to where there are records now; not what `chain_head` says, which may be part of what is wrong."""
    return Ledger(context.engine, context.scope).newest()


def describe(context: Context, done: Verification, size: int) -> str:
    """One verification in a sentence: what it found, of how many records, when, and what it can't speak for."""
    if not done.believed:
        return "its verification can't be read, so it proves nothing"
    started = parse_time(done.started_at)
    when = f"{minute(started, context.zone)} ({ago(started)})"
    errors = sum(finding.severity == ERROR for finding in done.findings)
    warnings = sum(finding.severity == WARNING for finding in done.findings)
    which = count(done.records, "record")
    if done.mode != FULL:
        which = f"only the {which} from {done.first_seq:,} to {done.last_seq:,}"
    if done.status == BROKEN:
        altered = f"{count(len(done.remarks), 'fault')} in the tables themselves and " if done.remarks else ""
        found = f"{altered}{count(errors, 'error')} in {which} checked {when}"
    elif done.status == VERIFIED:
        found = f"{'all ' if done.mode == FULL and done.records > 1 else ''}{which} checked {when}"
    else:
        found = f"there was nothing to check {when}"
    found += f", {count(warnings, 'warning')}" if warnings else ""
    if done.mode == RANGE:
        return found
    since = size - done.last_seq
    found += f"; {count(since, 'record')} since then not checked" if since > 0 else ""
    return f"{found}; {_sealed(done, size, sealed_since(context, done))}"


def sealed_since(context: Context, done: Verification) -> int:
    """The size of the newest checkpoint that is stored since a verification, which has not checked it; 0 for none."""
    with context.engine.connect() as connection:
        newest = latest_checkpoint(connection, context.scope)
    if newest is None or not isinstance(newest.size, int) or not isinstance(newest.created_at, str):
        return 0  # an altered row; the next verification says so
    return newest.size if newest.size > done.sealed and newest.created_at >= done.started_at else 0


def _sealed(done: Verification, size: int, since: int) -> str:
    if since:
        said, through = f"sealed through {since:,} since then, the seal not yet checked", since
    elif done.sealed:
        said, through = f"sealed through {done.sealed:,}", done.sealed
        said += f", anchored through {done.anchored:,}" if done.anchored else ", not anchored"
    else:
        return "none sealed"
    return f"{said}, {size - through:,} not yet sealed" if size > through else said


def ago(moment: datetime) -> str:
    """How long ago that was, as one would say it."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < -60:
        return "in the future, by this machine's clock"
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{count(int(seconds // size), unit)} ago"
    return "just now"
