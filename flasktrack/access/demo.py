"""The demo's people: one for each role, in every organization, without any sign-in.

They exist where the app is a demo, on the loopback address; nobody can be made a member under such a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role

PREFIX = "user:demo-"
HOW = "demo"


def demo_principal(role: Role, organization_ids: Iterable[str], context: Mapping[str, Any] | None = None) -> Principal:
    """The demo's person of a role."""
    memberships = dict.fromkeys(organization_ids, frozenset({role}))
    return Principal(f"{PREFIX}{role}", f"Demo {role.title}", memberships, HOW, context or {})


def demo_role(subject: str) -> Role | None:
    """The role of the demo's person of that name; None for anybody else."""
    return next((role for role in Role if subject == f"{PREFIX}{role}"), None)
