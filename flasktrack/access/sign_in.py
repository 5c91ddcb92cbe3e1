"""Signing in and out: what is checked, in which order, and what is on record.

    attempt = sign_in(engine, settings, visit, "anna", "a few words will do")
    attempt.token                      # for the browser, where the answer is SIGNED_IN

Whether there is such an account shows in nothing: the same statements run against the database, the same work is done
on the password, the same words are answered. What differs, the record of a failure, is written afterwards
(`note_failure`, once the answer is out).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from flasktrack.access import accounts
from flasktrack.access.accounts import Account, account_id
from flasktrack.access.claims import FRESH, Vouched, apply_roles
from flasktrack.access.lockout import Counter, count_attempt, counters, take_back
from flasktrack.access.passwords import check_new_password, check_password, hash_password, is_outdated
from flasktrack.access.sessions import (
    Session,
    end_session,
    find_open_session,
    find_session,
    hash_token,
    is_known,
    is_known_browser,
    know_browser,
    new_token,
    start_session,
)
from flasktrack.access.sign_in_records import append_sign_in, memberships, note_failed_attempt, take_failures
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ClaimRefused, PasswordRefused
from flasktrack.settings import LOCAL, OIDC, PROXY, Settings
from flasktrack.store.engine import writing
from flasktrack.store.schema import account

_LONGEST_NAME = 300  # of what is typed; an account's id is shorter


@dataclass(frozen=True, slots=True)
class Visit:
    """Who knocks, as far as the request tells: `context` is what records say of it, `browser` a token that it holds."""

    address: str | None
    browser: str | None = field(default=None, repr=False)
    context: Mapping[str, Any] = field(default_factory=dict)
    now: datetime = field(default_factory=utc_now)


class Answer(StrEnum):
    """How an attempt ended; of those that failed, the reason that the record gives."""

    SIGNED_IN = "Signed in"
    WRONG = "Wrong password"
    WAIT = "Too many attempts"
    TEMPORARY = "Temporary password"
    DISABLED = "The account is disabled"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended: with the tokens for the browser, or after how long another may be made.

    `account` is the one whose name was typed, whatever the answer.
    """

    answer: Answer
    account: Account | None
    token: str | None = field(default=None, repr=False)
    browser: str | None = field(default=None, repr=False)
    wait: timedelta = timedelta()


def sign_in(engine: Engine, settings: Settings, visit: Visit, typed: str, password: str) -> Attempt:
    """Begin a session by name and password. Raises DatabaseError, SignInBusy."""
    attempt, counted = _check(engine, visit, typed, password)
    if attempt.answer is not Answer.SIGNED_IN or attempt.account is None:
        return attempt
    return _begin(engine, settings, visit, attempt.account, counted, password)


def change_password(engine: Engine, settings: Settings, visit: Visit, typed: str, password: str, new: str) -> Attempt:
    """Keep another password, end all sessions that the former one opened, and begin one by the new one.

    Raises PasswordRefused, where the former password was right, and what `sign_in` raises.
    """
    attempt, counted = _check(engine, visit, typed, password)
    if attempt.answer not in (Answer.SIGNED_IN, Answer.TEMPORARY) or attempt.account is None:
        return attempt
    owner = attempt.account
    if new == password:
        raise PasswordRefused("The new password is the former one.", "Choose another.")
    check_new_password(new, owner.id, owner.name)
    kept = hash_password(new)
    with writing(engine) as connection:
        accounts.set_password(connection, owner.id, kept, temporary=False)
        append_sign_in(connection, memberships(engine, owner.subject), owner, "change_password", visit.context)
    return _begin(engine, settings, visit, owner._replace(password=kept, temporary=False), counted, new)


def oidc_sign_in(engine: Engine, settings: Settings, visit: Visit, vouched: Vouched) -> Session | None:
    """The session of somebody for whom an identity provider vouches: begun by this one sign-in there, or just now.

    None where it has ended, and where the provider's word is too old to begin by. Raises ClaimRefused for an account
    that is disabled.
    """
    session = find_session(engine, vouched.token_hash, OIDC, idle=settings.session_idle, now=visit.now)
    if session is not None:
        return session
    with engine.connect() as connection:
        owner = accounts.find_account(connection, vouched.id)
        over = is_known(connection, vouched.token_hash) or vouched.issued < visit.now - FRESH
    if over:
        return None
    if owner is not None and owner.disabled_at is not None:
        raise _disabled()
    apply_roles(engine, vouched)
    return _vouched(engine, settings, visit, OIDC, vouched.id, vouched.name, vouched.token_hash, vouched.expires)


def proxy_sign_in(engine: Engine, settings: Settings, visit: Visit, id_: str) -> Session | None:
    """The session of somebody for whom the proxy vouches: the open one, or a new one.

    Raises ClaimRefused for an account that is disabled.
    """
    with engine.connect() as connection:
        session = find_open_session(connection, id_, PROXY, None, idle=settings.session_idle, now=visit.now)
    return session or _vouched(engine, settings, visit, PROXY, id_, id_, None, None)


