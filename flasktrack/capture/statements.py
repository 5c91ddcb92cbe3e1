"""Capturing statements: bulk operations of the ORM, and Core, on sessions and on bare connections.

Before an UPDATE or DELETE, the rows that its WHERE finds are read and locked, and they are read again after it; of an
INSERT, the keys of the new rows are asked for. What can't be captured so is refused before it is run, with an error
that says what to do instead.

| statement on an audited table | |
| --- | --- |
| `update`, `delete`; by session, connection, `Query`, `bulk_update_mappings` | captured |
| `insert` of one row, of many, from a SELECT, with ON CONFLICT DO NOTHING | captured |
| `bulk_insert_mappings`, `bulk_save_objects` | captured |
| `insert` with ON CONFLICT DO UPDATE or a prefix such as OR REPLACE | refused: which rows it will change is not known |
| `insert` with RETURNING that leaves out the primary key | refused |
| `update` that sets the primary key | refused |
| `insert`, `delete` on a table of a joined hierarchy | refused: a row is only a part of its entity |
| one within a CTE of another statement | refused |
| SQL text: `text("UPDATE sample …")`, `exec_driver_sql` | refused |

What goes past SQLAlchemy (the driver's own cursor, COPY through it, functions and triggers in the database) can't be
seen from here; nor, at PostgreSQL's default isolation level, a row that another transaction brings under the WHERE
between the reading and the statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    CursorResult,
    Delete,
    Engine,
    ExecutionContext,
    Insert,
    TextClause,
    TextualSelect,
    Update,
    event,
    select,
)
from sqlalchemy.sql.dml import UpdateBase

from flasktrack.capture.catalog import Holding, catalog
from flasktrack.capture.kinds import Key
from flasktrack.capture.pending import Changes
from flasktrack.capture.recorder import Recorder
from flasktrack.errors import CaptureRefused

Parameters = Sequence[Mapping[str, Any]]

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


def listen_to_statements(engine: Engine, recorder: Recorder) -> None:
    """Capture the statements of an engine's connections."""
    watch = _Watch(recorder)
    event.listen(engine, "before_execute", watch.before, retval=True)
    event.listen(engine, "after_execute", watch.after)
    event.listen(engine, "before_cursor_execute", watch.before_text)


class _Insert(NamedTuple):
    """How the keys of the rows that an INSERT makes are had."""

    holding: Holding
    consumes: bool
    """Whether the rows that it returns were asked for by us alone."""


class _Statement(NamedTuple):
    """A statement that is being run, and what it changes."""

    clause: UpdateBase
    changes: Changes
    insert: _Insert | None


