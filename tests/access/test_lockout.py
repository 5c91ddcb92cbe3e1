"""Who guesses waits longer each time; who is guessed at comes in from a browser that is known."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select

from flasktrack.access.lockout import FIRST_WAIT, LONGEST_WAIT, Counter, count_attempt, counters, forgive, take_back
from flasktrack.core.times import parse_time
from flasktrack.store.engine import writing
from flasktrack.store.schema import sign_in_attempts

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KNOWN = b"k" * 32


def attempt(engine: Engine, counted: Sequence[Counter], now: datetime = NOON) -> datetime | None:
    with writing(engine) as connection:
        return count_attempt(connection, counted, now=now)


def waits(engine: Engine, counted: Sequence[Counter], attempts: int) -> list[timedelta]:
    """How long each further failure makes one wait, each made as soon as it may be."""
    now, found = NOON, []
    for _ in range(attempts):
        assert attempt(engine, counted, now) is None
        with engine.connect() as connection:
            text = connection.scalar(select(sign_in_attempts.c.locked_until))
        until = now if text is None else parse_time(text)
        found.append(until - now)
        now = until
    return found


def test_the_wait_doubles_and_ends_at_a_quarter_of_an_hour(sqlite_engine: Engine) -> None:
    found = waits(sqlite_engine, counters("anna", None, None), 13)
    assert found[:4] == [timedelta()] * 4
    assert found[4:8] == [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4, FIRST_WAIT * 8]
    assert found[-2:] == [LONGEST_WAIT, LONGEST_WAIT]


def test_names_and_addresses_are_counted_apart(sqlite_engine: Engine) -> None:
    for number in range(30):
        assert attempt(sqlite_engine, counters(f"nobody-{number}", "203.0.113.7", None)) is None
    assert attempt(sqlite_engine, counters("anna", "203.0.113.7", None)) is not None
    assert attempt(sqlite_engine, counters("anna", "203.0.113.8", None)) is None
    for number in range(30):
        assert attempt(sqlite_engine, counters(f"none-{number}", f"2001:db8::{number:x}", None)) is None
    assert attempt(sqlite_engine, counters("berta", "2001:db8::ffff", None)) is not None  # the same network of 64 bits


def test_a_known_browser_does_not_wait_for_what_strangers_do(sqlite_engine: Engine) -> None:
    stranger, owner = counters("anna", "203.0.113.7", None), counters("anna", "203.0.113.7", KNOWN)
    while attempt(sqlite_engine, stranger) is None:
        pass
    assert attempt(sqlite_engine, owner) is None
    assert attempt(sqlite_engine, stranger, NOON + timedelta(seconds=1)) is not None  # and does not add to it


def test_attempts_during_the_wait_do_not_lengthen_it(sqlite_engine: Engine) -> None:
    counted = counters("anna", None, None)
    while attempt(sqlite_engine, counted) is None:
        pass
    first = attempt(sqlite_engine, counted)
    for second in range(1, 10):
        assert attempt(sqlite_engine, counted, NOON + timedelta(seconds=second)) == first
    assert first is not None
    assert attempt(sqlite_engine, counted, first) is None


def test_time_and_an_administrator_forgive(sqlite_engine: Engine) -> None:
    counted = counters("anna", None, None)
    for _ in range(5):
        assert attempt(sqlite_engine, counted) is None
    assert attempt(sqlite_engine, counted) is not None
    with writing(sqlite_engine) as connection:
        forgive(connection, "anna")
    assert attempt(sqlite_engine, counted) is None
    for _ in range(4):
        attempt(sqlite_engine, counted)
    later = NOON + timedelta(hours=4)
    assert [attempt(sqlite_engine, counted, later) for _ in range(4)] == [None] * 4


def test_the_right_password_takes_back_the_name_and_not_what_an_address_did(engine: Engine) -> None:
    for number in range(20):
        attempt(engine, counters(f"nobody-{number}", "203.0.113.7", None))
    mine = counters("anna", "203.0.113.7", None)
    attempt(engine, mine)
    with writing(engine) as connection:
        take_back(connection, mine, now=NOON)
    with engine.connect() as connection:
        assert max(connection.scalars(select(sign_in_attempts.c.failures))) == 20
        assert mine[0].key_hash not in connection.scalars(select(sign_in_attempts.c.key_hash)).all()


def test_a_hundred_at_once_are_not_a_hundred_guesses(engine: Engine) -> None:
    counted = counters("anna", "203.0.113.7", None)
    with ThreadPoolExecutor(8) as pool:
        allowed = [until is None for until in pool.map(lambda _: attempt(engine, counted), range(40))]
    assert sum(allowed) == 5


def test_what_was_counted_a_day_ago_goes(sqlite_engine: Engine) -> None:
    for number in range(3):
        attempt(sqlite_engine, counters(f"nobody-{number}", None, None))
    attempt(sqlite_engine, counters("anna", None, None), NOON + timedelta(days=2))
    with sqlite_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(sign_in_attempts)) == 1
