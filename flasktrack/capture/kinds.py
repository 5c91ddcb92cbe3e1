"""Kinds of audited entities: what an audited class's rows are called, which columns they have, and reading them.

A kind is a mapped class, or a table that joins two of them. Its rows are read from the database itself, before and
after a change, and not taken from objects: so a snapshot holds what the database made of the values (defaults, the
scale of a number, triggers), in the types that are stored (an encrypted column's ciphertext, an enum's text), and two
snapshots of the same row are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Enum,
    FromClause,
    Select,
    String,
    Table,
    TypeDecorator,
    bindparam,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from flasktrack.capture.snapshot import MASKED, entity_id, json_form
from flasktrack.errors import CaptureRefused

Key = tuple[Any, ...]
"""Values of the primary key's columns, as SQLAlchemy's types give them."""

_PARAMETERS = 900  # in one SELECT; SQLite takes 999 in its older builds


class State(NamedTuple):
    """A row: its entity's id, and the stored values by column."""

    id: str
    values: dict[str, Any]


class Reference(NamedTuple):
    """A foreign key to another table's primary key: the names of its columns, in the order of that key."""

    columns: tuple[str, ...]
    target: Table


@dataclass(frozen=True, eq=False, kw_only=True)
class Kind:
    """One kind of audited entity. `columns` is what a snapshot holds, by its name there."""

    entity_type: str
    selectable: FromClause
    key: tuple[ColumnElement[Any], ...]
    columns: dict[str, Column[Any]]
    name: str | None = None
    masked: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()
    _statements: dict[tuple[str, bool], Select[Any]] = field(default_factory=dict, repr=False)

    def read(self, connection: Connection, keys: Iterable[Key], *, lock: bool = False) -> dict[Key, State]:
        """The rows that there are. With `lock`, nobody else can change them until this transaction ends."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, State] = {}
        if not wanted:
            return found
        statement = self._statement(connection.dialect, lock and connection.dialect.name == "postgresql")
        width = len(self.key)
        size = _PARAMETERS // width
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            chosen = [key[0] for key in part] if width == 1 else part
            for row in connection.execute(statement, {"chosen": chosen}):
                values = dict(zip(self.columns, row[2 * width :], strict=True))
                found[tuple(row[:width])] = State(entity_id(row[width : 2 * width]), values)
        strangers = {entity_id(key): key for key in found.keys() - set(wanted)}
        if strangers:  # keys that the database gives back in a form of its own, such as 7 for "7"
            for key in wanted:
                if key not in found and entity_id(key) in strangers:
                    found[key] = found.pop(strangers[entity_id(key)])
        return found

    def _statement(self, dialect: Dialect, lock: bool) -> Select[Any]:
        statement = self._statements.get((dialect.name, lock))
        if statement is None:
            stored = [_as_stored(column, dialect) for column in (*self.key, *self.columns.values())]
            one = len(self.key) == 1
            chosen: ColumnElement[Any] = self.key[0] if one else tuple_(*self.key)
            statement = (
                select(*self.key, *stored)
                .select_from(self.selectable)
                .where(chosen.in_(bindparam("chosen", expanding=True)))
            )
            if lock:
                statement = statement.order_by(*self.key).with_for_update(key_share=True)
            self._statements[dialect.name, lock] = statement
        return statement

    def snapshot(self, state: State | None) -> dict[str, Any] | None:
        """What a record's section holds of a state. Raises CaptureRefused for a value without a form."""
        if state is None:
            return None
        section = {}
        for name, value in state.values.items():
            try:
                section[name] = MASKED if name in self.masked else json_form(value)
            except TypeError as problem:
                raise CaptureRefused(
                    f"{self.entity_type}.{name} can't be recorded: {problem}.",
                    f'Leave the column out, with @audited(exclude=["{name}"]).',
                ) from None
        return section

    def changed_behind_masks(self, before: State | None, after: State | None) -> list[str]:
        """The masked columns whose values differ."""
        if before is None or after is None:
            return []
        return sorted(name for name in self.masked if before.values[name] != after.values[name])

    def name_of(self, state: State) -> str | None:
        """What people call the entity; None where nobody said."""
        value = None if self.name is None else json_form(state.values[self.name])
        return None if value in (None, "") else str(value)


def _as_stored(column: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    """The column, read as what is in the database and not as what a type of the application makes of it."""
    kind: TypeEngine[Any] = column.type
    while isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    if isinstance(kind, Enum):
        kind = String()
    return column if kind is column.type else type_coerce(column, kind)
