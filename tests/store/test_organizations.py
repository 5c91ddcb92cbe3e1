"""Organizations: made with the head of their empty chain, listed, found, and refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from flasktrack.core.header import ZERO_HASH
from flasktrack.errors import InvalidOrganization, UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.organizations import (
    chain_sizes,
    check_time_zone,
    create_organization,
    get_organization,
    list_chains,
    list_organizations,
    list_strays,
)
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, SOUTHPORT, event, everything, organizations, record, second_record, tamper


def test_an_organization_is_stored_with_the_head_of_an_empty_chain(engine: Engine) -> None:
    with writing(engine) as connection:
        made = create_organization(connection, NORTHWIND, "Northwind Läbs", "Europe/Berlin")
        plain = create_organization(connection, "a" * 63)
    assert get_organization(engine, NORTHWIND) == made
    assert (made.name, made.time_zone) == ("Northwind Läbs", "Europe/Berlin")
    assert (plain.name, plain.time_zone) == (plain.id, "UTC")
    assert abs((datetime.fromisoformat(made.created_at) - datetime.now(UTC)).total_seconds()) < 60
    assert made.created_at.endswith("Z")
    ledger = Ledger(engine, machine_scope(NORTHWIND))
    assert (ledger.organization, ledger.head(), ledger.count()) == (made, (0, ZERO_HASH), 0)


def test_organizations_are_listed_by_id(engine: Engine) -> None:
    assert list_organizations(engine) == []
    assert list_chains(engine) == []
    organizations(engine, SOUTHPORT, "0-lab", NORTHWIND)
    assert [made.id for made in list_organizations(engine)] == ["0-lab", NORTHWIND, SOUTHPORT]


def test_an_organization_is_made_in_the_callers_transaction(engine: Engine) -> None:
    before = everything(engine)
    with engine.connect() as connection:
        create_organization(connection, NORTHWIND)
        connection.rollback()
    assert everything(engine) == before


NO_SLUGS = ["", "-lab", "Lab", "lab 1", "läb", "a" * 64, "lab\n", "a\x00"]


def test_what_cannot_be_an_organization_is_refused_and_nothing_is_written(engine: Engine) -> None:
    organizations(engine)
    before = everything(engine)
    refused = [
        *((id_, "Lab", "UTC", "organization's id") for id_ in NO_SLUGS),
        (NORTHWIND, "Lab", "UTC", "exists already"),
        ("lab", "a\x00b", "UTC", "name holds"),
        ("lab", "\ud800", "UTC", "name holds"),
        ("lab", "Lab", "Mars/Olympus", "Mars/Olympus"),
    ]  # fmt: skip
    for id_, name, zone, words in refused:
        with pytest.raises(InvalidOrganization, match=words), writing(engine) as connection:
            create_organization(connection, id_, name, zone)
    assert everything(engine) == before


@pytest.mark.parametrize(
    "zone", ["", "Europe", "../../etc/passwd", "/etc/localtime", "+01:00", "a\x00", "\ud800", "x" * 5000]
)
def test_only_iana_names_are_time_zones(zone: str) -> None:
    with pytest.raises(InvalidOrganization, match="Europe/Berlin") as refusal:
        check_time_zone(zone)
    assert len(str(refusal.value)) < 200


def test_an_unknown_organization_is_told_from_the_known_ones(engine: Engine) -> None:
    with pytest.raises(UnknownOrganization, match="none yet"):
        get_organization(engine, "nobody")
    organizations(engine, *(f"lab-{n}" for n in range(7)))
    with pytest.raises(UnknownOrganization, match=r"'nobody'.*lab-0, lab-1, lab-2, lab-3, lab-4\.$"):
        get_organization(engine, "nobody")


def test_a_chain_is_listed_whatever_an_insider_removed_of_it(engine: Engine) -> None:
    organizations(engine, NORTHWIND, SOUTHPORT, "empty")
    record(engine, event(1), event(2))
    record(engine, event(1), organization=SOUTHPORT)
    tamper(engine, "DELETE FROM organization", f"DELETE FROM chain_head WHERE organization_id = '{NORTHWIND}'")
    tamper(engine, f"DELETE FROM audit_record WHERE organization_id = '{SOUTHPORT}'")
    assert list_chains(engine) == ["empty", NORTHWIND, SOUTHPORT]


def put_in(engine: Engine, name: str) -> None:
    """Rows under an id, as SQL, that can't be an organization's; its record sorts by it."""
    tamper(
        engine,
        f"INSERT INTO chain_head VALUES ({name}, 0, '')",
        f"INSERT INTO organization VALUES ({name}, 'x', 'UTC', '2026-01-01T00:00:00.000000Z')",
        second_record(1, organization_id=name),
    )


@pytest.mark.parametrize("name", ["AA", "northwind labs", "", "-x", "\u202e"])
def test_what_can_not_be_an_organization_is_told_apart(lab: Engine, name: str) -> None:
    record(lab, event(1))
    put_in(lab, f"'{name}'")
    assert list_strays(lab) == [name]
    assert list_chains(lab) == [NORTHWIND]
    assert chain_sizes(lab) == {NORTHWIND: 1}
    assert [known.id for known in list_organizations(lab)] == [NORTHWIND]
    with pytest.raises(UnknownOrganization, match=rf"Known ones: {NORTHWIND}\.$"):
        get_organization(lab, "nobody")


@pytest.mark.parametrize(
    ("name", "told"), [("x'41'", "b'A'"), ("CAST(x'61ff62' AS TEXT)", "a\ufffdb"), ("CAST(x'ff' AS TEXT)", "\ufffd")]
)
def test_bytes_and_broken_text_in_place_of_an_organization_stop_nothing(
    sqlite_engine: Engine, name: str, told: str
) -> None:
    organizations(sqlite_engine, NORTHWIND, SOUTHPORT)
    record(sqlite_engine, event(1))
    put_in(sqlite_engine, name)
    record(sqlite_engine, event(1), organization=SOUTHPORT)
    assert list_strays(sqlite_engine) == [told]
    assert list_chains(sqlite_engine) == [NORTHWIND, SOUTHPORT]
    assert chain_sizes(sqlite_engine) == {NORTHWIND: 1, SOUTHPORT: 1}


@pytest.mark.parametrize("size", ["'many'", "x'41'", "-5", "9e99", "''"])
def test_a_size_that_can_not_be_counts_for_nothing(sqlite_engine: Engine, size: str) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    tamper(sqlite_engine, f"UPDATE chain_head SET size = {size}")
    assert chain_sizes(sqlite_engine) == {NORTHWIND: 0}


def test_every_chain_is_found_by_its_records_alone(engine: Engine) -> None:
    names = [f"lab-{n}" for n in range(30)]
    organizations(engine, *names)
    for name in names:
        record(engine, event(1), event(2), organization=name)
    tamper(engine, "DELETE FROM organization", "DELETE FROM chain_head")
    assert list_chains(engine) == sorted(names)
