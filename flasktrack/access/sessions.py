"""Sessions: who is signed in. A row each, so that any of them can be ended at once, from anywhere.

The browser holds a token of 256 random bits; the row holds the token's SHA-256, so that who reads the database can't
take anybody's place. A session ends when its owner signs out, when it was not used for a while, when its time is over,
or when somebody ends it. The row stays until its time is over: what has ended can't begin again.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, delete, insert, select, update

from flasktrack.core.times import format_time, utc_now
from flasktrack.store.engine import writing
from flasktrack.store.schema import account, known_browser, sign_in_session

_c = sign_in_session.c
_b = known_browser.c
NOTED = timedelta(minutes=1)
"""How exactly the last use of a session is kept: a write for every click would be too many."""
KEPT = timedelta(days=1)
"""How long the row of a session stays after its time is over."""
BROWSER_KNOWN = timedelta(days=90)
"""For how long without a sign-in a browser stays known."""


class Session(NamedTuple):
    """A session that is open."""

    token_hash: bytes
    account_id: str
    name: str
    way: str
    started_at: str
    seen_at: str
    expires_at: str

    @property
    def subject(self) -> str:
        """Whose it is, as an actor is written."""
        return f"user:{self.account_id}"


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What is kept of a token. It needs no salt and no cost: it has 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def start_session(
    connection: Connection, token_hash: bytes, account_id: str, way: str, *, expires: datetime, now: datetime
) -> None:
    """Open a session in the caller's write transaction. Rows whose time is long over go."""
    connection.execute(delete(sign_in_session).where(_c.expires_at < format_time(now - KEPT)))
    connection.execute(
        insert(sign_in_session).values(
            token_hash=token_hash,
            account_id=account_id,
            way=way,
            started_at=format_time(now),
            seen_at=format_time(now),
            expires_at=format_time(expires),
        )
    )


def find_session(engine: Engine, token_hash: bytes, way: str, *, idle: timedelta, now: datetime) -> Session | None:
    """The session that is open under this token and was begun in this way; of no disabled account."""
    with engine.connect() as connection:
        row = connection.execute(_open(way, idle, now).where(_c.token_hash == token_hash)).first()
    return None if row is None else Session(*row)


def find_open_session(
    connection: Connection, account_id: str, way: str, token_hash: bytes | None, *, idle: timedelta, now: datetime
) -> Session | None:
    """An account's open session that was begun in this way: the one under a token, or the newest."""
    mine = _open(way, idle, now).where(_c.account_id == account_id)
    if token_hash is not None:
        mine = mine.where(_c.token_hash == token_hash)
    row = connection.execute(mine.order_by(_c.started_at.desc()).limit(1)).first()
    return None if row is None else Session(*row)


def _open(way: str, idle: timedelta, now: datetime) -> Select[Any]:
    return (
        select(_c.token_hash, _c.account_id, account.c.name, _c.way, _c.started_at, _c.seen_at, _c.expires_at)
        .join(account, account.c.id == _c.account_id)
        .where(
            _c.way == way,
            _c.ended_at.is_(None),
            account.c.disabled_at.is_(None),
            _c.expires_at > format_time(now),
            _c.seen_at > format_time(now - idle),
        )
    )


def is_known(connection: Connection, token_hash: bytes) -> bool:
    """Whether there is a row for this token, open or ended."""
    return connection.execute(select(_c.way).where(_c.token_hash == token_hash)).first() is not None


def note_use(engine: Engine, session: Session, *, now: datetime) -> None:
    """Keep that a session was used just now."""
    if session.seen_at < format_time(now - NOTED):
        with writing(engine) as connection:
            connection.execute(
                update(sign_in_session)
                .where(_c.token_hash == session.token_hash, _c.ended_at.is_(None))
                .values(seen_at=format_time(now))
            )


def end_session(connection: Connection, token_hash: bytes) -> bool:
    """End a session; whether it was open."""
    ended = connection.execute(
        update(sign_in_session)
        .where(_c.token_hash == token_hash, _c.ended_at.is_(None))
        .values(ended_at=format_time(utc_now()))
    )
    return ended.rowcount == 1


def count_sessions(engine: Engine, *, idle: timedelta, now: datetime) -> dict[str, int]:
    """How many sessions each account has open."""
    statement = select(_c.account_id).where(
        _c.ended_at.is_(None), _c.expires_at > format_time(now), _c.seen_at > format_time(now - idle)
    )
    counts: dict[str, int] = {}
    with engine.connect() as connection:
        for id_ in connection.scalars(statement):
            counts[id_] = counts.get(id_, 0) + 1
    return counts


def know_browser(connection: Connection, token_hash: bytes, account_id: str, *, now: datetime) -> None:
    """Keep that somebody has signed in with the browser that holds this token."""
    connection.execute(delete(known_browser).where(_b.seen_at < format_time(now - BROWSER_KNOWN)))
    connection.execute(delete(known_browser).where(_b.token_hash == token_hash))
    connection.execute(
        insert(known_browser).values(token_hash=token_hash, account_id=account_id, seen_at=format_time(now))
    )


def is_known_browser(connection: Connection, token_hash: bytes, account_id: str, *, now: datetime) -> bool:
    """Whether this account was signed in to with the browser that holds this token."""
    known = select(_b.account_id).where(
        _b.token_hash == token_hash, _b.account_id == account_id, _b.seen_at > format_time(now - BROWSER_KNOWN)
    )
    return connection.execute(known).first() is not None
