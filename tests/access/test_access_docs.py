"""docs/access.md says what the code does: its permission table is the code's."""

from __future__ import annotations

from flasktrack.access.permissions import ROLES
from flasktrack.access.roles import Role
from flasktrack.settings import HOME
from flasktrack.store.scope import Permission

DOCS = (HOME / "docs" / "access.md").read_text()


def test_the_docs_permission_table_is_the_codes() -> None:
    rows = [f"| may | {' | '.join(role.title for role in Role)} |", f"| --- |{' --- |' * len(Role)}"]
    for permission in Permission:
        cells = ("yes" if role in ROLES[permission] else "" for role in Role)
        rows.append(f"| {permission.words} | {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
    assert "\n".join(rows) in DOCS