def _disabled() -> ClaimRefused:
    return ClaimRefused("This account is disabled.", "Ask an administrator of FlaskTrack.")


def _vouched(
    engine: Engine,
    settings: Settings,
    visit: Visit,
    way: str,
    id_: str,
    name: str,
    token_hash: bytes | None,
    expires: datetime | None,
) -> Session | None:
    """Begin a session, and an account where there is none: somebody whom no row stands for could not be disabled."""
    members = memberships(engine, f"user:{id_}")
    longest = visit.now + settings.session_longest
    key = token_hash or hash_token(new_token())
    with writing(engine) as connection:
        fresh = (postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert)(account)
        made = Account(id_, name, None, False, format_time(visit.now), None)
        connection.execute(fresh.values(**made._asdict(), failures=0).on_conflict_do_nothing())
        # The row's lock: of two requests at once, the second finds the session that the first has begun.
        connection.execute(select(account.c.id).where(account.c.id == id_).with_for_update()).one()
        owner = accounts.get_account(connection, id_)
        if owner.disabled_at is not None:
            raise _disabled()
        already = find_open_session(connection, id_, way, token_hash, idle=settings.session_idle, now=visit.now)
        if already is not None:
            return already
        if is_known(connection, key):
            return None
        start_session(connection, key, id_, way, expires=min(expires or longest, longest), now=visit.now)
        append_sign_in(connection, members, owner, "sign_in", {**visit.context, "sign_in": way})
    return find_session(engine, key, way, idle=settings.session_idle, now=visit.now)


def sign_out(engine: Engine, session: Session, context: Mapping[str, Any]) -> None:
    """End a session; nothing where it was over."""
    members = memberships(engine, session.subject)
    with writing(engine) as connection:
        if end_session(connection, session.token_hash):
            owner = accounts.get_account(connection, session.account_id)
            append_sign_in(connection, members, owner, "sign_out", context)


def note_failure(engine: Engine, visit: Visit, attempt: Attempt) -> None:
    """Put a failed attempt on record, after its answer is out: gathered, and of accounts that there are alone.

    Of a name that nobody has, nothing is written: it is no organization's act, and an outsider could fill a chain.
    """
    if attempt.account is not None and attempt.answer in (Answer.WRONG, Answer.WAIT, Answer.DISABLED):
        members = memberships(engine, attempt.account.subject)
        outcome = "failure" if attempt.answer is Answer.WRONG else "denied"
        with writing(engine) as connection:
            note_failed_attempt(
                connection,
                members,
                attempt.account,
                visit.context,
                outcome=outcome,
                reason=attempt.answer,
                now=visit.now,
            )


def _check(engine: Engine, visit: Visit, typed: str, password: str) -> tuple[Attempt, tuple[Counter, ...]]:
    """Look at name and password; the same work, whoever is named."""
    id_ = _storable(account_id(typed))
    browser = hash_token(visit.browser or "")
    with writing(engine) as connection:
        named = accounts.find_account(connection, id_)
        known = is_known_browser(connection, browser, id_, now=visit.now)
        counted = counters(id_, visit.address, browser if known else None)
        until = count_attempt(connection, counted, now=visit.now)
    if until is not None:
        return Attempt(Answer.WAIT, named, wait=until - visit.now), counted
    right = check_password(password, None if named is None else named.password)
    if named is None or not right:
        return Attempt(Answer.WRONG, named), counted
    with writing(engine) as connection:
        take_back(connection, counted, now=visit.now)
    if named.disabled_at is not None:
        return Attempt(Answer.DISABLED, named), counted
    return Attempt(Answer.TEMPORARY if named.temporary else Answer.SIGNED_IN, named), counted


def _begin(
    engine: Engine, settings: Settings, visit: Visit, owner: Account, counted: tuple[Counter, ...], password: str
) -> Attempt:
    token, browser = new_token(), visit.browser or new_token()
    members = memberships(engine, owner.subject)
    outdated = hash_password(password) if owner.password and is_outdated(owner.password) else None
    with writing(engine) as connection:
        if outdated is not None:
            accounts.keep_password(connection, owner.id, outdated)
        expires = visit.now + settings.session_longest
        start_session(connection, hash_token(token), owner.id, LOCAL, expires=expires, now=visit.now)
        know_browser(connection, hash_token(browser), owner.id, now=visit.now)
        told = {**visit.context, "sign_in": LOCAL}
        failures = take_failures(connection, owner.id)
        if failures:
            told["failed_attempts"] = failures
        append_sign_in(connection, members, owner, "sign_in", told)
    return Attempt(Answer.SIGNED_IN, owner, token, browser)


def _storable(typed: str) -> str:
    """What any database can hold and compare: what it can't is nobody's name."""
    return "".join(character if character.isprintable() else "?" for character in typed[:_LONGEST_NAME])
