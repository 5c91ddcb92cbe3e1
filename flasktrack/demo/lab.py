"""The lab's definition: who works there and on what, read from data/sample_lab.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flasktrack.settings import HOME

DEFINITION = HOME / "data" / "sample_lab.toml"
NEW_YEAR = (1, 1)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, or something, that acts."""

    type: str
    id: str
    name: str
    role: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """An assay: its protocol, its instrument (a service account's id), and what its results look like."""

    id: str
    name: str
    protocol: str
    protocol_name: str
    instrument: str
    material: str
    analyte: str
    unit: str
    mean: float
    spread: float
    limit: float


@dataclass(frozen=True, slots=True)
class Lab:
    """One organization of the sample lab."""

    id: str
    name: str
    zone: ZoneInfo
    network: str
    batches_per_day: float
    clients: tuple[str, ...]
    holidays: frozenset[tuple[int, int]]  # month and day: the definition's dates come back every year
    people: tuple[Actor, ...]
    api_keys: tuple[Actor, ...]
    service_accounts: tuple[Actor, ...]
    automations: tuple[Actor, ...]
    freezers: tuple[str, ...]
    workflows: tuple[Workflow, ...]

    def with_role(self, role: str) -> list[Actor]:
        """The people who have a role."""
        return [person for person in self.people if person.role == role]

    def machine(self, actor_id: str) -> Actor:
        """The API key, service account or automation of an id."""
        machines = (*self.api_keys, *self.service_accounts, *self.automations)
        return next(machine for machine in machines if machine.id == actor_id)


def read_labs() -> list[Lab]:
    """The organizations of data/sample_lab.toml."""
    with DEFINITION.open("rb") as file:
        return [_lab(entry) for entry in tomllib.load(file)["organization"]]


def _lab(entry: dict[str, Any]) -> Lab:
    return Lab(
        id=entry["id"],
        name=entry["name"],
        zone=ZoneInfo(entry["time_zone"]),
        network=entry["network"],
        batches_per_day=entry["batches_per_day"],
        clients=tuple(entry["clients"]),
        holidays=frozenset({NEW_YEAR, *((day.month, day.day) for day in map(date.fromisoformat, entry["holidays"]))}),
        people=tuple(Actor("user", **person) for person in entry["people"]),
        api_keys=tuple(Actor("api_key", **key) for key in entry["api_keys"]),
        service_accounts=tuple(Actor("service_account", **account) for account in entry["service_accounts"]),
        automations=tuple(Actor("automation", **automation) for automation in entry["automations"]),
        freezers=tuple(entry["freezers"]),
        workflows=tuple(Workflow(**workflow) for workflow in entry["workflow"]),
    )