class _Watch:
    """One engine's listeners."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def before(
        self, connection: Connection, clause: Any, many: Parameters, one: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[Any, Parameters, Mapping[str, Any]]:
        """Read what a statement is about to change. May ask an insert for its keys."""
        if isinstance(clause, UpdateBase):
            clause = self._before_write(connection, clause, many or [one], options)
        return clause, many, one

    def _before_write(
        self, connection: Connection, clause: UpdateBase, sets: Parameters, options: Mapping[str, Any]
    ) -> UpdateBase:
        known = catalog()
        table: Any = clause.table
        holding = known.holdings.get(table)
        reaches = isinstance(clause, Delete) and known.reaches(table)
        if holding is None and not reaches:
            return clause
        pending = self.recorder.pending(connection)
        flush = pending.flush
        if flush is not None and table in flush.tables and "compiled_cache" in options:
            return clause  # the flush's own statement, as SQLAlchemy marks it: its rows have been named
        self.recorder.actor()
        self.recorder.refuse_autocommit(connection)
        if self.recorder.refuses_statements and holding is not None and flush is None:
            raise CaptureRefused(
                f"Rows of {table.name} are changed through a session's objects only, as this application is set up.",
                "Load, change and flush the objects.",
            )
        changes = Changes() if flush is None else flush
        inserting = None
        if isinstance(clause, Insert) and holding is not None:
            clause, consumes = _with_keys(clause, holding, sets)
            inserting = _Insert(holding, consumes)
        elif isinstance(clause, (Update, Delete)):
            if holding is not None:
                _check(clause, holding, sets)
                changes.name_held(connection, holding, _found(connection, clause, holding, sets))
            for parameters in sets if reaches else ():
                for reached, keys in known.dependents(connection, table, clause.whereclause, parameters):
                    changes.name_held(connection, reached, keys)
        pending.statement = _Statement(clause, changes, inserting)
        return clause

    def after(
        self,
        connection: Connection,
        clause: Any,
        many: Parameters,
        one: Mapping[str, Any],
        _options: Mapping[str, Any],
        result: CursorResult[Any],
    ) -> None:
        """Read what it has changed, and put it down."""
        if not isinstance(clause, UpdateBase):
            return
        pending = self.recorder.pending(connection)
        statement: _Statement | None = pending.statement
        if statement is None or statement.clause is not clause:
            return
        pending.statement = None
        if statement.insert is not None:
            try:
                keys = _new_keys(clause, statement.insert, many or [one], result)
            except CaptureRefused as problem:
                pending.add(connection, self.recorder.organization(), [problem])  # it can't be committed nevertheless
                raise
            for kind, some in statement.insert.holding.sort(connection, keys).items():
                for key in some:
                    statement.changes.name_new(kind, key)
        if statement.changes is not pending.flush:
            self.recorder.record(connection, statement.changes)

    def before_text(
        self, connection: Connection, _cursor: Any, text: str, _parameters: Any, context: ExecutionContext, _many: bool
    ) -> None:
        """Refuse what is written in text, or within another statement."""
        compiled = context.compiled
        statement = None if compiled is None else compiled.statement
        if compiled is None or isinstance(statement, (TextClause, TextualSelect)):
            writes = catalog().writes
            found = writes and (writes.search(text) or writes.search(_COMMENT.sub(" ", text)))
            if found is not None:
                raise CaptureRefused(
                    f"SQL text that changes audited rows can't be captured: {' '.join(found[0].split())[:80]!r}.",
                    "Write it with SQLAlchemy's insert(), update() or delete(), or through a session's objects.",
                )
            return
        for cte in getattr(compiled, "ctes", None) or ():
            table: Any = getattr(cte.element, "table", None)
            if isinstance(cte.element, UpdateBase) and table in catalog().holdings:
                raise CaptureRefused(
                    f"A change of {table.name} within another statement can't be captured.",
                    "Run it as a statement of its own.",
                )


def _check(clause: Update | Delete, holding: Holding, sets: Parameters) -> None:
    """Refuse an UPDATE or DELETE after which its rows could not be found again."""
    if isinstance(clause, Delete) and holding.in_parts:
        raise _in_parts(holding)
    if isinstance(clause, Update):
        assigned = {getattr(column, "key", column) for column in clause._values or ()}.union(*sets)
        if assigned & {column.key for column in holding.key}:
            raise CaptureRefused(
                f"An UPDATE that sets the primary key of {holding.table.name} can't be captured.",
                "Change the key of each object in a session, and flush.",
            )


def _found(connection: Connection, clause: Update | Delete, holding: Holding, sets: Parameters) -> list[Key]:
    """The keys of the rows that an UPDATE or DELETE finds."""
    finding = select(*holding.key)
    if clause.whereclause is not None:
        finding = finding.where(clause.whereclause)
    return [tuple(row) for parameters in sets for row in connection.execute(finding, parameters)]


def _with_keys(clause: Insert, holding: Holding, sets: Parameters) -> tuple[Insert, bool]:
    """An INSERT that tells the keys of its rows, and whether it returns rows for us alone."""
    table = holding.table
    if holding.in_parts:
        raise _in_parts(holding)
    conflict = clause._post_values_clause
    if clause._prefixes or (conflict is not None and conflict.__visit_name__ != "on_conflict_do_nothing"):
        raise CaptureRefused(
            f"An INSERT into {table.name} that may change other rows as well (ON CONFLICT DO UPDATE, OR REPLACE) can't "
            "be captured.",
            "Look for the row first, and insert or update it.",
        )
    if clause._returning:
        returned = {column.key for column in clause.exported_columns}
        if not {column.key for column in holding.key} <= returned:
            raise CaptureRefused(
                f"An INSERT into {table.name} that returns rows must return their primary key, to be captured.",
                "Add the key's columns to returning(...).",
            )
        return clause, False
    one_row = len(sets) == 1 and len(table.primary_key.columns) > 0
    simple = conflict is None and not clause._multi_values and not clause._select_names
    if simple and (one_row or clause._return_defaults or _have_keys(holding, sets)):
        return clause, False
    return clause.returning(*holding.key), True


def _have_keys(holding: Holding, sets: Parameters) -> bool:
    names = {column.key for column in holding.key}
    return all(names <= parameters.keys() for parameters in sets)


def _new_keys(clause: UpdateBase, how: _Insert, sets: Parameters, result: CursorResult[Any]) -> list[Key]:
    """The keys of the rows that an INSERT made. Raises CaptureRefused where the database doesn't tell."""
    holding = how.holding
    if clause._returning:
        rows = result.all()
        if not how.consumes:
            result._rewind(rows)  # for whoever asked for them
        return [tuple(row._mapping[str(column.key)] for column in holding.key) for row in rows]
    if _have_keys(holding, sets):
        return [tuple(parameters[str(column.key)] for column in holding.key) for parameters in sets]
    keys: list[Key] = [(None,) if key is None else tuple(key) for key in result.inserted_primary_key_rows]
    if any(None in key for key in keys):
        raise CaptureRefused(
            f"The database doesn't tell the keys of new rows of {holding.table.name}, so they can't be captured.",
            "Give the keys, or add objects to a session. Roll back: nothing of this transaction can be committed.",
        )
    return keys


def _in_parts(holding: Holding) -> CaptureRefused:
    return CaptureRefused(
        f"A row of {holding.table.name} is only a part of an entity, so inserting or deleting it can't be captured.",
        "Add or delete objects in a session.",
    )
