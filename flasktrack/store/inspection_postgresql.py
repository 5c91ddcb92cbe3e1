"""What PostgreSQL's catalogs say of FlaskTrack's tables, held against what the migrations make."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Row, Table, UniqueConstraint, text
from sqlalchemy.exc import DBAPIError

from flasktrack.store import row_security
from flasktrack.store.inspection_words import SHOWN, listed, name_shown
from flasktrack.store.schema import metadata
from flasktrack.store.triggers import FUNCTION_BODY, all_postgresql_triggers

_KINDS = {
    "v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table", "S": "a sequence",
}  # fmt: skip
_FUNCTION = "flasktrack_refuse"
_POLICY = f"{row_security.POLICY} * PERMISSIVE {{0}} USING {row_security.CONDITION}"  # for all commands and users

_RELATIONS = """
SELECT asked.name, c.oid, n.nspname AS schema, c.relkind::text AS kind, c.relpersistence::text AS persistence,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS forced,
    EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE c.oid IN (inhrelid, inhparent)) AS inherits,
    ARRAY(SELECT rulename::text FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid ORDER BY 1) AS rules,
    ARRAY(SELECT concat_ws(' ', polname, polcmd, CASE WHEN polpermissive THEN 'PERMISSIVE' END, polroles,
        'USING ' || pg_catalog.pg_get_expr(polqual, polrelid),
        'CHECK ' || pg_catalog.pg_get_expr(polwithcheck, polrelid))
        FROM pg_catalog.pg_policy WHERE polrelid = c.oid ORDER BY 1) AS policies
FROM pg_catalog.unnest(CAST(:names AS text[])) AS asked (name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(asked.name)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""
_COLUMNS = """
SELECT a.attrelid AS oid, a.attname AS name, concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN 'NOT NULL' END,
    CASE WHEN a.attgenerated <> '' THEN 'GENERATED' WHEN a.attidentity <> '' THEN 'IDENTITY' END,
    'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid),
    CASE WHEN l.collname <> 'default' THEN 'COLLATE ' || l.collname END) AS definition
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = ANY(:oids) AND a.attnum > 0 AND NOT a.attisdropped
"""
# That a column is not null is said of the column; from version 18 on it is a constraint, too.
_CONSTRAINTS = """
SELECT conrelid AS oid, conname AS name, pg_catalog.pg_get_constraintdef(oid) AS definition
FROM pg_catalog.pg_constraint WHERE conrelid = ANY(:oids) AND contype <> 'n'
"""
_INDEXES = """
SELECT i.indrelid AS oid, c.relname AS name, pg_catalog.pg_get_indexdef(i.indexrelid)
    || CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN '' ELSE ' INVALID' END AS definition
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(:oids)
"""
_TRIGGERS = """
SELECT t.tgrelid AS oid, t.tgname AS name, pg_catalog.pg_get_triggerdef(t.oid) || ' ENABLED ' || t.tgenabled::text
    || CASE WHEN p.pronamespace = c.relnamespace THEN '' ELSE ' ELSEWHERE' END AS definition
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid WHERE t.tgrelid = ANY(:oids) AND NOT t.tgisinternal
"""
_PARTS = {"column": _COLUMNS, "constraint": _CONSTRAINTS, "index": _INDEXES, "trigger": _TRIGGERS}
_FUNCTIONS = """
SELECT p.prosrc AS body, l.lanname AS language, p.proconfig IS NULL AS plain FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_language l ON l.oid = p.prolang JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname = :name AND n.nspname = :schema AND p.pronargs = 0
"""
# Schemas that somebody's connection may look into first: this one's, one named like a user, one in a stored setting.
_SHADOWS = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(:names) AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname <> :schema AND (
    n.nspname = ANY(pg_catalog.current_schemas(true))
    OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = nspname)
    OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting, unnest(setconfig) AS setting
               WHERE setting LIKE 'search\\_path=%' AND position(nspname IN setting) > 0))
ORDER BY 1
"""
_AMCHECK = """
SELECT n.nspname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.oid = d.refobjid
WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs = 2
    AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
