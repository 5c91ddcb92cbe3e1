"""Which kinds of audited entities there are, which tables hold them, and what the database changes along with them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, ForeignKeyConstraint, Table, select, tuple_
from sqlalchemy.orm import Mapper, configure_mappers

from flasktrack.capture.kinds import Key, Kind, Reference
from flasktrack.capture.marks import Mark, generation, marked_mappers, own_names
from flasktrack.capture.snapshot import entity_id
from flasktrack.errors import CaptureRefused

_CHANGES_ROWS = ("CASCADE", "SET NULL", "SET DEFAULT")
_CHUNK = 400


@dataclass(frozen=True, eq=False, kw_only=True)
class Holding:
    """A table that holds audited entities: of one kind, or of a hierarchy's, told apart by its discriminator."""

    table: Table
    entity_type: str
    key: tuple[ColumnElement[Any], ...]
    """The columns of this table that identify the entity."""
    kinds: Mapping[Any, Kind]
    """By mapper; a table that joins others has one kind, under None."""
    base: Mapper[Any] | None = None
    in_parts: bool = False
    """Whether a row is only a part of its entity (joined-table inheritance)."""

    def sort(self, connection: Connection, keys: Iterable[Key]) -> dict[Kind, list[Key]]:
        """The keys by kind; those of kinds that aren't audited are left out."""
        wanted = list(dict.fromkeys(keys))
        base = self.base
        if base is None or base.polymorphic_on is None or len(list(base.self_and_descendants)) == 1:
            return dict.fromkeys(list(self.kinds.values())[:1], wanted)
        sorted_keys: dict[Kind, list[Key]] = defaultdict(list)
        for part in chunks(wanted):
            condition = one_of(base.primary_key, part)
            for *key, identity in connection.execute(select(*base.primary_key, base.polymorphic_on).where(condition)):
                kind = self.kinds.get(base.polymorphic_map.get(identity))
                if kind is not None:
                    sorted_keys[kind].append(tuple(key))
        return sorted_keys


class Edge(NamedTuple):
    """A foreign key by which the database itself changes rows of `child` when a row is deleted, or its key updated."""

    child: Table
    constraint: ForeignKeyConstraint
    on_delete: str
    on_update: str


