"""A report for people: what was asked for and by whom, the chain's state, charts, and the records in words.

This is what its PDF (`report_pdf`) and its HTML (`report_html`) have in common: the cover and the closing page. The
records between them are `report_record`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from flasktrack.core.display import display
from flasktrack.export.report_chart import chart, in_words
from flasktrack.export.report_counts import Counts, counts, over_time
from flasktrack.export.selection import ExportOptions, Selection
from flasktrack.export.statement import statement
from flasktrack.store.reader import CheckedRecord
from flasktrack.store.verifications import Verification, latest_verdict

TITLE: Final = "Audit trail report"
SIGNATURE: Final = ("Name", "Meaning of the signature (such as review, approval)", "Date and time", "Signature")
EXPLANATION: Final = (
    "Each record was checked against its own hash when it was read for this report; what failed is said beside it. "
    "The last column of a table says whether a value has been changed since it was first entered, over the entity's "
    "whole history and not only over the records that this report holds. What was last verified of the whole chain is "
    "what the database says: a report proves nothing by itself, and an evidence package does."
)
_TABLES: Final = (
    ("By action", "action"),
    ("By outcome", "outcome"),
    ("By type of entity", "entity_type"),
    ("By actor", "actor_type", "actor_id"),
)
MOST_FINDINGS = 20
_MOST_POSITIONS = 50

STATUS_WORDS: Final = {"verified": "Verified", "broken": "Broken", "not_checked": "Not checked"}


@dataclass(frozen=True, slots=True)
class Cover:
    """What stands before the records. All of it is plain text, but for `chart`, which is an SVG or empty."""

    organization: str
    made_at: str
    zone: str
    status: str
    facts: dict[str, str]
    findings: tuple[str, ...]
    chart: str
    chart_says: str
    counts: tuple[Counts, ...]


@dataclass(slots=True)
class Closing:
    """What stands after the records: how many there were, and which failed their check."""

    records: int = 0
    failed: int = 0
    _positions: list[str] = field(default_factory=list)

    def add(self, checked: CheckedRecord) -> None:
        """Note that a record was printed."""
        self.records += 1
        if any(finding.severity == "error" for finding in checked.findings):
            self.failed += 1
            if self.failed <= _MOST_POSITIONS:
                seq = checked.record.seq
                self._positions.append(f"{seq:,}" if isinstance(seq, int) else display(seq))

    @property
    def sentences(self) -> tuple[str, ...]:
        if not self.records:
            return ("No record meets the filter.",)
        printed = f"{self.records:,} record{'s' * (self.records != 1)} printed, which is all that the filter selects."
        if not self.failed:
            return printed, "Every one of them gave its hash, and is linked to the record before it."
        more = self.failed - len(self._positions)
        which = f"{', '.join(self._positions)}{f' and {more:,} more' if more else ''}"
        return printed, f"{self.failed:,} of them failed their check, at position {which}: see what is said there."


def cover(selection: Selection, options: ExportOptions) -> Cover:
    """What is known before the records are read; the database counts them."""
    ledger = selection.ledger
    facts = {name: display(value) for name, value in statement(selection, options).items()}
    verdict = latest_verdict(ledger.engine, ledger.scope)
    timed = over_time(selection, options.zone) if selection.total else None
    return Cover(
        organization=display(ledger.organization.name),
        made_at=facts["Made at"],
        zone=options.zone.key,
        status=STATUS_WORDS["not_checked" if verdict is None else verdict.status],
        facts=facts,
        findings=tuple(_findings(verdict)),
        chart=chart(timed, options.zone) if timed else "",
        chart_says=in_words(timed, options.zone) if timed else "",
        counts=tuple(counts(selection, title, *columns) for title, *columns in _TABLES if selection.total),
    )


def _findings(verdict: Verification | None) -> list[str]:
    """What the last verification found, the first of it."""
    if verdict is None:
        return []
    said = [*verdict.remarks, *(f"{one.code}: {one.detail}" for one in verdict.findings)]
    more = len(said) - MOST_FINDINGS
    shown = [display(one) for one in said[:MOST_FINDINGS]]
    return [*shown, f"{more:,} more: see the page Integrity, or verify again."] if more > 0 else shown
