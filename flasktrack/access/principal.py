"""A principal: the person (or machine) who asks, what they are in which organization, and how they signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flasktrack.access.roles import Role
from flasktrack.store.scope import Actor


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `subject` is type:id, as an actor is written; `how` says how they signed in, such as `local account`.

    `context` is what records of their acts say of the request: its address and user agent, never a token or cookie.
    """

    subject: str
    name: str | None
    memberships: Mapping[str, frozenset[Role]]
    how: str
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """As a sentence names them."""
        return self.name or self.subject

    def actor(self, organization_id: str) -> Actor:
        """As a record of the organization names them, with their roles there."""
        type_, _, id_ = self.subject.partition(":")
        roles = self.memberships.get(organization_id, frozenset())
        return Actor(type_, id_, self.name, ", ".join(role for role in Role if role in roles) or None)
