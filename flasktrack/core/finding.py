"""A finding: one thing that a verification, or a reader, reports (spec section 5)."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, INFO = "error", "warning", "info"

SEVERITY = {
    "record_modified": ERROR,
    "record_reordered": ERROR,
    "record_missing": ERROR,
    "chain_broken": ERROR,
    "payload_modified": ERROR,
    "payload_missing": ERROR,
    "link_mismatch": ERROR,
    "ordinal_gap": ERROR,
    "head_mismatch": ERROR,
    "chain_truncated": ERROR,
    "history_rewritten": ERROR,
    "checkpoint_invalid": ERROR,
    "checkpoint_missing": ERROR,
    "state_gap": WARNING,
    "clock_regression": WARNING,
    "payload_erased": INFO,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, at which positions (first and last, inclusive), and a sentence that a QA lead understands."""

    code: str
    organization_id: str
    seq: int
    seq_end: int
    detail: str
    section: str | None = None

    @property
    def severity(self) -> str:
        return SEVERITY[self.code]

    def as_json(self) -> dict[str, object]:
        """The object of spec section 6, `verify --json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "organization_id": self.organization_id,
            "seq": self.seq,
            "seq_end": self.seq_end,
            "section": self.section,
            "detail": self.detail,
        }
