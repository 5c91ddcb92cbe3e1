"""Accounts and sessions: what ends is over, for good and at once, and no token or password is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, select

from flasktrack.access import accounts, sessions
from flasktrack.access.sessions import Session, hash_token, new_token, start_session
from flasktrack.errors import AccountRefused
from flasktrack.store.engine import writing
from flasktrack.store.schema import account, known_browser, sign_in_session

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


def signed_in(engine: Engine, id_: str = "anna") -> bytes:
    token_hash = hash_token(new_token())
    with writing(engine) as connection:
        if accounts.find_account(connection, id_) is None:
            accounts.add_account(connection, id_, id_.title(), "$kept")
        start_session(connection, token_hash, id_, "local", expires=NOON + LONGEST, now=NOON)
        sessions.know_browser(connection, hash_token("browser"), id_, now=NOON)
    return token_hash


def found(engine: Engine, token_hash: bytes, now: datetime = NOON, way: str = "local") -> Session | None:
    return sessions.find_session(engine, token_hash, way, idle=IDLE, now=now)


def test_a_session_is_its_owners_and_of_one_way(engine: Engine) -> None:
    token_hash = signed_in(engine)
    session = found(engine, token_hash)
    assert session is not None
    assert (session.subject, session.name, session.way) == ("user:anna", "Anna", "local")
    assert found(engine, token_hash, way="oidc") is None
    assert found(engine, hash_token("another")) is None


def test_a_session_ends_when_it_is_not_used_and_in_any_case(engine: Engine) -> None:
    token_hash = signed_in(engine)
    assert found(engine, token_hash, NOON + IDLE - timedelta(seconds=1)) is not None
    assert found(engine, token_hash, NOON + IDLE) is None
    now = NOON
    while now < NOON + LONGEST - timedelta(minutes=20):
        now += timedelta(minutes=20)
        session = found(engine, token_hash, now)
        assert session is not None, now
        sessions.note_use(engine, session, now=now)
    assert found(engine, token_hash, NOON + LONGEST) is None


@pytest.mark.parametrize(
    "end",
    [
        lambda connection: accounts.disable(connection, "anna"),
        lambda connection: accounts.end_sessions(connection, "anna"),
        lambda connection: accounts.set_password(connection, "anna", "$other", temporary=False),
    ],
    ids=["disable", "sign out", "other password"],
)
def test_what_ends_all_sessions_ends_them_at_once_and_only_theirs(
    engine: Engine, end: Callable[[Connection], object]
) -> None:
    mine, also_mine, somebodys = signed_in(engine), signed_in(engine), signed_in(engine, "berta")
    with writing(engine) as connection:
        end(connection)
    assert (found(engine, mine), found(engine, also_mine)) == (None, None)
    assert found(engine, somebodys) is not None
    with writing(engine) as connection:
        accounts.enable(connection, "anna")
        assert sessions.is_known(connection, mine)  # and can't begin again
    assert found(engine, mine) is None


def test_one_session_can_be_ended_alone_and_rows_go_long_after(engine: Engine) -> None:
    ended, stays = signed_in(engine), signed_in(engine)
    with writing(engine) as connection:
        assert sessions.end_session(connection, ended)
        assert not sessions.end_session(connection, ended)
    assert (found(engine, ended), found(engine, stays) is not None) == (None, True)
    with writing(engine) as connection:
        later = NOON + LONGEST + sessions.KEPT + timedelta(seconds=1)
        start_session(connection, b"new", "anna", "local", expires=later + LONGEST, now=later)
        assert connection.scalars(select(sign_in_session.c.token_hash)).all() == [b"new"]


def test_a_browser_is_known_to_whom_it_signed_in_for_a_while_and_until_another_password(engine: Engine) -> None:
    signed_in(engine)
    browser = hash_token("browser")
    with writing(engine) as connection:
        assert sessions.is_known_browser(connection, browser, "anna", now=NOON)
        assert not sessions.is_known_browser(connection, browser, "berta", now=NOON)
        assert not sessions.is_known_browser(connection, browser, "anna", now=NOON + sessions.BROWSER_KNOWN)
        accounts.set_password(connection, "anna", "$other", temporary=True)
        assert connection.execute(select(known_browser)).all() == []


@pytest.mark.parametrize("id_", ["", "Anna", ".anna", "anna berg", "anna\0", "a" * 128, "anna/berg", "\u00e4nna"])
def test_an_id_that_none_can_have_is_refused(sqlite_engine: Engine, id_: str) -> None:
    with pytest.raises(AccountRefused), writing(sqlite_engine) as connection:
        accounts.add_account(connection, id_, "Anna", "$kept")


def test_an_account_is_made_once_and_shows_nothing_of_its_password(engine: Engine) -> None:
    with writing(engine) as connection:
        made = accounts.add_account(connection, "anna", "Anna", "$kept")
    assert "$kept" not in f"{made!r}"
    assert accounts.list_accounts(engine) == [made]
    for id_, name in (("anna", "Another"), ("berta", ""), ("berta", "B\0"), ("berta", "x" * 1025)):
        with pytest.raises(AccountRefused), writing(engine) as connection:
            accounts.add_account(connection, id_, name, "$kept")
    with engine.connect() as connection:
        assert connection.scalars(select(account.c.id)).all() == ["anna"]
        with pytest.raises(AccountRefused, match="users list"):
            accounts.get_account(connection, "berta")
