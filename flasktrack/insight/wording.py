"""States and changes as people would write them down: no JSON to decipher, and what differs never reads the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from flasktrack.insight.diff import Change

_ABSENT = "\u2013"


def values(state: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each value with its path: {"headers": {"host": "x"}, "tags": ["a"]} gives headers.host: x, tags: a."""
    if isinstance(state, dict) and state:
        for key in state:
            yield from values(state[key], f"{path}.{key}" if path else key)
    elif isinstance(state, list) and any(isinstance(item, (dict, list)) for item in state):
        for place, item in enumerate(state, start=1):
            yield from values(item, f"{path}[{place}]")
    else:
        yield path or "(whole)", readable(state)


def readable(value: Any) -> str:
    """A JSON value as a person would write it down."""
    if isinstance(value, str):
        return value if value.strip() else orjson.dumps(value).decode()
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_inner(item)}" for key, item in value.items()) or "nothing inside"
    if isinstance(value, list):
        return ", ".join(_inner(item) for item in value) or "empty list"
    return orjson.dumps(value).decode()


def _inner(value: Any) -> str:
    return f"({readable(value)})" if isinstance(value, (dict, list)) and value else readable(value)


def field(change: Change) -> str:
    """The field's path; both, where a value went from one field to another."""
    path = change.path or "(whole)"
    return path if change.path_before is None else f"{change.path_before or '(whole)'} → {path}"


def sides(change: Change) -> tuple[str, str]:
    """Both sides in words; where these would read the same (1 and "1"), as JSON."""
    if change.kind == "moved" and change.path_before is None:
        return f"item {change.place_before}", f"item {change.place_after}"
    before = _ABSENT if change.kind == "added" else readable(change.before)
    after = _ABSENT if change.kind == "removed" else readable(change.after)
    if before == after and change.kind != "moved":
        return orjson.dumps(change.before).decode(), orjson.dumps(change.after).decode()
    return before, after
