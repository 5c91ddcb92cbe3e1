"""What the numbers on a page rest on: the latest verification in one line, and how far it reaches."""

from __future__ import annotations

from flasktrack.core.finding import ERROR, WARNING
from flasktrack.core.times import parse_time
from flasktrack.insight.questions import Questions
from flasktrack.store.verifications import BROKEN, VERIFIED, Verification, latest_verification
from flasktrack.ui.session import Context
from flasktrack.ui.text import count
from flasktrack.ui.theme import STATUS, Look
from flasktrack.ui.times import minute


def chain_verdict(context: Context) -> tuple[Look, str]:
    """The state of the organization's chain, and a sentence that says what it rests on (plain text)."""
    size = newest_position(context)
    latest = latest_verification(context.engine, context.organization.id)
    if latest is None:
        return STATUS["not_checked"], f"{count(size, 'record')}, never verified"
    return STATUS[latest.status], describe(context, latest, size)


def newest_position(context: Context) -> int:
    """Up to where there are records now; not what `chain_head` says, which may be part of what is wrong."""
    return Questions(context.engine, context.organization.id).newest_seq()


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
    warnings = sum(finding.severity == WARNING for finding in done.findings)
    found += f", {count(warnings, 'warning')}" if warnings else ""
    found += f", {done.sealed:,} sealed"
    since = size - done.last_seq
    return f"{found}; {count(since, 'record')} since then not checked" if since > 0 else found
