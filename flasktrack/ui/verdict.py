"""What the numbers on a page rest on: the latest verification in one line, and how far it reaches."""

from __future__ import annotations

from flasktrack.core.finding import ERROR
from flasktrack.core.times import parse_time
from flasktrack.store.reader import Ledger
from flasktrack.store.verifications import BROKEN, VERIFIED, Verification, latest_verification
from flasktrack.ui.session import Context
from flasktrack.ui.text import count
from flasktrack.ui.theme import STATUS, Look
from flasktrack.ui.times import minute


def chain_verdict(context: Context) -> tuple[Look, str]:
    """The state of the organization's chain, and a sentence that says what it rests on (plain text)."""
    head = Ledger(context.engine, context.organization.id).head()
    size = 0 if head is None else head.size
    latest = latest_verification(context.engine, context.organization.id)
    if latest is None:
        return STATUS["not_checked"], f"{count(size, 'record')}, never verified"
    return STATUS[latest.status], describe(context, latest, size)


def describe(context: Context, done: Verification, size: int) -> str:
    """One verification in a sentence: what it found, of how many records, when, and what it can't speak for."""
    when = minute(parse_time(done.started_at), context.zone)
    errors = sum(finding.severity == ERROR for finding in done.findings)
    if done.status == BROKEN:
        found = f"{count(errors, 'error')} in {count(done.records, 'record')} checked {when}"
    elif done.status == VERIFIED:
        found = (
            f"all {count(done.records, 'record')} checked {when}" if done.records > 1 else f"1 record checked {when}"
        )
    else:
        found = f"there was nothing to check {when}"
    found += f", {done.sealed:,} sealed"
    since = size - done.last_seq
    return f"{found}; {count(since, 'record')} since then not checked" if since > 0 else found
