"""The address bar is where a page keeps its state: it can be bookmarked, sent, and taken apart by anybody.

Everything read here is checked; nonsense raises InvalidAddress, which the router shows as a sentence with a way out.
Pages share `org`, `role` and the filter's parameters; any further ones are a page's own, and end with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import streamlit as st

from flasktrack.errors import FlaskTrackError

ORGANIZATION, ROLE = "org", "role"
FILTER = ("from", "to", "actor", "actor_type", "action", "entity", "with_related", "entity_type", "outcome",
          "credential", "on_behalf_of", "ip", "hours", "seq", "positions", "text")  # fmt: skip
SHARED = (ORGANIZATION, ROLE, *FILTER)

Value = str | int | Iterable[str] | None


class InvalidAddress(FlaskTrackError):
    """A parameter in a page's address that makes no sense; `parameter` names it."""

    def __init__(self, parameter: str, problem: str) -> None:
        self.parameter = parameter
        super().__init__(f"The page's address says {parameter}, which {problem}.", "Leave it out to start afresh.")


def values(name: str) -> list[str]:
    """All values of a parameter, in their order."""
    return st.query_params.get_all(name)


def value(name: str) -> str | None:
    """A parameter's one value; None where it is absent or empty. Raises InvalidAddress where there are several."""
    given = values(name)
    if len(given) > 1:
        raise InvalidAddress(name, f"is given {len(given)} times")
    return given[0] or None if given else None


def position(name: str) -> int | None:
    """A parameter that is a position in the chain. Raises InvalidAddress for anything else."""
    given = value(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18 and int(given) > 0):
        raise InvalidAddress(name, f"is no position: {given[:40]!r}")
    return int(given)


def choice(name: str, allowed: Collection[str], default: str) -> str:
    """A parameter that is one of `allowed`. Raises InvalidAddress for anything else."""
    given = value(name)
    if given is None:
        return default
    if given not in allowed:
        raise InvalidAddress(name, f"is none of {', '.join(allowed)}: {given[:40]!r}")
    return given


def write(**changes: Value) -> None:
    """Set parameters; None and nothing remove one. Use `from_` for `from`."""
    for name, new in _texts(changes).items():
        if new:
            if st.query_params.get_all(name) != new:
                st.query_params[name] = new
        else:
            st.query_params.pop(name, None)


def replace(params: dict[str, list[str]]) -> None:
    """Make these the parameters, and no others."""
    for name in list(st.query_params):
        if name not in params:
            del st.query_params[name]
    for name, new in params.items():
        st.query_params[name] = new


def reset() -> None:
    """Remove every parameter but the organization and the role."""
    for name in list(st.query_params):
        if name not in (ORGANIZATION, ROLE):
            del st.query_params[name]


def shared(**changes: Value) -> dict[str, list[str]]:
    """The parameters that a link to another page carries on, with changes."""
    kept = {name: values(name) for name in SHARED if values(name)}
    return {name: new for name, new in (kept | _texts(changes)).items() if new}


def _texts(changes: dict[str, Value]) -> dict[str, list[str]]:
    return {name.removesuffix("_"): _text(given) for name, given in changes.items()}


def _text(given: Value) -> list[str]:
    if given is None or given == "":
        return []
    return [str(given)] if isinstance(given, (str, int)) else list(given)
