"""What a file says of itself: whose records, which and how many, and what was known of the chain when it was made.

What it says of the chain is what the database says. It saves a reader from asking, and proves nothing: that is for a
verification, or an evidence package.
"""

from __future__ import annotations

from flasktrack.core.finding import ERROR
from flasktrack.core.times import format_time, in_zone, parse_time, utc_now
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.store.verifications import (
    BROKEN,
    FULL,
    VERIFIED,
    Verification,
    latest_verdict,
)
from flasktrack.trust.checkpoints import latest_checkpoint


def statement(selection: Selection, options: ExportOptions) -> dict[str, str]:
    """Each fact in plain words, by its name."""
    organization = selection.ledger.organization
    zone = options.zone
    last = selection.counted.seq_last
    return {
        "Organization": f"{organization.name} ({organization.id})",
        "Filter": selection.chosen.describe(zone),
        "Records": f"{selection.total:,}",
        "Newest position considered": "none" if last is None or not selection.total else f"{last:,}",
        "Columns": ", ".join(options.columns) or "all",
        "Time zone": zone.key,
        "Asked for by": options.requested_by,
        "Made at": f"{format_time(utc_now())} ({in_zone(utc_now(), zone):%Y-%m-%d %H:%M} {zone.key})",
        **chain_state(selection),
    }


def chain_state(selection: Selection) -> dict[str, str]:
    """What was last verified, and how much of the chain is sealed."""
    engine, scope = selection.ledger.engine, selection.ledger.scope
    newest = selection.ledger.newest()
    with engine.connect() as connection:
        sealed = latest_checkpoint(connection, scope)
    size = sealed.size if sealed is not None and isinstance(sealed.size, int) else 0
    unsealed = max(0, newest - size)
    return {
        "Verified": _verified(latest_verdict(engine, scope), newest),
        "Sealed": f"{f'through position {size:,}' if size else 'nothing'}; {unsealed:,} records not yet sealed",
    }


def _verified(run: Verification | None, newest: int) -> str:
    if run is None:
        return "never"
    if not run.believed:
        return "the latest verification can't be read, so it proves nothing"
    errors = sum(finding.severity == ERROR for finding in run.findings) + len(run.remarks)
    found = {VERIFIED: "no errors", BROKEN: f"BROKEN, errors: {errors:,}"}.get(run.status, "nothing to check")
    which = "all records" if run.mode == FULL else "records"
    since = max(0, newest - run.last_seq)
    at = format_time(parse_time(run.started_at))
    later = f"; {since:,} records since then not checked" if since else ""
    return f"{at} by {run.started_by}: {which} from {run.first_seq:,} to {run.last_seq:,}, {found}{later}"
