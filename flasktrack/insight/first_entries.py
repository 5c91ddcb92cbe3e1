"""Which values have been changed since they were first entered, over an entity's whole history.

A reader who sees one record must be able to tell whether a value in it is the one that was entered first (EU GMP
Annex 11, 8.2: printouts indicate whether any of the data has been changed since the original entry). So the history is
read once for each entity, whatever was asked for, and each value's changes are kept by their positions.
A field that is null, or absent, was not entered yet.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from flasktrack.insight.diff import leaves
from flasktrack.insight.history import about, recorded_state
from flasktrack.insight.wording import readable
from flasktrack.store.reader import Ledger

_MOST_KEPT = 200_000  # values of recent entities: about 100 MB
MOST_OF_ONE = 20_000
"""Values of one entity whose changes are followed, the first that were entered: an entity of more is none of a lab."""
_LONGEST = 60  # characters of a first entry that are kept

Entity = tuple[Any, Any]  # type and id; an altered row may hold anything there


class Mark(NamedTuple):
    """What became of a value since it was first entered, seen from a record: `first` is what it was, and
    `first_seq` where; both None where it still is that there. `later_seq` is the next record that changes it.
    """

    first: str | None
    first_seq: int | None
    later_seq: int | None


NOT_FOLLOWED = Mark(None, None, None)
"""The mark where an entity has more values than are followed."""


class _Value:
    """One value's history: its first entry in words, and the positions at which it was another one."""

    __slots__ = ("changed_at", "digest", "first")

    def __init__(self, first: Any, digest: int, seq: int) -> None:
        words = readable(first)
        self.first = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
        self.digest: int | None = digest
        self.changed_at = array("q", [seq])  # the first entry's own position comes first

    def change(self, digest: int | None, seq: int) -> None:
        """Note what it is from `seq` on; None where it is not there."""
        if digest != self.digest:
            self.digest = digest
            self.changed_at.append(seq)


_History = dict[str, _Value]


class FirstEntries:
    """Marks values of one organization's records. The histories of the latest entities are kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: OrderedDict[Entity, _History] = OrderedDict()
        self._values = 0

    def prepare(self, entities: Iterable[Entity]) -> None:
        """Read the histories of entities that are going to be asked for, all at once: it saves a query for each."""
        wanted = {entity for entity in entities if all(isinstance(part, str) for part in entity)}
        new = dict.fromkeys(wanted - self._kept.keys())
        for entity in wanted & self._kept.keys():
            self._kept.move_to_end(entity)
        self._kept |= {entity: {} for entity in new}
        for entity, history in self._read(list(new)).items():
            self._kept[entity] = history
            self._values += len(history)
        while self._values > _MOST_KEPT and len(self._kept) > len(wanted):
            self._values -= len(self._kept.popitem(last=False)[1])

    def mark(self, entity: Entity, path: str, seq: int) -> Mark | None:
        """What became of the value at `path` (as `diff.changes` names it) of an entity, seen from the record `seq`.

        None where it was never another one, its history can't be told, or `prepare` was not asked for the entity.
        """
        history = self._kept.get(entity, {})
        value = history.get(path) or _around(history, path)
        if value is None and len(history) >= MOST_OF_ONE:
            return NOT_FOLLOWED
        if value is None or len(value.changed_at) == 1:
            return None
        place = bisect_right(value.changed_at, seq)
        later = value.changed_at[place] if place < len(value.changed_at) else None
        changed = place > 1
        if not changed and (later is None or not place):
            return None
        return Mark(value.first if changed else None, value.changed_at[0] if changed else None, later)

    def _read(self, entities: Sequence[Entity]) -> dict[Entity, _History]:
        histories: dict[Entity, _History] = {entity: {} for entity in entities}
        present: dict[Entity, frozenset[str]] = {}
        for checked in self._ledger.stream(about(entities)) if entities else ():
            state = recorded_state(checked)
            if state is None:
                continue
            record = checked.record
            entity, seq = (record.entity_type, record.entity_id), record.seq
            history = histories[entity]
            found = frozenset(_enter(history, state, seq))
            for path in present.get(entity, frozenset()) - found:
                history[path].change(None, seq)
            present[entity] = found
        return histories


def _enter(history: _History, state: Any, seq: int) -> Iterator[str]:
    """Take in a state that was recorded, and give the paths of its values that have been entered."""
    for path, value in leaves(state):
        digest = hash(orjson.dumps(value))
        if path in history:
            history[path].change(digest, seq)
        elif value is not None and len(history) < MOST_OF_ONE:  # a field that is empty was not entered yet
            history[path] = _Value(value, digest, seq)
        else:
            continue
        yield path


def _around(history: _History, path: str) -> _Value | None:
    """The value that has the path inside it: `plate[3][7]` is a part of `plate`."""
    ends = [place for place, char in enumerate(path) if char in ".["]
    return next((history[path[:end]] for end in reversed(ends) if path[:end] in history), None)
