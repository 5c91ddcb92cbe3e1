"""The people who click in a load: their organizations, accounts and roles, and where they go."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

from sqlalchemy import Engine

from benchmarks.visitor import Params
from flasktrack.access.accounts import add_account, list_accounts
from flasktrack.access.members import add_member, list_members
from flasktrack.access.passwords import hash_password
from flasktrack.access.roles import Role
from flasktrack.store.engine import writing
from flasktrack.store.organizations import list_organizations
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope

PASSWORD = "a few words for a load of clicks"  # noqa: S105 (of accounts in a database made for measuring)
ROLES = (Role.QA_LEAD, Role.COMPLIANCE_REVIEWER, Role.LAB_MANAGER)
_WHO = re.compile(rb"Signed in as \*\*(.*?)\*\*")


class Person(NamedTuple):
    """Somebody who clicks: `foreign` are words that must never be in what they are sent, `places` where they go."""

    id: str
    name: str
    organization_id: str
    organization: str
    foreign: tuple[str, ...]
    places: tuple[tuple[str, Params], ...]


def gather(engine: Engine, count: int) -> list[Person]:
    """So many people of all organizations and roles in turn, with accounts and memberships where they lack them."""
    password = hash_password(PASSWORD)
    organizations = list_organizations(engine)
    accounts = {account.id for account in list_accounts(engine)}
    members = {member.subject for one in organizations for member in list_members(engine, machine_scope(one.id))}
    ledgers = {one.id: Ledger(engine, machine_scope(one.id)) for one in organizations}
    places = {(one.id, role): tuple(_places(ledgers[one.id], role)) for one in organizations for role in ROLES}
    turns = cycle([(one, role) for role in ROLES for one in organizations])
    people = []
    for number, (organization, role) in zip(range(1, count + 1), turns, strict=False):
        id_, name = f"visitor-{number}", f"Visitor {number}"
        if id_ not in accounts:
            with writing(engine) as connection:
                add_account(connection, id_, name, password)
        if f"user:{id_}" not in members:
            scope = machine_scope(organization.id)
            add_member(engine, scope, f"user:{id_}", name, {role}, reason="Clicks in a measurement")
        foreign = tuple(word for one in organizations if one != organization for word in (one.id, one.name))
        walk = places[organization.id, role]
        people.append(Person(id_, name, organization.id, organization.name, foreign, walk))
    return people


def crossed(sent: bytes, person: Person) -> Iterator[str]:
    """What is wrong with whom a page is about: it must name its organization and its reader, and no others."""
    if person.organization.encode() not in sent:
        yield "the page does not name its organization"
    readers = set(_WHO.findall(sent))
    if readers != {person.name.encode()}:
        yield f"the page is {' and '.join(sorted(map(repr, readers))) or 'nobody'}'s, not {person.name}'s"
    for word in person.foreign:
        if word.encode() in sent:
            yield f"the page holds {word}, which is another organization's"


def _places(ledger: Ledger, role: Role) -> Iterator[tuple[str, Params]]:
    """Pages that a person of that role looks at, with what is asked of them."""
    newest = ledger.newest()
    draw = random.Random(newest)
    yield "", {}
    yield "", {"outcome": ["denied"]}
    yield "actors", {}
    yield "entities", {}
    yield "attention", {}
    for _ in range(3):
        checked = ledger.get(draw.randint(max(1, newest // 2), newest))
        if checked is None:
            continue
        record = checked.record
        yield "actors", {"actor": [f"{record.actor_type}:{record.actor_id}"]}
        yield "entities", {"entity": [f"{record.entity_type}:{record.entity_id}"]}
        yield "", {"action": [record.action]}
        if role is not Role.LAB_MANAGER:
            yield "records", {"record": [str(record.seq)]}
            yield "records", {"entity": [f"{record.entity_type}:{record.entity_id}"], "with_related": ["1"]}
    if role is not Role.LAB_MANAGER:
        yield "exports", {"outcome": ["denied"]}
    if role is Role.QA_LEAD:
        yield "integrity", {}
