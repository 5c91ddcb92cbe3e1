"""`users add|list|reset-password|disable|enable|sign-out`: who can sign in, in all organizations of this deployment.

A password is asked for, or read as one line of standard input; it never stands in an argument, where every user of the
machine could read it. It is temporary: its owner chooses another at the first sign-in, so that nobody else knows it.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from flasktrack.access import accounts
from flasktrack.access.accounts import Account, account_id
from flasktrack.access.lockout import forgive
from flasktrack.access.passwords import check_new_password, hash_password
from flasktrack.access.sessions import count_sessions
from flasktrack.access.sign_in_records import append_account_act, memberships
from flasktrack.cli_common import SOUND, answer, database
from flasktrack.core.times import utc_now
from flasktrack.errors import PasswordRefused
from flasktrack.settings import Settings
from flasktrack.store.engine import writing

_T = TypeVar("_T")
_FIRST = "It is good for one sign-in, at which they choose a password of their own."


def add_user_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `users` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "who can sign in: add, list, disable or sign out users, reset a password"
    users = commands.add_parser("users", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = users.add_subparsers(metavar="ACTION", required=True)

    def action(
        name: str, run: Callable[[argparse.Namespace], int], summary: str, *, of_one: bool = True
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        if of_one:
            added.add_argument("id", metavar="ID", type=account_id, help="what they type to sign in")
        return added

    asked = "its password is asked for, or read from standard input"
    add = action("add", _add, f"make an account; {asked}")
    add.add_argument("--name", metavar="TEXT", help="how people and records name them; default: the id")
    action("list", _list, "print the accounts", of_one=False)
    action("reset-password", _reset, f"give an account another password, and end its sessions; {asked}")
    action("disable", _disable, "let somebody sign in no more; they are out at their next click")
    action("enable", _enable, "let somebody sign in again, and forget their failed attempts")
    action("sign-out", _sign_out, "end all sessions of an account")


def _add(options: argparse.Namespace) -> int:
    name = options.name or options.id
    with database(options) as engine:
        kept = hash_password(_new_password(options.id, name))
        with writing(engine) as connection:
            made = accounts.add_account(connection, options.id, name, kept, temporary=True)
    return _done(options, made, f"There is an account {made.id} now. {_FIRST}")


def _reset(options: argparse.Namespace) -> int:
    with database(options) as engine:
        found = _known(engine, options.id)
        kept = hash_password(_new_password(found.id, found.name))

        def reset(connection: Connection) -> None:
            accounts.set_password(connection, found.id, kept, temporary=True)
            forgive(connection, found.id)

        _act(engine, found, "reset_password", reset)
    return _done(options, found, f"{found.id} has another password, and is signed out everywhere. {_FIRST}")


def _disable(options: argparse.Namespace) -> int:
    with database(options) as engine:
        found = _known(engine, options.id)
        _act(engine, found, "disable", lambda connection: accounts.disable(connection, found.id))
    return _done(options, found, f"{found.id} can't sign in any more, and is out at the next click.")


def _enable(options: argparse.Namespace) -> int:
    with database(options) as engine:
        found = _known(engine, options.id)

        def enable(connection: Connection) -> None:
            accounts.enable(connection, found.id)
            forgive(connection, found.id)

        _act(engine, found, "enable", enable)
    return _done(options, found, f"{found.id} can sign in.")


def _sign_out(options: argparse.Namespace) -> int:
    with database(options) as engine:
        found = _known(engine, options.id)
        ended = _act(engine, found, "end_sessions", lambda connection: accounts.end_sessions(connection, found.id))
    answer(options, {"id": found.id, "ended": ended}, f"{found.id}: {ended:,} sessions were open, and none is now.")
    return SOUND


def _act(engine: Engine, about: Account, action: str, change: Callable[[Connection], _T]) -> _T:
    """Change an account, with a record in each organization that its owner belongs to."""
    member = memberships(engine, about.subject)
    with writing(engine) as connection:
        done = change(connection)
        append_account_act(connection, member, about, action)
    return done


def _list(options: argparse.Namespace) -> int:
    with database(options) as engine:
        found = accounts.list_accounts(engine)
        open_ = count_sessions(engine, idle=Settings.from_environment().session_idle, now=utc_now())
    document = [
        {
            "id": one.id,
            "name": one.name,
            "password": one.password is not None,
            "temporary": one.temporary,
            "disabled_at": one.disabled_at,
            "sessions": open_.get(one.id, 0),
        }
        for one in found
    ]
    lines = [f"{one.id} ({one.name}): {_state(one, open_.get(one.id, 0))}" for one in found]
    answer(options, {"users": document}, *(lines or ["There are no accounts yet. Make one with: users add ID"]))
    return SOUND


def _state(one: Account, sessions: int) -> str:
    if one.disabled_at is not None:
        return f"disabled since {one.disabled_at}"
    kind = "signs in elsewhere" if one.password is None else "temporary password" if one.temporary else "password set"
    return f"{kind}, {sessions:,} sessions open"


def _known(engine: Engine, id_: str) -> Account:
    with engine.connect() as connection:
        return accounts.get_account(connection, id_)


def _new_password(*known: str) -> str:
    """A password from the terminal, typed twice without being shown, or the first line of standard input."""
    if sys.stdin.isatty():
        password = getpass.getpass("New password: ")
        if getpass.getpass("Again: ") != password:
            raise PasswordRefused("The two passwords differ.", "Nothing was written: try again.")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    check_new_password(password, *known)
    return password


def _done(options: argparse.Namespace, about: Account, said: str) -> int:
    answer(options, {"id": about.id, "name": about.name}, said)
    return SOUND
