"""Marking mapped classes as audited.

    @audited(name="code", mask=["access_token"], exclude=["last_seen"])
    class Sample(Base): ...

A mark holds for subclasses, so `@audited()` on a declarative base or a mixin marks all classes under it; what a
subclass masks and excludes comes on top. A class with `__audited__ = None` is left out again. A table that joins
audited classes (`relationship(secondary=...)`) is audited with them, without a mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.orm import Mapper, configure_mappers

C = TypeVar("C", bound=type)
_ATTRIBUTE = "__audited__"

_mappers: WeakSet[Mapper[Any]] = WeakSet()
_changes = count(1)
_generation = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """How a class is audited; columns by the names of their attributes, or their own."""

    entity_type: str | None = None
    name: str | None = None
    mask: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    def names(self) -> frozenset[str]:
        """Every column that it names."""
        return self.mask | self.exclude | ({self.name} if self.name else frozenset())


def audited(
    *, entity_type: str | None = None, name: str | None = None, mask: Iterable[str] = (), exclude: Iterable[str] = ()
) -> Callable[[C], C]:
    """Mark a class as audited: each row that is inserted, updated or deleted is a record.

    `entity_type` is the record's; by default the table's name, in a hierarchy the topmost table's. `name` is the column
    that holds what people call the entity. `mask` names columns whose values are replaced by "[masked]" in every
    snapshot, so that a reader sees that something was there; that such a column changed is told, and not how.
    `exclude` names columns that are left out altogether: a change of nothing else is no record.

    A name that the class has no column of raises CaptureRefused when it is first captured.
    """

    def mark(cls: C) -> C:
        setattr(cls, _ATTRIBUTE, Mark(entity_type, name, frozenset(mask), frozenset(exclude)))
        _note(cls.__dict__.get("__mapper__"))  # mapped, perhaps long ago
        return cls

    return mark


def mark_of(mapper: Mapper[Any]) -> Mark | None:
    """How a mapped class is audited, with what the classes above it say; None where it isn't."""
    if getattr(mapper.class_, _ATTRIBUTE, None) is None:
        return None
    marks = [cls.__dict__[_ATTRIBUTE] for cls in mapper.class_.__mro__ if _ATTRIBUTE in cls.__dict__]
    marks = [mark for mark in marks if mark is not None]
    return Mark(
        next((mark.entity_type for mark in marks if mark.entity_type), None),
        next((mark.name for mark in marks if mark.name), None),
        frozenset().union(*(mark.mask for mark in marks)),
        frozenset().union(*(mark.exclude for mark in marks)),
    )


def own_names(mapper: Mapper[Any]) -> frozenset[str]:
    """The columns that the mark of the class itself names, and that it must therefore have."""
    mark = mapper.class_.__dict__.get(_ATTRIBUTE)
    return frozenset() if mark is None else mark.names()


def marked_mappers() -> tuple[int, dict[Mapper[Any], Mark]]:
    """The mappers of audited classes with their marks, and a number that changes whenever they may."""
    configure_mappers()
    found = {mapper: mark_of(mapper) for mapper in list(_mappers)}
    return _generation, {mapper: mark for mapper, mark in found.items() if mark is not None}


def generation() -> int:
    """The number of `marked_mappers`, as far as mappers are configured."""
    return _generation


def _note(mapper: Mapper[Any] | None, *_: object) -> None:
    global _generation
    _generation = next(_changes)
    if mapper is not None:
        _mappers.add(mapper)


event.listen(Mapper, "mapper_configured", _note)