class Catalog:
    """All kinds, as they are marked now."""

    def __init__(self) -> None:
        self.generation, mappers = marked_mappers()
        self.kinds: dict[Mapper[Any], Kind] = {mapper: _mapped_kind(mapper, mark) for mapper, mark in mappers.items()}
        self.holdings: dict[Table, Holding] = {}
        by_table: dict[Table, list[Mapper[Any]]] = defaultdict(list)
        for mapper in mappers:
            for table in mapper.tables:
                if isinstance(table, Table):
                    by_table[table].append(mapper)
        for table, holders in by_table.items():
            self.holdings[table] = _mapped_holding(table, {mapper: self.kinds[mapper] for mapper in holders})
        for mapper in mappers:
            for relationship in mapper.relationships:
                joining = relationship.secondary
                if isinstance(joining, Table) and joining not in self.holdings:
                    self.holdings[joining] = _joining_holding(joining)
        self.edges = _edges(self.holdings)
        self.writes = _writes(self.holdings)

    def reaches(self, table: Table) -> bool:
        """Whether deleting from the table may change audited rows of other tables."""
        return table in self.edges

    def dependents(
        self,
        connection: Connection,
        table: Table,
        condition: ColumnElement[bool] | None,
        parameters: Mapping[str, Any] | None = None,
        *,
        on_update: bool = False,
    ) -> Iterator[tuple[Holding, list[Key]]]:
        """The audited rows that the database changes when the table's rows that meet the condition are deleted.

        Or, with `on_update`, when their keys change. Directly or through tables between.
        """
        found: dict[Table, dict[Key, None]] = defaultdict(dict)
        self._reach(connection, table, condition, parameters or {}, found, on_update)
        for reached, keys in found.items():
            if reached in self.holdings:
                yield self.holdings[reached], list(keys)

    def _reach(
        self,
        connection: Connection,
        table: Table,
        condition: ColumnElement[bool] | None,
        parameters: Mapping[str, Any],
        found: dict[Table, dict[Key, None]],
        on_update: bool,
    ) -> None:
        for edge in self.edges.get(table, ()):
            if (edge.on_update if on_update else edge.on_delete) not in _CHANGES_ROWS:
                continue
            referred = select(*(element.column for element in edge.constraint.elements)).correlate(None)
            if condition is not None:
                referred = referred.where(condition)
            columns = [element.parent for element in edge.constraint.elements]
            referring = columns[0] if len(columns) == 1 else tuple_(*columns)
            rows = connection.execute(select(*_identifying(edge.child)).where(referring.in_(referred)), parameters)
            keys = [key for key in map(tuple, rows) if key not in found[edge.child]]
            found[edge.child].update(dict.fromkeys(keys))
            if edge.on_delete == "CASCADE" and not on_update:
                for part in chunks(keys):
                    self._reach(connection, edge.child, one_of(_identifying(edge.child), part), {}, found, on_update)

    def related(self, kind: Kind, *states: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The other audited entities that a row refers to, in any of its states: their types and ids."""
        related: dict[tuple[str, str], None] = {}
        for values in states:
            for reference in kind.references:
                holding = self.holdings.get(reference.target)
                key = [values[name] for name in reference.columns]
                if holding is not None and None not in key:
                    related[holding.entity_type, entity_id(key)] = None
        return list(related)


_known: Catalog | None = None


def catalog() -> Catalog:
    """The catalog of what is marked now. Raises CaptureRefused where a mark names a column that isn't there."""
    configure_mappers()  # a class may have been marked since, or before anything was mapped
    return configured_catalog()


def configured_catalog() -> Catalog:
    """The same at less cost, for hooks that run for each object: by then, mappers are configured."""
    global _known
    if _known is None or _known.generation != generation():
        _known = Catalog()
    return _known


def chunks(keys: list[Key]) -> Iterator[list[Key]]:
    """The keys, so many at a time that every database takes them as parameters."""
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def one_of(columns: Iterable[ColumnElement[Any]], keys: list[Key]) -> ColumnElement[bool]:
    """The condition that the columns hold one of the keys."""
    columns = list(columns)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(keys)


def _mapped_kind(mapper: Mapper[Any], mark: Mark) -> Kind:
    columns: dict[str, Column[Any]] = {}
    names: dict[str, str] = {}  # in the snapshot, by what a mark may call it
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if not isinstance(column, Column) or column.table not in mapper.tables:
            continue  # an expression: nothing that is stored
        name = column.name if column.name not in columns else f"{column.table.name}.{column.name}"
        names[attribute.key] = names[column.name] = name
        columns[name] = column
    unknown = own_names(mapper) - names.keys()
    if unknown:
        raise CaptureRefused(
            f"{mapper.class_.__name__} has no column {min(unknown)!r}, which @audited names.", "Correct the name there."
        )
    masked = frozenset(names[name] for name in mark.mask if name in names)
    excluded = {names[name] for name in mark.exclude if name in names}
    called = names.get(mark.name or "")
    if called in masked | excluded:
        raise CaptureRefused(
            f"{mapper.class_.__name__}.{called} can't be the name, as it is masked or left out.", "Name another column."
        )
    columns = {name: column for name, column in columns.items() if name not in excluded}
    top = mapper.base_mapper.local_table
    return Kind(
        entity_type=mark.entity_type or (top.name if isinstance(top, Table) else mapper.class_.__name__),
        selectable=mapper.persist_selectable,
        key=tuple(mapper.primary_key),
        columns=columns,
        name=called,
        masked=masked,
        references=tuple(_references(mapper.tables, columns, masked)),
    )


def _mapped_holding(table: Table, kinds: dict[Mapper[Any], Kind]) -> Holding:
    mapper = next(iter(kinds))
    base = mapper.base_mapper
    key: list[ColumnElement[Any]] = []
    for column in mapper.primary_key:
        same = mapper.get_property_by_column(column).columns
        key.append(next((other for other in same if other.table is table), column))
    parts = any(len(one.tables) > 1 and table in one.tables for one in base.self_and_descendants)
    return Holding(
        table=table, entity_type=kinds[mapper].entity_type, key=tuple(key), kinds=kinds, base=base, in_parts=parts
    )


def _joining_holding(table: Table) -> Holding:
    columns = {column.name: column for column in table.columns}
    kind = Kind(
        entity_type=table.name,
        selectable=table,
        key=_identifying(table),
        columns=columns,
        references=tuple(_references([table], columns, frozenset())),
    )
    return Holding(table=table, entity_type=table.name, key=kind.key, kinds={None: kind})


def _identifying(table: Table) -> tuple[Column[Any], ...]:
    """The primary key's columns; all, where there is none."""
    return tuple(table.primary_key.columns) or tuple(table.columns)


def _references(
    tables: Iterable[Any], columns: Mapping[str, Column[Any]], masked: frozenset[str]
) -> Iterator[Reference]:
    tables = list(tables)
    names = {column: name for name, column in columns.items() if name not in masked}
    for table in tables:
        for constraint in sorted(table.foreign_key_constraints, key=lambda one: one.column_keys):
            target = constraint.referred_table
            local = {element.column: element.parent for element in constraint.elements}
            key = tuple(target.primary_key.columns)
            if set(local) == set(key) and all(local[part] in names for part in key):
                if target in tables and all(local[part].primary_key for part in key):
                    continue  # the part of the same entity in the table above it
                yield Reference(tuple(names[local[part]] for part in key), target)


def _edges(holdings: Mapping[Table, Holding]) -> dict[Table, list[Edge]]:
    """The foreign keys through which the database itself may change audited rows, by the table they point to."""
    everything: dict[Table, list[Edge]] = defaultdict(list)
    for metadata in {table.metadata for table in holdings}:
        for child in metadata.tables.values():
            for constraint in child.foreign_key_constraints:
                edge = Edge(child, constraint, (constraint.ondelete or "").upper(), (constraint.onupdate or "").upper())
                if edge.on_delete in _CHANGES_ROWS or edge.on_update in _CHANGES_ROWS:
                    everything[constraint.referred_table].append(edge)
    reaching: dict[Table, list[Edge]] = {}
    audited = set(holdings)
    while True:
        more = {
            parent: useful
            for parent, edges in everything.items()
            if len(useful := [edge for edge in edges if edge.child in audited or edge.child in reaching])
            > len(reaching.get(parent, ()))
        }
        if not more:
            return reaching
        reaching.update(more)


def _writes(holdings: Iterable[Table]) -> re.Pattern[str] | None:
    """Finds, in SQL text, that it writes to an audited table."""
    names = "|".join(sorted((re.escape(table.name) for table in holdings), key=len, reverse=True))
    if not names:
        return None
    table = rf'(?:only\s+)?(?:["`\[]?\w+["`\]]?\s*\.\s*)?["`\[]?(?:{names})["`\]]?(?![\w$])'
    return re.compile(
        rf"\b(?:(?:insert|replace)(?:\s+or\s+\w+)?\s+into|update(?:\s+or\s+\w+)?|delete\s+from|merge\s+into|copy)"
        rf"\s+{table}|\btruncate\b.*?{table}",
        re.IGNORECASE | re.DOTALL,
    )
