"""Roles: what a person may see, in the words of the people who use FlaskTrack."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A role, by the name that an address or a setting gives it."""

    LAB_MANAGER = "lab-manager"
    COMPLIANCE_REVIEWER = "compliance-reviewer"
    QA_LEAD = "qa-lead"

    @property
    def title(self) -> str:  # type: ignore[override]  # shadows str.title, which no role needs
        """As people read it."""
        return _TITLES[self]

    @property
    def sets_thresholds(self) -> bool:
        """Whether it may say by which thresholds something needs attention."""
        return self is Role.QA_LEAD


_TITLES = {
    Role.LAB_MANAGER: "Lab manager",
    Role.COMPLIANCE_REVIEWER: "Compliance reviewer",
    Role.QA_LEAD: "QA lead",
}
