"""Organizations: one chain each, with a time zone in which its people read times."""

from __future__ import annotations

from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Select, func, insert, select

from flasktrack.core.body import check_characters
from flasktrack.core.header import ZERO_HASH
from flasktrack.core.record import MAX_POSITION, check_organization_id, is_organization_id
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import DatabaseError, InvalidOrganization, InvalidRecord, UnknownOrganization
from flasktrack.store.row_security import enter, hides_rows
from flasktrack.store.schema import audit_record, chain_head, checkpoint, organization

_ENOUGH = 100  # organizations to take five good names from, where somebody put in bad ones


class Organization(NamedTuple):
    """An organization; `created_at` is the spec's text form."""

    id: str
    name: str
    time_zone: str
    created_at: str


def create_organization(
    connection: Connection, organization_id: str, name: str | None = None, time_zone: str = "UTC"
) -> Organization:
    """Make an organization and the head of its empty chain, in the caller's transaction.

    Raises InvalidOrganization for an id that is not a slug, an id that is taken, a name that no
    database can hold, and an unknown time zone.
    """
    check_organization_id(organization_id)
    check_time_zone(time_zone)
    try:
        check_characters("name", name or organization_id)
    except InvalidRecord as problem:
        raise InvalidOrganization(f"The organization's name {problem.problem}.", "Choose another name.") from None
    if connection.scalar(select(organization.c.id).where(organization.c.id == organization_id)) is not None:
        raise InvalidOrganization(f"The organization {organization_id} exists already.", "Choose another id.")
    made = Organization(organization_id, name or organization_id, time_zone, format_time(utc_now()))
    connection.execute(insert(organization).values(**made._asdict()))
    enter(connection, organization_id)
    connection.execute(insert(chain_head).values(organization_id=organization_id, size=0, hash=ZERO_HASH))
    return made


def check_time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name such as Europe/Berlin. Raises InvalidOrganization for any other text."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; "../x" a ValueError; "" an OSError
        raise InvalidOrganization(
            f"{name[:60]!r} is not a time zone.", "Give an IANA name such as Europe/Berlin, or UTC."
        ) from None


def list_organizations(engine: Engine) -> list[Organization]:
    """All organizations of the database, by id."""
    with engine.connect() as connection:
        rows = connection.execute(select(organization).order_by(organization.c.id)).all()
    return [Organization(*row) for row in rows if is_organization_id(row.id)]


def list_chains(engine: Engine) -> list[str]:
    """The ids of all organizations of which anything is stored, even where somebody removed their other rows.

    This, `list_strays` and `chain_sizes` raise DatabaseError where the database user is not shown all of them.
    """
    return sorted(name for name in _stored_ids(engine) if is_organization_id(name))


def list_strays(engine: Engine) -> list[str]:
    """What is stored in place of an organization's id and can't be one, as text.

    FlaskTrack writes no such row, and no page or export would show it: somebody put it in.
    """
    return sorted(
        name if isinstance(name, str) else repr(name) for name in _stored_ids(engine) if not is_organization_id(name)
    )


def _stored_ids(engine: Engine) -> set[Any]:
    columns = (organization.c.id, chain_head.c.organization_id, checkpoint.c.organization_id)
    with engine.connect() as connection:
        if hides_rows(connection):
            raise DatabaseError(
                "This database user is shown one organization at a time, so what concerns all of them can't be done.",
                "Name one with --organization, or connect as a member of flasktrack_owner.",
            )
        return {
            name for statement in (*map(select, columns), _ids_of_records()) for name in connection.scalars(statement)
        }


def _ids_of_records() -> Select[Any]:
    """The organizations of all records, each found by stepping over the whole chain before it.

    The database steps by itself: text that an intruder broke would lead back to itself, if it were read and asked for.
    """
    column = audit_record.c.organization_id
    chain = select(func.min(column).label("id")).cte("chain", recursive=True)
    following = select(func.min(column)).where(column > chain.c.id).correlate(chain).scalar_subquery()
    chain = chain.union_all(select(following).where(chain.c.id.is_not(None)))
    return select(chain.c.id).where(chain.c.id.is_not(None))


def chain_sizes(engine: Engine) -> dict[str, int]:
    """How far each organization's chain reaches: what its head says, and no less than what has been sealed.

    What is stored in place of a size and can't be one counts for nothing.
    """
    sizes = dict.fromkeys(list_chains(engine), 0)
    with engine.connect() as connection:
        for table in (chain_head, checkpoint):
            name, size = table.c.organization_id, table.c.size
            # SQLite sorts text and bytes above every number.
            largest = select(name, func.max(size)).where(size.between(0, MAX_POSITION)).group_by(name)
            for chain, reach in connection.execute(largest):
                if chain in sizes:
                    sizes[chain] = max(sizes[chain], int(reach))
    return sizes


def get_organization(engine: Engine, organization_id: str) -> Organization:
    """One organization. Raises UnknownOrganization where the database holds no such one."""
    with engine.connect() as connection:
        return find_organization(connection, organization_id)


def find_organization(connection: Connection, organization_id: str) -> Organization:
    """As `get_organization`, within the caller's transaction."""
    row = None
    if is_organization_id(organization_id):  # from an address: it may be text that no database takes
        row = connection.execute(select(organization).where(organization.c.id == organization_id)).first()
    if row is None:
        stored = connection.scalars(select(organization.c.id).order_by(organization.c.id).limit(_ENOUGH))
        known = [name for name in stored if is_organization_id(name)][:5]
        raise UnknownOrganization(
            f"There is no organization {organization_id[:80]!r} here.",
            f"Known ones: {', '.join(known)}." if known else "The database holds none yet: import some records.",
        )
    return Organization(*row)
