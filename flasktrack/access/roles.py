"""Roles: what a person is in an organization, in the words of the people who use FlaskTrack."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """A role, by the name that an address or a setting gives it."""

    LAB_MANAGER = "lab-manager"
    COMPLIANCE_REVIEWER = "compliance-reviewer"
    QA_LEAD = "qa-lead"
    ADMINISTRATOR = "administrator"

    @property
    def title(self) -> str:  # type: ignore[override]  # shadows str.title, which no role needs
        """As people read it."""
        return _TITLES[self]


_TITLES = {
    Role.LAB_MANAGER: "Lab manager",
    Role.COMPLIANCE_REVIEWER: "Compliance reviewer",
    Role.QA_LEAD: "QA lead",
    Role.ADMINISTRATOR: "Administrator",
}


def role_titles(roles: Iterable[Role], last: str = "and") -> str:
    """Several roles as people read them, in their order: `Compliance reviewer and QA lead`."""
    given = frozenset(roles)
    *first, final = [role.title for role in Role if role in given] or ["no role"]
    return f"{', '.join(first)} {last} {final}" if first else final
