"""Members of an organization and their roles: each change is a record, with a reason, and what was before and after.

    add_member(engine, scope, "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="New head of QA")
    principal_for(engine, "user:anna", how="local account")      # read anew at every click

A row says who is a member, and names the record that says so. It counts only where that is the newest sound record of
the member and says the same: whoever puts a row into the database past FlaskTrack gives nobody a role.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, delete, insert, select, update

from flasktrack.access.demo import demo_role
from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.core.body import check_characters, encode_body, name_problem
from flasktrack.core.record import MAX_ID, MAX_NAME, Record, is_organization_id
from flasktrack.errors import InvalidRecord, MemberRefused
from flasktrack.store.acts import append_act
from flasktrack.store.engine import writing
from flasktrack.store.organizations import find_organization
from flasktrack.store.reader import CheckedRecord, newest_of_entity
from flasktrack.store.schema import member
from flasktrack.store.scope import Permission, Scope

ENTITY_TYPE = "member"
_row = member.c


class Member(NamedTuple):
    """A person in an organization. `seq` is the position of the record that says so.

    `problem` says in a sentence why the row can't be relied on; then nothing is permitted by it.
    """

    organization_id: str
    subject: str
    name: str
    roles: frozenset[Role]
    seq: int
    problem: str | None = None


def principal_for(engine: Engine, subject: str, how: str, context: Mapping[str, Any] | None = None) -> Principal | None:
    """The person of that subject (`type:id`), with their roles by the database now; None for no member.

    Ask at every request and click, and keep no answer: so a removed member is out at once.
    """
    if not _storable(subject):
        return None
    with engine.connect() as connection:
        rows = connection.execute(select(member).where(_row.subject == subject).order_by(_row.organization_id)).all()
        members = [_member(connection, row) for row in rows if is_organization_id(row.organization_id)]
    sound = [one for one in members if one.problem is None and one.roles]
    if not sound:
        return None
    memberships = {one.organization_id: one.roles for one in sound}
    return Principal(subject, sound[0].name, memberships, how, context or {})


def has_members(engine: Engine, organization_id: str | None = None) -> bool:
    """Whether anybody is a member: of this organization, or of any."""
    statement = select(_row.subject).limit(1)
    if organization_id is not None:
        statement = statement.where(_row.organization_id == organization_id)
    with engine.connect() as connection:
        return connection.execute(statement).first() is not None


def list_members(engine: Engine, scope: Scope) -> list[Member]:
    """The organization's members, by subject, with what is wrong with a row. Raises NotPermitted."""
    scope.check(Permission.MANAGE_MEMBERS)
    with engine.connect() as connection:
        rows = connection.execute(_members(scope.organization_id)).all()
        return [_member(connection, row) for row in rows]


def add_member(
    engine: Engine, scope: Scope, subject: str, name: str | None, roles: Collection[Role], *, reason: str
) -> Record:
    """Make a person a member, with roles, and return the record of it.

    `subject` is `user:` and an id: what their sign-in calls them. Raises NotPermitted, MemberRefused for a subject,
    name or roles that none can have, for one who is a member already and for no reason; UnknownOrganization.
    """
    scope.check(Permission.MANAGE_MEMBERS)
    _check_subject(subject)
    after = _state(name or subject.partition(":")[2], roles)
    with writing(engine) as connection:
        find_organization(connection, scope.organization_id)
        if _stored(connection, scope, subject) is not None:
            raise MemberRefused(f"{subject} is a member of {scope.organization_id} already.", "Change their roles.")
        record = _record(connection, scope, "create", subject, None, after, reason)
        values = {"organization_id": scope.organization_id, "subject": subject}
        connection.execute(insert(member).values(**values, **_values(after, record)))
    return record


def change_roles(
    engine: Engine, scope: Scope, subject: str, roles: Collection[Role], *, reason: str, name: str | None = None
) -> Record:
    """Give a member these roles, and no others; and another name where one is given. Returns the record of it.

    Raises NotPermitted, and MemberRefused for one who is no member, for a change of nothing, for no reason, and where
    nobody would be an administrator any more.
    """
    scope.check(Permission.MANAGE_MEMBERS)  # first: whether there is such a member is not theirs to know
    with writing(engine) as connection:
        before = _known(connection, scope, subject)
        after = _state(name or before["name"], roles)
        if after == before:
            raise MemberRefused(f"{subject} has that name and those roles already.", "Nothing was recorded.")
        record = _record(connection, scope, "update", subject, before, after, reason)
        connection.execute(update(member).where(_is(scope, subject)).values(**_values(after, record)))
        _check_administrator(connection, scope, before)
    return record


def remove_member(engine: Engine, scope: Scope, subject: str, *, reason: str) -> Record:
    """End a membership, at once, and return the record of it. Raises as `change_roles`."""
    scope.check(Permission.MANAGE_MEMBERS)
    with writing(engine) as connection:
        before = _known(connection, scope, subject)
        record = _record(connection, scope, "delete", subject, before, None, reason)
        connection.execute(delete(member).where(_is(scope, subject)))
        _check_administrator(connection, scope, before)
    return record