"""


def inspect_postgresql(connection: Connection) -> list[str]:
    """Sentences on what is other than the migrations made it."""
    sentences: list[str] = []
    schema = None
    names = [table.name for table in metadata.sorted_tables]
    found = {row.name: row for row in connection.execute(text(_RELATIONS), {"names": names})}
    parts = _parts(connection, [row.oid for row in found.values() if row.kind == "r"])
    for table in metadata.sorted_tables:
        row = found.get(table.name)
        if row is None:
            sentences.append(f"The table {table.name} is gone.")
            continue
        schema = row.schema
        sentences += _of_relation(table.name, row)
        if row.kind == "r":
            there = {noun: of_tables[row.oid] for noun, of_tables in parts.items()}
            sentences += _of_parts(table, connection.dialect, row.schema, there)
    if schema is not None:
        sentences += _of_surroundings(connection, schema)
    return sentences


def _parts(connection: Connection, oids: list[int]) -> dict[str, dict[int, dict[str, str]]]:
    """By noun and table, the definitions of the parts by their names."""
    parts: dict[str, dict[int, dict[str, str]]] = {}
    for noun, query in _PARTS.items():
        parts[noun] = defaultdict(dict)
        for row in connection.execute(text(query), {"oids": oids}):
            parts[noun][row.oid][row.name] = _plain(row.definition)
    return parts


def damaged_indexes(connection: Connection) -> list[str]:
    """What amcheck says of the indexes; nothing where the database has no amcheck, or the user may not call it."""
    amcheck = connection.execute(text(_AMCHECK)).scalar_one_or_none()
    if amcheck is None:
        return []
    quoted = connection.dialect.identifier_preparer.quote(amcheck)
    damaged = []
    for table in metadata.sorted_tables:
        oid = connection.execute(text("SELECT pg_catalog.to_regclass(:name)::oid"), {"name": table.name}).scalar()
        for index in connection.execute(
            text("SELECT indexrelid::regclass::text FROM pg_catalog.pg_index WHERE indrelid = :oid ORDER BY 1"),
            {"oid": oid},
        ).scalars():
            said = _checked(connection, quoted, index)
            if said:
                damaged.append(f"The index {name_shown(index)} does not hold what its table holds: {said[:SHOWN]}.")
    return damaged


def _checked(connection: Connection, amcheck: str, index: str) -> str:
    """What amcheck has to say of an index: it raises, with a code of the class XX (data corrupted)."""
    statement = text(f"SELECT {amcheck}.bt_index_check(CAST(:index AS regclass), true)")
    try:
        with connection.begin_nested():
            connection.execute(statement, {"index": index})
    except DBAPIError as problem:
        if not (getattr(problem.orig, "sqlstate", None) or "").startswith("XX"):
            raise
        return (str(problem.orig).splitlines() or ["it is damaged"])[0]
    return ""


def _of_relation(name: str, row: Row[Any]) -> Iterator[str]:
    if row.kind != "r":
        yield f"In place of the table {name} there is {_KINDS.get(row.kind, 'something else')}."
        return
    if row.persistence != "p":
        yield f"The table {name} is not kept like others: it is unlogged or temporary, and can vanish."
    yield from _of_row_security(name, row)
    if row.inherits:
        yield f"The table {name} inherits from another one, or another one from it: it shows rows that are not its own."
    if row.rules:
        yield f"The table {name} has rules, which change what is written or read: {listed(row.rules)}."


def _of_row_security(name: str, row: Row[Any]) -> Iterator[str]:
    """Only the policy that FlaskTrack made may decide which rows somebody sees, and never for the tables' owner."""
    made = [_POLICY] if name in row_security.TABLES else []
    for policy in row.policies:
        if policy not in made:
            yield f"The table {name} has row security of another kind: some users don't see all rows. {policy[:SHOWN]}"
    if row.forced or (row.row_security and not made):
        yield f"The table {name} has row security that FlaskTrack did not switch on: some users don't see all rows."
    if made and not (row.row_security and made[0] in row.policies):
        yield f"The row security of the table {name} is gone: users who may see one organization's rows see all."


def _of_parts(table: Table, dialect: Dialect, schema: str, parts: dict[str, dict[str, str]]) -> Iterator[str]:
    for noun, made in (
        ("column", _columns(table, dialect)),
        ("constraint", _constraints(table)),
        ("index", _indexes(table, schema)),
        ("trigger", _triggers(table.name, schema)),
    ):
        found = parts[noun]
        for name in sorted(made.keys() - found.keys()):
            yield f"The {noun} {name} of the table {table.name} is gone."
        for name in sorted(found.keys() - made.keys()):
            yield f"FlaskTrack did not make the {noun} {name_shown(name)} of the table {table.name}."
        for name in sorted(made.keys() & found.keys()):
            if made[name] != found[name]:
                yield f"The {noun} {name} of the table {table.name} is not what FlaskTrack made: {found[name][:SHOWN]}."


