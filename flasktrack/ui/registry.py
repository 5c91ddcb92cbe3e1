"""The registry of pages: what there is, where it lies, and what it takes to open it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from flasktrack.access.permissions import ROLES
from flasktrack.access.roles import Role
from flasktrack.store.scope import Permission


class PageEntry(NamedTuple):
    """A page: `path` from the repository's root, `url_path` as in its address ("" for the page that opens first).

    `counts`: its figures count the columnar copy.
    """

    key: str
    title: str
    section: str
    path: str
    url_path: str
    permission: Permission
    counts: bool = True


def _page(
    section: str, key: str, title: str, permission: Permission, *, url_path: str | None = None, counts: bool = True
) -> PageEntry:
    path = f"pages/{section.lower()}/{key}.py"
    return PageEntry(key, title, section, path, key if url_path is None else url_path, permission, counts)


PAGES = {
    page.key: page
    for page in (
        _page("Activity", "overview", "Overview", Permission.SEE_ACTIVITY, url_path=""),
        _page("Activity", "attention", "Attention", Permission.SEE_ACTIVITY),
        _page("Activity", "actors", "Actors", Permission.SEE_ACTIVITY),
        _page("Activity", "entities", "Entities", Permission.SEE_ACTIVITY),
        _page("Compliance", "records", "Records", Permission.SEARCH_RECORDS),
        _page("Compliance", "exports", "Exports", Permission.EXPORT, counts=False),
        _page("Quality", "integrity", "Integrity", Permission.SEE_INTEGRITY, counts=False),
        _page("Administration", "members", "Members", Permission.MANAGE_MEMBERS, counts=False),
        _page("Administration", "keys", "API keys", Permission.MANAGE_KEYS, counts=False),
        _page("Administration", "settings", "Settings", Permission.MANAGE_SETTINGS, counts=False),
    )
}


def pages_for(permissions: Collection[Permission]) -> list[PageEntry]:
    """The pages that somebody with these permissions may open, in their order."""
    return [page for page in PAGES.values() if page.permission in permissions]


ROLES_WITH_PAGES = tuple(role for role in Role if any(role in ROLES[page.permission] for page in PAGES.values()))
"""What the demo's switcher offers."""
