"""PostgreSQL's row security: whoever does not own the tables sees the rows of one organization at a time, or none.

    with of_organization(engine, "northwind-labs").connect() as connection:
        ...     # SET LOCAL flasktrack.organization = 'northwind-labs', at the beginning of each transaction

It lies below the conditions of every query, and catches the one that was forgotten. It is no wall: whoever can run
statements as the app's role can also set another organization. The owner of the tables is not held back by it, so
migrations, and verifications of all organizations, are the owner's.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text

from flasktrack.core.record import is_organization_id

SETTING = "flasktrack.organization"
POLICY = "flasktrack_organization"
CONDITION = f"(organization_id = current_setting('{SETTING}'::text, true))"
"""As PostgreSQL gives it back. Where nothing is set it is null, and no row is seen."""

TABLES = (
    "audit_payload",
    "audit_record",
    "chain_head",
    "checkpoint",
    "export",
    "organization_setting",
    "record_link",
    "saved_filter",
    "tree_node",
    "verification",
)
"""The tables that have it: all that hold what an organization's people do."""

DIRECTORY = ("api_key", "member", "organization", "service_account")
"""The tables that haven't: it is looked up in them where somebody belongs, before an organization is known."""

_OPTION = "flasktrack_organization"  # execution option: whose rows a connection's transactions are about


def row_security(table: str) -> list[str]:
    """DDL for PostgreSQL: from now on the table shows those who don't own it one organization's rows."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY {POLICY} ON {table} USING {CONDITION}",
    ]


def of_organization(engine: Engine, organization_id: str) -> Engine:
    """The same engine, for transactions that are about one organization.

    An id that can't be one (it may come from an address) is nobody's: then no row is seen.
    """
    return engine.execution_options(**{_OPTION: organization_id if is_organization_id(organization_id) else ""})


def enter(connection: Connection, organization_id: str) -> None:
    """Make the rest of the transaction one about this organization, for whoever has a connection of their own."""
    if connection.dialect.name == "postgresql" and connection.get_execution_options().get(_OPTION) != organization_id:
        _set(connection, organization_id if is_organization_id(organization_id) else "")


def begin(connection: Connection) -> None:
    """Listens to an engine's `begin`: tells the server which organization its connection is about, if it is."""
    organization_id = connection.get_execution_options().get(_OPTION)
    if organization_id is not None:
        _set(connection, organization_id)


def hides_rows(connection: Connection) -> bool:
    """Whether a connection that is not about one organization is shown less than all organizations' rows."""
    if connection.dialect.name != "postgresql" or connection.get_execution_options().get(_OPTION) is not None:
        return False
    return bool(connection.execute(text("SELECT pg_catalog.row_security_active('audit_record')")).scalar_one())


def _set(connection: Connection, organization_id: str) -> None:
    connection.exec_driver_sql(
        "SELECT pg_catalog.set_config(%s, %s, true)",
        (SETTING, organization_id),
        execution_options={"stream_results": False},  # which the connection may ask for: one row needs no cursor
    ).close()
