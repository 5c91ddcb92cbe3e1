"""Lock-out: who guesses has to wait, longer each time, and nobody is locked out for good by somebody else's guesses.

Failures are counted against three things:

    name      what was typed as the name, whether there is such an account or not
    address   where it came from (an IPv6 network of 64 bits counts as one), whatever the names
    browser   a browser with which this very person has signed in before

A browser that is known counts for itself alone: it neither waits for what strangers do in its owner's name or from the
same address, nor adds to it. So an outsider who guesses keeps other strangers out, and not the person. The longest wait
is a quarter of an hour, attempts during it don't lengthen it, and each hour takes off failures, so that even somebody
with a new browser comes in between two guesses. An attempt is counted before the password is looked at, and taken back
when it was right: a hundred at once are not a hundred guesses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flasktrack.core.times import format_time, parse_time
from flasktrack.store.schema import sign_in_attempts

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=15)
_FORGOTTEN = timedelta(days=1)
_c = sign_in_attempts.c


class Counter(NamedTuple):
    """What failures are counted against: `free` of them cost no wait, and each `forgives` takes one off."""

    key_hash: bytes
    free: int
    forgives: timedelta


class _State(NamedTuple):
    failures: int
    locked_until: datetime | None


def counters(name: str, address: str | None, known_browser: bytes | None) -> tuple[Counter, ...]:
    """The counters of an attempt; `known_browser` is the hash of a token that the account knows."""
    if known_browser is not None:
        return (Counter(_key("browser", known_browser.hex()), 10, timedelta(minutes=10)),)
    by_name = Counter(_key("name", name), 5, timedelta(hours=1))
    if address is None:
        return (by_name,)
    return by_name, Counter(_key("address", _network(address)), 30, timedelta(minutes=2))


def count_attempt(connection: Connection, counted: Sequence[Counter], *, now: datetime) -> datetime | None:
    """Count an attempt as a failure, in the caller's write transaction; until when to wait, where it must not be made.

    An attempt that must not be made is not counted.
    """
    connection.execute(delete(sign_in_attempts).where(_c.failed_at < format_time(now - _FORGOTTEN)))
    states = [_take(connection, counter, now) for counter in counted]
    waits = [state.locked_until for state in states if state.locked_until is not None and state.locked_until > now]
    if waits:
        return max(waits)
    for counter, state in zip(counted, states, strict=True):
        failures = state.failures + 1
        over = failures - counter.free
        until = None if over < 0 else now + min(FIRST_WAIT * 2 ** min(over, 10), LONGEST_WAIT)
        _write(connection, counter, failures, until, now)
    return None


def take_back(connection: Connection, counted: Sequence[Counter], *, now: datetime) -> None:
    """The password was right: what was counted against the name or browser is forgotten; an address only gets its own
    attempt back, or somebody with an account could guess on for ever."""
    first, *others = counted
    connection.execute(delete(sign_in_attempts).where(_c.key_hash == first.key_hash))
    for counter in others:
        _write(connection, counter, max(_take(connection, counter, now).failures - 1, 0), None, now)


def forgive(connection: Connection, name: str) -> None:
    """Forget what was counted against a name."""
    connection.execute(delete(sign_in_attempts).where(_c.key_hash == _key("name", name)))


def _take(connection: Connection, counter: Counter, now: datetime) -> _State:
    """A counter's state, locked until the transaction ends: of two attempts at once, one waits for the other."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    fresh = insert(sign_in_attempts).values(key_hash=counter.key_hash, failures=0, failed_at=format_time(now))
    connection.execute(fresh.on_conflict_do_nothing())
    state = select(_c.failures, _c.failed_at, _c.locked_until).where(_c.key_hash == counter.key_hash)
    row = connection.execute(state.with_for_update()).one()
    forgiven = max(now - parse_time(row.failed_at), timedelta()) // counter.forgives
    until = None if row.locked_until is None else parse_time(row.locked_until)
    return _State(max(row.failures - forgiven, 0), until)


def _write(connection: Connection, counter: Counter, failures: int, until: datetime | None, now: datetime) -> None:
    locked_until = None if until is None else format_time(until)
    connection.execute(
        update(sign_in_attempts)
        .where(_c.key_hash == counter.key_hash)
        .values(failures=failures, failed_at=format_time(now), locked_until=locked_until)
    )


def _key(kind: str, text: str) -> bytes:
    """What somebody typed as a name may be a password in the wrong field: its hash is kept, not the text."""
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "replace")).digest()


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
