"""Triggers that record what is changed past the application: by psql, by scripts, by other programs. PostgreSQL only.

    how = Captured("northwind-labs", "sample", name="code", mask=("access_token",), exclude=("last_seen",))
    install_trigger(connection, "public.sample", how, actor=Actor("user", "u-1"))

From then on each row of the table that is inserted, updated or deleted is a record of the database's user, written by
the database itself (database.sql), in the same transaction. What the application has recorded in that transaction is
not recorded again: the trigger looks for the record itself, so that no setting can pretend one.

It runs when the transaction commits, so that the organization's head is held for no longer than that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from flasktrack.core.record import Event
from flasktrack.core.times import utc_now
from flasktrack.errors import CaptureRefused
from flasktrack.store.organizations import find_organization
from flasktrack.store.schema import metadata
from flasktrack.store.scope import Actor
from flasktrack.store.writer import append

ENTITY_TYPE: Final = "database_trigger"
TRIGGER, TRUNCATE_TRIGGER = "flasktrack_capture", "flasktrack_truncate"

_FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION @schema@\.(\w+)\(.*?AS \$\$(.*?)\$\$;$", re.DOTALL | re.MULTILINE)

_TABLE = """
SELECT c.oid, c.oid::regclass::text AS name, c.relkind::text AS kind, n.nspname AS schema,
    ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
    ARRAY(SELECT a.attname::text FROM pg_index i
        CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(:name)
"""
_HOME = """
SELECT n.nspname AS schema, pg_get_userbyid(c.relowner) AS owner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('audit_record')
"""
_TRIGGERS = """
SELECT t.tgrelid::regclass::text AS name, substr(t.tgargs, 1, length(t.tgargs) - 1) AS how, bool_and(
    o.tgenabled = 'A') AND count(*) = 2 AS enabled
FROM pg_trigger t JOIN pg_trigger o ON o.tgrelid = t.tgrelid AND o.tgname IN (:trigger, :truncate)
WHERE t.tgname = :trigger AND (CAST(:oid AS oid) IS NULL OR t.tgrelid = CAST(:oid AS oid))
GROUP BY t.oid, t.tgrelid, t.tgargs ORDER BY 1
"""
_BODIES = """
SELECT p.proname::text AS name, p.prosrc AS body FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = :schema AND p.proname = ANY(:names)
"""


@dataclass(frozen=True, slots=True)
class Captured:
    """How a table's rows are recorded: the names of columns, as `capture.marks.audited` has them, and the key's.

    An empty key stands for the primary key's columns. For a table whose class the application marks as audited, all of
    it must be as the mark says, so that both write the same.
    """

    organization_id: str
    entity_type: str
    key: tuple[str, ...] = ()
    name: str | None = None
    mask: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Installed(NamedTuple):
    """A table with its trigger. `sound` where it is switched on, and its functions are as FlaskTrack made them."""

    table: str
    how: Captured
    sound: bool


def install_trigger(connection: Connection, table: str, how: Captured, *, actor: Actor) -> Installed:
    """Record the table's changes from the end of this transaction on; `actor` is on record as who did.

    A trigger that is there already is replaced. The database user must be able to make triggers on the table, and be
    the owner of FlaskTrack's tables or a member of that role. Raises CaptureRefused for a table or columns that there
    aren't, and in SQLite; UnknownOrganization; what the writer raises.
    """
    found = _table(connection, table)
    find_organization(connection, how.organization_id)
    how = _checked(found, how)
    installed = _installed(connection, found.oid)
    before = None if installed is None else installed.how
    home = connection.execute(text(_HOME)).one()
    schema, owner = _quoted(home.schema), _quoted(home.owner)
    made = "" if _functions_are_ours(connection) else _script().replace("@schema@", schema)
    owned = (  # also where the functions are older than the tables' owner
        f"ALTER FUNCTION {schema}.{name} OWNER TO {owner}; REVOKE ALL ON FUNCTION {schema}.{name} FROM PUBLIC;"
        for name in _functions()
    )
    _run(connection, "\n".join((made, *owned)))
    for kind, privilege, name in (("SCHEMA", "USAGE", _quoted(found.schema)), ("TABLE", "SELECT", found.name)):
        _run(connection, f"GRANT {privilege} ON {kind} {name} TO {owner}")
    _drop(connection, found.name)
    argument = json.dumps(asdict(how), ensure_ascii=False).replace("'", "''")
    call = f"EXECUTE FUNCTION {schema}.flasktrack_capture(E'{argument.replace(chr(92), chr(92) * 2)}')"
    _run(
        connection,
        f"CREATE CONSTRAINT TRIGGER {TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {found.name} "
        f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {call}",
    )
    _run(
        connection,
        f"CREATE TRIGGER {TRUNCATE_TRIGGER} BEFORE TRUNCATE ON {found.name} FOR EACH STATEMENT {call}",
    )
    for name in (TRIGGER, TRUNCATE_TRIGGER):  # not switched off by session_replication_role = replica
        _run(connection, f"ALTER TABLE {found.name} ENABLE ALWAYS TRIGGER {name}")
    if before is not None and before.organization_id != how.organization_id:
        _on_record(connection, found.name, before, None, actor)
        before = None
    _on_record(connection, found.name, before, how, actor)
    return Installed(found.name, how, True)


def remove_trigger(connection: Connection, table: str, *, actor: Actor) -> Captured:
    """Stop recording the table's changes; with the last one the functions go, too. Raises CaptureRefused."""
    installed = find_trigger(connection, table)
    _drop(connection, installed.table)
    _on_record(connection, installed.table, installed.how, None, actor)
    if not list_triggers(connection):
        schema = _quoted(connection.execute(text(_HOME)).one().schema)
        for name in reversed(list(_functions())):
            _run(connection, f"DROP FUNCTION IF EXISTS {schema}.{name}")
    return installed.how


def list_triggers(connection: Connection) -> list[Installed]:
    """The tables whose changes are recorded by the database. Raises CaptureRefused in SQLite."""
    _only_postgresql(connection)
    return _read(connection, None)


def find_trigger(connection: Connection, table: str) -> Installed:
    """One table's. Raises CaptureRefused where it has none."""
    found = _table(connection, table)
    installed = _installed(connection, found.oid)
    if installed is None:
        raise CaptureRefused(f"The table {found.name} has no trigger of FlaskTrack's.", "Look at: triggers list.")
    return installed


def _installed(connection: Connection, oid: int) -> Installed | None:
    return next(iter(_read(connection, oid)), None)


def _read(connection: Connection, oid: int | None) -> list[Installed]:
    names = {"trigger": TRIGGER, "truncate": TRUNCATE_TRIGGER, "oid": oid}
    rows = connection.execute(text(_TRIGGERS), names).all()
    sound = bool(rows) and _functions_are_ours(connection)
    return [Installed(row.name, _captured(row.how), sound and row.enabled) for row in rows]


def _captured(argument: bytes) -> Captured:
    """How a trigger was installed, from its argument. Raises CaptureRefused for one that FlaskTrack did not make."""
    try:
        stored = json.loads(bytes(argument))
        listed = {name: tuple(stored[name]) for name in ("key", "mask", "exclude")}
        return Captured(stored["organization_id"], stored["entity_type"], name=stored["name"], **listed)
    except (ValueError, KeyError, TypeError):
        raise CaptureRefused(
            f"A trigger {TRIGGER} is not as FlaskTrack makes it.", "Somebody altered it: look at it with psql."
        ) from None


def _functions_are_ours(connection: Connection) -> bool:
    schema = connection.execute(text(_HOME)).one().schema
    made = {name: body.replace("@schema@", _quoted(schema)) for name, body in _functions().items()}
    found = connection.execute(text(_BODIES), {"schema": schema, "names": list(made)})
    return {row.name: row.body for row in found} == made


def _table(connection: Connection, name: str) -> Row[Any]:
    _only_postgresql(connection)
    try:
        with connection.begin_nested():
            found = connection.execute(text(_TABLE), {"name": name}).one_or_none()
    except DBAPIError as problem:
        if getattr(problem.orig, "sqlstate", None) not in ("42601", "42602"):  # it is no name at all
            raise
        found = None
    if found is None:
        raise CaptureRefused(f"There is no table {name[:80]!r} here.", "Give it as schema.table.")
    if found.kind != "r":
        raise CaptureRefused(
            f"{found.name} is no plain table.", "Name a table that isn't a view and isn't partitioned."
        )
    if found.name in metadata.tables:
        raise CaptureRefused(f"The table {found.name} is FlaskTrack's own.", "Name a table of your application.")
    return found


def _checked(table: Row[Any], how: Captured) -> Captured:
    """The same with its key. Raises CaptureRefused where it names what the table doesn't have."""
    key = how.key or tuple(table.key)
    if not key:
        raise CaptureRefused(f"{table.name} has no primary key.", "Name the columns that identify a row.")
    named = (*key, *how.mask, *how.exclude, *((how.name,) if how.name else ()))
    if unknown := [name for name in named if name not in table.columns]:
        raise CaptureRefused(f"{table.name} has no column {unknown[0][:80]!r}.", "Correct the name.")
    if hidden := {*key, how.name} & {*how.mask, *how.exclude}:
        raise CaptureRefused(
            f"{table.name}.{min(map(str, hidden))} identifies or names a row, so it can't be masked or left out.",
            "Name another column.",
        )
    if not how.entity_type or len(how.entity_type) > 255:
        raise CaptureRefused("The type of entity has no name of 1 to 255 characters.", "Give one, such as sample.")
    return Captured(how.organization_id, how.entity_type, key, how.name, how.mask, how.exclude)


def _drop(connection: Connection, table: str) -> None:
    for name in (TRIGGER, TRUNCATE_TRIGGER):
        _run(connection, f"DROP TRIGGER IF EXISTS {name} ON {table}")


def _on_record(
    connection: Connection, table: str, before: Captured | None, after: Captured | None, actor: Actor
) -> None:
    """Who switches this on or off is as much to be known as what it records."""
    how = after or before
    assert how is not None  # noqa: S101 (one of them there is)
    event = Event(
        occurred_at=utc_now(),
        actor_type=actor.type,
        actor_id=actor.id,
        actor_name=actor.name,
        action="create" if before is None else "delete" if after is None else "update",
        entity_type=ENTITY_TYPE,
        entity_id=table,
        before=None if before is None else asdict(before),
        after=None if after is None else asdict(after),
    )
    append(connection, how.organization_id, [event])


def _only_postgresql(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        raise CaptureRefused(
            "Only PostgreSQL can record by itself what is changed past the application.",
            "In SQLite, whoever can write the file can change it unseen: see to who may open it.",
        )


def _quoted(name: str) -> str:
    """A name in SQL; SQLAlchemy would double its percent signs, for a driver that reads them."""
    return '"{}"'.format(name.replace('"', '""'))


def _run(connection: Connection, statement: str) -> None:
    """Run DDL as it is: with parameters, even none, the driver would read its percent signs."""
    try:
        connection.connection.cursor().execute(statement)
    except Exception as problem:
        if getattr(problem, "sqlstate", None) is None:  # it doesn't come from the server
            raise
        raise CaptureRefused(
            f"The database refuses this ({str(problem).splitlines()[0]}).",
            "Be a superuser, or one who owns the table and is a member of the owner of FlaskTrack's tables.",
        ) from None


@cache
def _script() -> str:
    return Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


@cache
def _functions() -> Mapping[str, str]:
    """The functions' bodies by name."""
    return {match[1]: match[2] for match in _FUNCTION.finditer(_script())}