def _of_surroundings(connection: Connection, schema: str) -> Iterator[str]:
    functions = connection.execute(text(_FUNCTIONS), {"name": _FUNCTION, "schema": schema}).all()
    if [(row.body.strip(), row.language, row.plain) for row in functions] != [(FUNCTION_BODY, "plpgsql", True)]:
        yield f"The function {_FUNCTION}, which guards the append-only tables, is not what FlaskTrack made."
    names = [table.name for table in metadata.sorted_tables]
    shadows = connection.execute(text(_SHADOWS), {"names": names, "schema": schema}).scalars().all()
    if shadows:
        yield f"There are tables of the same names that some users read in place of these: {listed(shadows)}."
    path = connection.execute(text("SELECT pg_catalog.current_schemas(true)::text[]")).scalar_one()
    first = next((name for name in path if not name.startswith("pg_temp")), "")
    if first != "pg_catalog":
        yield "The search path puts other schemas before PostgreSQL's own, so that functions may be other ones."


def _plain(definition: str) -> str:
    return " ".join(definition.replace('"', "").split())


def _columns(table: Table, dialect: Dialect) -> dict[str, str]:
    made = {}
    for column in table.columns:
        kind = str(column.type.compile(dialect)).lower().replace("varchar", "character varying")
        default = getattr(column.server_default, "arg", None)
        made[column.name] = (
            kind
            + ("" if column.nullable else " NOT NULL")
            + ("" if default is None else f" DEFAULT '{default}'::{kind}")
        )
    return made


def _constraints(table: Table) -> dict[str, str]:
    made = {}
    if table.primary_key.columns:
        made[f"{table.name}_pkey"] = f"PRIMARY KEY ({', '.join(column.name for column in table.primary_key.columns)})"
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            made[str(constraint.name)] = f"UNIQUE ({', '.join(column.name for column in constraint.columns)})"
    return made


def _indexes(table: Table, schema: str) -> dict[str, str]:
    unique = {name: definition[definition.index("(") :] for name, definition in _constraints(table).items()}
    plain = {str(index.name): f"({', '.join(column.name for column in index.columns)})" for index in table.indexes}
    unique |= {str(index.name): plain.pop(str(index.name)) for index in table.indexes if index.unique}
    return {
        name: f"CREATE {kind} {name} ON {schema}.{table.name} USING btree {columns}"
        for kind, made in (("INDEX", plain), ("UNIQUE INDEX", unique))
        for name, columns in made.items()
    }


def _triggers(table: str, schema: str) -> dict[str, str]:
    return {
        name: _plain(f"{definition.replace(f' ON {table} ', f' ON {schema}.{table} ', 1)} ENABLED A")
        for name, definition in _deparsed()[table].items()
    }


@lru_cache
def _deparsed() -> dict[str, dict[str, str]]:
    """By table and name, the triggers' DDL in the words in which PostgreSQL gives it back."""
    made: dict[str, dict[str, str]] = defaultdict(dict)
    for statement in all_postgresql_triggers():
        found = re.match(r"CREATE TRIGGER (\w+) .* ON (\w+) FOR EACH", statement)
        if found is None:
            continue
        name, table = found.groups()
        before, when, condition = statement.partition("WHEN (")
        condition = re.sub(r"\b(NEW|OLD)\.", lambda match: match[0].lower(), condition)
        condition = re.sub(
            r"(new\.\w+|substr\([^)]*\)\)) IS NOT DISTINCT FROM (old\.\w+)",
            r"(NOT (\1 IS DISTINCT FROM \2))",
            condition,
        )
        condition = re.sub(r"(new\.\w+ IS NULL)", r"(\1)", condition)
        condition = re.sub(r"^(.*)\)( EXECUTE)", r"(\1))\2", condition)
        made[table][name] = (before + when + condition).replace("UPDATE OR DELETE", "DELETE OR UPDATE")
    return made
