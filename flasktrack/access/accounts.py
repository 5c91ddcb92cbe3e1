"""Accounts: the people who can sign in, whichever way, in all organizations of this deployment.

What somebody may see is not here: that is a membership. An account of somebody who signs in at an identity provider or
a proxy holds no password; it is made at the first sign-in, so that it can be disabled.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from flasktrack.access.demo import demo_role
from flasktrack.core.body import name_problem
from flasktrack.core.record import MAX_NAME
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import AccountRefused
from flasktrack.store.schema import account, known_browser, sign_in_session

_ID = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,126}")
_FOREIGN_ID = re.compile(r"[!-~]{1,255}")
_c = account.c


class Account(NamedTuple):
    """A person; times are the spec's text form."""

    id: str
    name: str
    password: str | None
    temporary: bool
    created_at: str
    disabled_at: str | None

    @property
    def subject(self) -> str:
        """As an actor is written."""
        return f"user:{self.id}"

    def __repr__(self) -> str:
        return f"Account({self.id!r})"  # what is kept of a password belongs in no log


_COLUMNS = tuple(_c[name] for name in Account._fields)


def account_id(typed: str) -> str:
    """An account's id as it is kept, from what a person typed: upper and lower case are the same."""
    return unicodedata.normalize("NFKC", typed).strip().lower()


def is_foreign_id(text: str) -> bool:
    """Whether an identity provider's name for a person can be an account's id."""
    return _FOREIGN_ID.fullmatch(text) is not None and demo_role(f"user:{text}") is None


def add_account(connection: Connection, id_: str, name: str, password: str, *, temporary: bool = False) -> Account:
    """Make an account, in the caller's transaction; `password` is what `hash_password` gave.

    Raises AccountRefused for an id that is taken or can't be one, and for a name that no record can hold.
    """
    if not _ID.fullmatch(id_) or not is_foreign_id(id_):
        raise AccountRefused(
            f"{id_[:80]!r} can't be an account's id.",
            "Take up to 127 lower-case letters, digits and . _ @ + -, with a letter or digit first.",
        )
    if (problem := name_problem(name, MAX_NAME)) is not None:
        raise AccountRefused(problem, "Choose another name.")
    if find_account(connection, id_) is not None:
        raise AccountRefused(f"There is an account {id_} already.", "Choose another id; or: users reset-password")
    made = Account(id_, name, password, temporary, format_time(utc_now()), None)
    connection.execute(insert(account).values(**made._asdict(), failures=0))
    return made


def find_account(connection: Connection, id_: str) -> Account | None:
    """The account of that id."""
    row = connection.execute(select(*_COLUMNS).where(_c.id == id_)).first()
    return None if row is None else Account(*row)


def get_account(connection: Connection, id_: str) -> Account:
    """The account of that id. Raises AccountRefused where there is none."""
    found = find_account(connection, id_)
    if found is None:
        raise AccountRefused(f"There is no account {id_[:80]!r}.", "See: users list")
    return found


def list_accounts(engine: Engine) -> list[Account]:
    """All accounts, by id."""
    with engine.connect() as connection:
        return [Account(*row) for row in connection.execute(select(*_COLUMNS).order_by(_c.id))]


def count_accounts(engine: Engine) -> int:
    """How many accounts there are that can sign in."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).where(_c.disabled_at.is_(None))).scalar_one())


def set_password(connection: Connection, id_: str, password: str, *, temporary: bool) -> None:
    """Keep another password, in the caller's transaction; what was known or open by the former one ends."""
    connection.execute(update(account).where(_c.id == id_).values(password=password, temporary=temporary))
    connection.execute(delete(known_browser).where(known_browser.c.account_id == id_))
    end_sessions(connection, id_)


def keep_password(connection: Connection, id_: str, password: str) -> None:
    """Keep the same password at another cost."""
    connection.execute(update(account).where(_c.id == id_).values(password=password))


def disable(connection: Connection, id_: str) -> None:
    """Let somebody sign in no more; who is signed in is out at the next click."""
    connection.execute(
        update(account).where(_c.id == id_, _c.disabled_at.is_(None)).values(disabled_at=format_time(utc_now()))
    )
    end_sessions(connection, id_)


def enable(connection: Connection, id_: str) -> None:
    """Let somebody sign in again."""
    connection.execute(update(account).where(_c.id == id_).values(disabled_at=None))


def end_sessions(connection: Connection, id_: str) -> int:
    """End all sessions of an account; how many there were."""
    session = sign_in_session.c
    now = format_time(utc_now())
    ended = connection.execute(
        update(sign_in_session).where(session.account_id == id_, session.ended_at.is_(None)).values(ended_at=now)
    )
    return ended.rowcount