def parse_roles(names: Iterable[str]) -> frozenset[Role]:
    """Roles by name. Raises MemberRefused for a name that is none."""
    try:
        return frozenset(Role(name) for name in names)
    except ValueError:
        raise MemberRefused(f"One of {', '.join(names)[:200]} is no role.", f"Roles are {', '.join(Role)}.") from None


def _record(
    connection: Connection, scope: Scope, action: str, subject: str, before: Any, after: Any, reason: str
) -> Record:
    """Append the record of a change that is permitted and has a reason."""
    scope.check(Permission.MANAGE_MEMBERS)
    if not reason.strip():
        raise MemberRefused("A change of a member needs a reason.", "Say why; it stands in the record.")
    name = (after or before)["name"]
    record = append_act(
        connection, scope, action, (ENTITY_TYPE, subject, name), reason=reason.strip(), before=before, after=after
    )
    now = _stored(connection, scope, subject)  # the record's lock keeps others out from here on
    if now != before:
        raise MemberRefused("Somebody else changed this member meanwhile; nothing was written.", "Look again.")
    return record


def _check_administrator(connection: Connection, scope: Scope, before: Mapping[str, Any]) -> None:
    """Refuse to take away the last administrator: nobody could give the role back but whoever has the server."""
    if Role.ADMINISTRATOR not in before["roles"]:
        return
    rows = connection.execute(_members(scope.organization_id)).all()
    if not any(Role.ADMINISTRATOR in _member(connection, row).roles for row in rows):
        raise MemberRefused(
            f"{scope.organization_id} would have no administrator any more.", "Make somebody else one first."
        )


def _check_subject(subject: str) -> None:
    type_, _, id_ = subject.partition(":")
    if type_ != "user" or not 1 <= len(id_) <= MAX_ID or id_ != id_.strip() or not _storable(subject):
        raise MemberRefused(
            f"{subject[:80]!r} can't be a member.", "Give user: and what their sign-in calls them, such as user:anna."
        )
    if demo_role(subject) is not None:
        raise MemberRefused(f"{subject} is one of the demo's people.", "Give another id.")


def _state(name: str, roles: Collection[Role]) -> dict[str, Any]:
    """A member as records say it."""
    name = name.strip()
    if (problem := name_problem(name, MAX_NAME)) is not None:
        raise MemberRefused(problem, "Give another name.")
    if not roles:
        raise MemberRefused("A member has one role at least.", "Name one, or remove the member.")
    return {"name": name, "roles": [str(role) for role in Role if role in roles]}


def _known(connection: Connection, scope: Scope, subject: str) -> dict[str, Any]:
    stored = _stored(connection, scope, subject) if _storable(subject) else None
    if stored is None:
        raise MemberRefused(f"{subject[:80]!r} is no member of {scope.organization_id}.", "Add them first.")
    return stored


def _stored(connection: Connection, scope: Scope, subject: str) -> dict[str, Any] | None:
    row = connection.execute(select(_row.name, _row.roles).where(_is(scope, subject))).first()
    return None if row is None else {"name": row.name, "roles": _role_names(row.roles)}


def _member(connection: Connection, row: Any) -> Member:
    """A row held against the newest record that speaks of it."""
    record = newest_of_entity(connection, row.organization_id, ENTITY_TYPE, row.subject)
    problem = _problem(row, record)
    roles = frozenset(Role(name) for name in _role_names(row.roles) if name in list(Role))
    found = Member(row.organization_id, row.subject, row.name, roles, row.seq, None)
    return found if problem is None else found._replace(roles=frozenset(), problem=problem)


def _problem(row: Any, record: CheckedRecord | None) -> str | None:
    said = {"name": row.name, "roles": _role_names(row.roles)}
    if record is None or record.findings:
        why = "no sound record says so"
    elif record.after is None or (row.seq, encode_body("after", said)) != (record.record.seq, record.after.body):
        why = f"it is not what record {record.record.seq:,} says"
    else:
        return None
    return f"This membership was changed past FlaskTrack: {why}. It permits nothing."


def _role_names(stored: Any) -> list[str]:
    try:
        names = orjson.loads(stored)
    except (orjson.JSONDecodeError, TypeError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _values(after: Mapping[str, Any], record: Record) -> dict[str, Any]:
    return {"name": after["name"], "roles": orjson.dumps(after["roles"]).decode(), "seq": record.seq}


def _members(organization_id: str) -> Any:
    return select(member).where(_row.organization_id == organization_id).order_by(_row.subject)


def _is(scope: Scope, subject: str) -> Any:
    return (_row.organization_id == scope.organization_id) & (_row.subject == subject)


def _storable(text: str) -> bool:
    """Whether every database can hold and compare it."""
    try:
        check_characters("subject", text)
    except InvalidRecord:
        return False
    return len(text) <= MAX_ID + len("user:")
