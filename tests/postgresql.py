"""Empty PostgreSQL databases for tests, which use them one after another.

Making a database takes the server many times as long as emptying one. A database is used again only where its catalog
is, entry for entry, what the template's is: whatever a test did to the schema, its owners or its settings and did not
undo ends with the database.
"""

from __future__ import annotations

import uuid
from contextlib import closing

import psycopg
from sqlalchemy import URL

from flasktrack.store.engine import VERSION_TABLE

_OF_DATABASE = "(SELECT oid FROM pg_database WHERE datname = current_database())"
_CATALOGS = (
    "pg_attrdef", "pg_constraint", "pg_default_acl", "pg_event_trigger", "pg_extension", "pg_policy",
    "pg_proc", "pg_publication", "pg_rewrite", "pg_statistic_ext", "pg_trigger", "pg_type",
)  # fmt: skip
_COMPARED = {  # table: which of its rows, and what of them is not compared
    "pg_class": ("oid >= 16384", "{relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid}"),
    "pg_database": (f"oid = {_OF_DATABASE}", "{oid,datname,datfrozenxid,datminmxid}"),
    "pg_db_role_setting": (f"setdatabase = {_OF_DATABASE}", "{}"),
    "pg_namespace": ("true", "{}"),
    "pg_depend": ("greatest(objid, refobjid) >= 16384", "{}"),  # names every object there is
    "pg_attribute": ("attrelid >= 16384", "{}"),
    "pg_index": ("indexrelid >= 16384", "{}"),
    "pg_description": ("objoid >= 16384", "{}"),
    **dict.fromkeys(_CATALOGS, ("oid >= 16384", "{}")),
    VERSION_TABLE: ("true", "{}"),
}
_SUM = "SELECT md5(string_agg(entry, ',' ORDER BY entry)) FROM ({}) AS compared".format(
    " UNION ALL ".join(
        f"SELECT '{catalog}' || (to_jsonb({catalog}) - '{left_out}'::text[])::text AS entry FROM {catalog} WHERE {rows}"
        for catalog, (rows, left_out) in _COMPARED.items()
    )
)
_EMPTY = f"""
DO $$
DECLARE filled regclass; is_filled boolean; guard name;
BEGIN
    FOR filled IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '{VERSION_TABLE}'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', filled) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', filled);
            EXECUTE format('DELETE FROM %s', filled);
            FOR guard IN SELECT tgname FROM pg_trigger WHERE tgrelid = filled AND NOT tgisinternal LOOP
                EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', filled, guard);
            END LOOP;
        END IF;
    END LOOP;
END $$
"""
_OTHERS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datid = {} AND pid <> pg_backend_pid()"


class EmptyDatabases:
    """Databases of one server with what `template` has, and no more."""

    def __init__(self, server: URL, template: str) -> None:
        self._server = server.set(drivername="postgresql")
        self._template = template
        self._spare: list[str] = []
        with closing(self._console(template)) as console:
            self._sum = console.execute(_SUM).fetchone()

    def take(self) -> str:
        """The name of an empty database that nobody else has."""
        if self._spare:
            return self._spare.pop()
        name = f"test_{uuid.uuid4().hex}"
        with closing(self._console("postgres")) as console:
            console.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    def give_back(self, name: str) -> None:
        """Whatever was done to it: it is empty when it is taken again, or is not taken again."""
        if self._emptied(name):
            self._spare.append(name)
            return
        with closing(self._console("postgres")) as console:
            console.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _emptied(self, name: str) -> bool:
        try:
            with closing(self._console(name)) as console:
                console.execute(_OTHERS.format(_OF_DATABASE))
                console.execute("SET session_replication_role = replica")  # no foreign key minds the order
                console.execute(_EMPTY)
                return console.execute(_SUM).fetchone() == self._sum
        except psycopg.Error:  # it can't even be emptied
            return False

    def _console(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._server.set(database=name).render_as_string(False), autocommit=True)
