"""The registry of pages: what there is, where it lies, and who may open it."""

from __future__ import annotations

from typing import NamedTuple

from flasktrack.access.roles import Role

EVERYBODY = frozenset({Role.LAB_MANAGER, Role.COMPLIANCE_REVIEWER, Role.QA_LEAD})
REVIEWERS = frozenset({Role.COMPLIANCE_REVIEWER, Role.QA_LEAD})
QUALITY = frozenset({Role.QA_LEAD})


class PageEntry(NamedTuple):
    """A page: `path` from the repository's root, `url_path` as in its address ("" for the page that opens first).

    `counts`: its figures count the columnar copy.
    """

    key: str
    title: str
    section: str
    path: str
    url_path: str
    roles: frozenset[Role]
    counts: bool = True


PAGES = {
    page.key: page
    for page in (
        PageEntry("overview", "Overview", "Activity", "pages/activity/overview.py", "", EVERYBODY),
        PageEntry("attention", "Attention", "Activity", "pages/activity/attention.py", "attention", EVERYBODY),
        PageEntry("actors", "Actors", "Activity", "pages/activity/actors.py", "actors", EVERYBODY),
        PageEntry("entities", "Entities", "Activity", "pages/activity/entities.py", "entities", EVERYBODY),
        PageEntry("records", "Records", "Compliance", "pages/compliance/records.py", "records", REVIEWERS),
        PageEntry(
            "exports", "Exports", "Compliance", "pages/compliance/exports.py", "exports", REVIEWERS, counts=False
        ),
        PageEntry(
            "integrity", "Integrity", "Quality", "pages/quality/integrity.py", "integrity", QUALITY, counts=False
        ),
    )
}


def pages_for(role: Role) -> list[PageEntry]:
    """The pages that a role may open, in their order."""
    return [page for page in PAGES.values() if role in page.roles]


ROLES_WITH_PAGES = tuple(role for role in Role if pages_for(role))
"""What the demo's switcher offers."""
