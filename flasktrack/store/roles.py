"""PostgreSQL's roles, so that no program is connected as somebody who can do more than it has to.

    flasktrack_owner      owns the tables: migrations, erasures, new organizations, verifications of all organizations
    flasktrack_app        the app: reads, records, verifies, seals and exports, one organization at a time
    flasktrack_recorder   an application that is recorded: appends
    flasktrack_reader     looks at what is recorded, one organization at a time

Nobody signs in as one of them: each program has a user of its own that is a member of one. But for the owner, none can
change or delete what was recorded, empty a table, switch off a trigger or row security (row_security.py).
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from flasktrack.errors import DatabaseError
from flasktrack.store.schema import metadata

OWNER, APP, RECORDER, READER = "flasktrack_owner", "flasktrack_app", "flasktrack_recorder", "flasktrack_reader"
ROLES = (OWNER, APP, RECORDER, READER)

_EVERYBODY = (APP, RECORDER, READER)
_APPEND = {
    APP: "SELECT, INSERT",
    RECORDER: "SELECT, INSERT",
    READER: "SELECT",
}
GRANTS: dict[str, dict[str, str]] = {
    "organization": dict.fromkeys(_EVERYBODY, "SELECT") | {APP: "SELECT, UPDATE (name, time_zone)"},
    "audit_record": _APPEND,
    "audit_payload": _APPEND,
    "record_link": _APPEND,
    "chain_head": dict.fromkeys((APP, RECORDER), "SELECT, UPDATE (size, hash)") | {READER: "SELECT"},
    # Lines of witnesses are added to a note, which a trigger sees to.
    "checkpoint": {APP: "SELECT, INSERT, UPDATE (note)", READER: "SELECT"},
    "tree_node": {APP: "SELECT, INSERT, DELETE", READER: "SELECT"},
    "verification": {APP: "SELECT, INSERT", READER: "SELECT"},
    "organization_setting": {APP: "SELECT, INSERT, UPDATE (value, seq)", READER: "SELECT"},
    "export": {APP: "SELECT, INSERT, UPDATE"},
    "saved_filter": {APP: "SELECT, INSERT, DELETE"},
    "member": {APP: "SELECT, INSERT, UPDATE (name, roles, seq), DELETE"},
    "service_account": {APP: "SELECT, INSERT, UPDATE (retired_at, seq)"},
    "api_key": {APP: "SELECT, INSERT, UPDATE (revoked_at, seq)"},
    "account": {APP: "SELECT, INSERT, UPDATE (password, temporary, disabled_at, failures, failures_spread_until)"},
    "sign_in_session": {APP: "SELECT, INSERT, UPDATE (seen_at, ended_at), DELETE"},
    "known_browser": {APP: "SELECT, INSERT, DELETE"},
    "sign_in_attempts": {APP: "SELECT, INSERT, UPDATE (failures, failed_at, locked_until), DELETE"},
}
"""By table, what each role may do with it. What is not said here, the owner alone may do."""

_FUNCTION = "flasktrack_refuse()"


def make_roles(connection: Connection, version_table: str) -> None:
    """Make the roles where they are missing, give the tables to their owner, and grant what `GRANTS` says.

    In the caller's transaction. Raises DatabaseError for SQLite, and where the database user may not do it: that takes
    a superuser, or one who may create roles and owns the database.
    """
    if connection.dialect.name != "postgresql":
        raise DatabaseError(
            "SQLite has no roles: whoever can write the file can do everything.",
            "Leave out --roles, and see to who may open the file and its folder.",
        )
    schema = connection.dialect.identifier_preparer.quote(
        connection.execute(text("SELECT current_schema()")).scalar_one()
    )
    there = set(connection.scalars(text("SELECT rolname FROM pg_catalog.pg_roles")))
    for role in ROLES:
        if role not in there:
            connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN")
    if not is_owner(connection):
        connection.exec_driver_sql(f"GRANT {OWNER} TO CURRENT_USER")
    connection.exec_driver_sql(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {OWNER}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(_EVERYBODY)}")
    for table in (version_table, *metadata.tables):
        connection.exec_driver_sql(f"ALTER TABLE {table} OWNER TO {OWNER}")
    connection.exec_driver_sql(f"ALTER FUNCTION {_FUNCTION} OWNER TO {OWNER}")
    grant(connection, version_table)


def grant(connection: Connection, version_table: str) -> None:
    """Grant what `GRANTS` says, and nothing else; in the caller's transaction, as the tables' owner."""
    for table in (version_table, *metadata.tables):
        connection.exec_driver_sql(f"REVOKE ALL ON {table} FROM PUBLIC, {', '.join(_EVERYBODY)}")
        for role, privileges in GRANTS.get(table, {}).items():
            connection.exec_driver_sql(f"GRANT {privileges} ON {table} TO {role}")
    connection.exec_driver_sql(f"GRANT SELECT ON {version_table} TO {', '.join(_EVERYBODY)}")


def is_owner(connection: Connection) -> bool:
    """Whether the database user acts with the owner's rights, where there is such a role."""
    member = text("SELECT pg_catalog.pg_has_role(oid, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = :name")
    return bool(connection.execute(member, {"name": OWNER}).scalar())


def become_owner(connection: Connection, table: str) -> bool:
    """Go on, until the transaction's end, as the owner of the tables where that is the role: what is made is its own.

    Whether it is. PostgreSQL only.
    """
    owned = text(
        "SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(:name)"
    )
    owner = connection.execute(owned, {"name": table}).scalar()
    if owner != OWNER:
        return False
    connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
    return True
