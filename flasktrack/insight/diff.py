"""What changed between two states of an entity, field by field, as people would say it.

    changes({"volume": 10, "tags": ["a", "b"]}, {"volume": 12, "tags": ["b"]})
    ->  tags: removed "a", which was item 1;  volume: changed from 10 to 12

A change's `path` names the field: keys joined by dots (a key that could be misread is quoted as in JSON), and
items of lists in brackets, by what identifies them or else by the place that they had, counted from 1:

    steps[id=S-2].volume        "a.b".c        plate[3][7]

Items of a list that hold an `id` or `name` of their own are followed by it. Others are matched by value, so that
inserting one does not change all that follow; they come and go under the list's own path. Where as many went as
came, they are taken for each other if both are objects or both are lists.

A value that went from one field and came in another, and in no third, was moved there (or the field was renamed).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Kind = Literal["added", "removed", "changed", "moved"]
_IDENTIFIERS = ("id", "name")
_PLAIN_KEY = re.compile(r"[^\s.\"\[\]=](?:[^.\"\[\]=]*[^\s.\"\[\]=])?")
_PLAIN_VALUE = re.compile(r"(?!(?:true|false|null)$)[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `before` is None where something was added, and `after` where it was removed.

    A null that was there and became a value is `changed` from None. An item of a list that was added, removed or
    moved has its places there, from 1. A moved item is given as it is now; what changed inside it comes apart.
    `path_before` is where a value was that came from another field.
    """

    path: str
    kind: Kind
    before: Any = None
    after: Any = None
    place_before: int | None = None
    place_after: int | None = None
    path_before: str | None = None


def changes(before: Any, after: Any) -> list[Change]:
    """The changes between two states (parsed JSON; None for no state), in order of their fields.

    Values differ where their JSON does: 1 and 1.0, or null and an absent key, are not the same.
    """
    if before is None and isinstance(after, dict) and after:
        before = {}
    if after is None and isinstance(before, dict) and before:
        after = {}
    if before is None and after is not None:
        return [Change("", "added", after=after)]
    if after is None and before is not None:
        return [Change("", "removed", before=before)]
    return _with_moves(list(_changes("", before, after)))


def _with_moves(found: list[Change]) -> list[Change]:
    """The changes, where each value that only went from one path and only came at another is one move."""
    gone, come = (
        _only(change for change in found if change.kind == kind and _telling(getattr(change, side)))
        for kind, side in (("removed", "before"), ("added", "after"))
    )
    moves: dict[int, Change | None] = {}
    for value in gone.keys() & come.keys():
        old, new = gone[value], come[value]
        moves[id(new)] = Change(
            new.path, "moved", old.before, new.after, old.place_before, new.place_after, path_before=old.path
        )
        moves[id(old)] = None
    kept = (moves.get(id(change), change) for change in found) if moves else found
    return [change for change in kept if change is not None]


def _only(found: Iterable[Change]) -> dict[bytes, Change]:
    """The changes whose value no other one has, by that value."""
    by_value: dict[bytes, list[Change]] = defaultdict(list)
    for change in found:
        by_value[_json(change.before if change.kind == "removed" else change.after)].append(change)
    return {value: those[0] for value, those in by_value.items() if len(those) == 1}


def _telling(value: Any) -> bool:
    """Whether a value is not one that anything may have: then it is more likely moved than there by accident."""
    return not (value is None or isinstance(value, bool) or value in (0, 1, "", [], {}))


def leaves(state: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of a state with the path that `changes` would give it; what has no parts of its own is one value.

    A list whose items nothing identifies is one value, too: its items come and go under the list's own path.
    """
    if isinstance(state, dict) and state:
        for key in sorted(state):
            yield from leaves(state[key], f"{path}.{_key(key)}" if path else _key(key))
    elif isinstance(state, list) and state and (identifier := _identifier(state, state)) is not None:
        for item in state:
            yield from leaves(item, f"{path}[{identifier}={_value(item[identifier])}]")
    else:
        yield path, state


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            field = f"{path}.{_key(key)}" if path else _key(key)
            if key not in before:
                yield Change(field, "added", after=after[key])
            elif key not in after:
                yield Change(field, "removed", before=before[key])
            else:
                yield from _changes(field, before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        yield from _item_changes(path, before, after)
    elif _json(before) != _json(after):
        yield Change(path, "changed", before, after)


def _item_changes(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """Changes inside the items that stayed, then the items that went, came and moved."""
    identifier = _identifier(before + after, before, after)
    if identifier is not None:
        old, new = ([_json(item[identifier]) for item in items] for items in (before, after))
    else:
        old, new = ([_json(item) for item in items] for items in (before, after))
    pairs, gone, come = _match(old, new)
    if identifier is None and len(gone) == len(come):
        same = [(i, j) for i, j in zip(gone, come, strict=True) if _alike(before[i], after[j])]
        pairs = sorted(pairs + same)
        gone = sorted(set(gone) - {i for i, _ in same})
        come = sorted(set(come) - {j for _, j in same})

    def named(item: Any, otherwise: str) -> str:
        return otherwise if identifier is None else f"{path}[{identifier}={_value(item[identifier])}]"

    for i, j in pairs:
        yield from _changes(named(before[i], f"{path}[{i + 1}]"), before[i], after[j])
    for i in gone:
        yield Change(named(before[i], path), "removed", before=before[i], place_before=i + 1)
    for j in come:
        yield Change(named(after[j], path), "added", after=after[j], place_after=j + 1)
    for i, j in _moved(pairs):
        yield Change(named(after[j], path), "moved", after[j], after[j], i + 1, j + 1)


def _identifier(items: list[Any], *lists: list[Any]) -> str | None:
    """The key that tells the items apart: all have it, and no list has a value twice."""
    for key in _IDENTIFIERS:
        if all(isinstance(item, dict) and isinstance(item.get(key), (str, int)) for item in items) and all(
            len({_json(item[key]) for item in one}) == len(one) for one in lists
        ):
            return key
    return None


def _match(old: list[bytes], new: list[bytes]) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Indexes of the items that are in both lists, in the old one alone, in the new one alone; in linear time."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    waiting: dict[bytes, deque[int]] = defaultdict(deque)
    for j in range(head, len(new) - tail):
        waiting[new[j]].append(j)
    pairs = [(i, i) for i in range(head)]
    gone = []
    for i in range(head, len(old) - tail):
        if waiting[old[i]]:
            pairs.append((i, waiting[old[i]].popleft()))
        else:
            gone.append(i)
    pairs += [(len(old) - k, len(new) - k) for k in range(tail, 0, -1)]
    return pairs, gone, sorted(j for left in waiting.values() for j in left)


def _moved(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The fewest pairs whose items must have moved: all but a longest increasing run of new places."""
    ends: list[int] = []  # the least last place of an increasing run of each length
    lengths = []
    for _, j in pairs:
        length = bisect_left(ends, j)
        ends[length : length + 1] = [j]
        lengths.append(length)
    wanted = len(ends) - 1
    moved = []
    for pair, length in zip(reversed(pairs), reversed(lengths), strict=True):
        if length == wanted:
            wanted -= 1
        else:
            moved.append(pair)
    return moved[::-1]


def _alike(before: Any, after: Any) -> bool:
    return isinstance(before, (dict, list)) and type(before) is type(after)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else _json(key).decode()


def _value(value: Any) -> str:
    return value if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value) else _json(value).decode()
