"""Looking is an act, too: who viewed what, searched for what, or was turned away is a record in the chain.

    looks.note(engine, scope, Look("view", ("entities", "Entities"), Reference("sample", "S-17")))
    looks.flush()       # from time to time, and with everything=True at the end

Each rerun of a page is a look. So that they don't flood the chain, they are gathered: one record for a person and what
they looked at in as many minutes as the organization's profile says, with the first and the last time. Its entity is
the page, and what was viewed is a related entity: a history is not made longer by those who read it.

The demo's people are nobody in particular: of them, only what leaves (exports and downloads) is on record.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flasktrack.access.demo import demo_role
from flasktrack.core.body import check_characters
from flasktrack.core.record import MAX_ID, Reference
from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ChainBroken, DatabaseError, FlaskTrackError, InvalidRecord
from flasktrack.store.acts import append_act
from flasktrack.store.engine import writing
from flasktrack.store.profile import read_profile
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import Scope

VIEW, SEARCH = "view", "search"
ENTITY_TYPE = "page"
MOST_KEPT = 10_000
"""Looks that wait to be recorded; when there are more, all are recorded at once."""
MAX_FILTER = 8192
"""Characters of what was searched for; more are cut off, so that no search is too long to be on record."""

_log = logging.getLogger(__name__)


class Look(NamedTuple):
    """A look: `page` is its key and title, `about` what was viewed, `filter` what was searched for, as an address."""

    action: str
    page: tuple[str, str]
    about: Reference | None = None
    filter: str | None = None
    outcome: str = "success"


@dataclass(slots=True)
class _Kept:
    engine: Engine
    scope: Scope
    look: Look
    first: datetime
    last: datetime


class Looks:
    """Looks that are gathered, for all sessions of a process."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str, str, Look], _Kept] = {}

    def note(self, engine: Engine, scope: Scope, look: Look) -> None:
        """Keep a look, to be recorded later. Never raises for the database."""
        if demo_role(scope.actor.subject) is not None or not _recordable(look):
            return
        if look.filter is not None and len(look.filter) > MAX_FILTER:
            look = look._replace(filter=f"{look.filter[:MAX_FILTER]}…")
        now = self._clock()
        key = _place(engine), scope.organization_id, scope.actor.subject, look
        with self._lock:
            kept = self._kept.setdefault(key, _Kept(engine, scope, look, now, now))
            kept.last = now
            full = len(self._kept) >= MOST_KEPT
        if full:
            self.flush(everything=True)

    def flush(self, *, everything: bool = False) -> int:
        """Record those that were gathered for long enough; how many records that were.

        A look that no record can tell of is left to the log, and so are all of an organization whose chain is broken;
        where the database doesn't answer, it is tried again the next time. Never raises.
        """
        with self._lock:
            places = {(place, organization_id) for place, organization_id, _, _ in self._kept}
        return sum(self._flush(*place, everything=everything) for place in places)

    def _flush(self, place: str, organization_id: str, *, everything: bool) -> int:
        with self._lock:
            mine = {key: kept for key, kept in self._kept.items() if key[:2] == (place, organization_id)}
        some = next(iter(mine.values()), None)
        if some is None:
            return 0
        try:
            profile = read_profile(some.engine, some.scope).profile
            now, minutes = self._clock(), timedelta(minutes=profile.views_gathered_minutes)
            due = {key: kept for key, kept in mine.items() if everything or kept.first + minutes <= now}
            if due and profile.record_views:
                with writing(of_organization(some.engine, organization_id)) as connection:
                    for kept in due.values():
                        _try_to_record(connection, kept)
        except (DatabaseError, SQLAlchemyError) as problem:
            _log.warning("Who looked at %s can't be recorded now: %s", organization_id, _said(problem))
            return 0
        except Exception as problem:  # noqa: BLE001 (what waits behind it must go on)
            _log.error("Who looked at %s can't be recorded: %s", organization_id, _said(problem))
            due = mine
        with self._lock:
            for key in due:
                self._kept.pop(key, None)
        return len(due)


def _try_to_record(connection: Connection, kept: _Kept) -> None:
    """Record a look, and leave one that can't be to the log: others are not given up for it.

    Raises what keeps every look from being recorded: the chain is broken, or the database doesn't answer.
    """
    try:
        with connection.begin_nested():
            _record(connection, kept)
    except (ChainBroken, DatabaseError, OperationalError):
        raise
    except Exception as problem:  # noqa: BLE001 (whatever it is, it is this look's)
        who, where = kept.scope.actor.subject, kept.scope.organization_id
        _log.error("That %r looked at %s can't be recorded: %s", who, where, _said(problem))


def _record(connection: Connection, kept: _Kept) -> None:
    look = kept.look
    context = {"first_at": format_time(kept.first), "last_at": format_time(kept.last), "filter": look.filter}
    append_act(
        connection, kept.scope, look.action, (ENTITY_TYPE, *look.page), outcome=look.outcome,
        related=() if look.about is None else (look.about,), occurred_at=kept.first,
        context={name: value for name, value in context.items() if value is not None},
    )  # fmt: skip


def _said(problem: Exception) -> str:
    """What the log may say: a database's own message holds a record's values."""
    return str(problem) if isinstance(problem, FlaskTrackError) else type(problem).__name__


def _recordable(look: Look) -> bool:
    """Whether a record can name it: an address may ask for anything."""
    if look.about is None:
        return True
    try:
        check_characters("related", look.about.type + look.about.id)
    except InvalidRecord:
        return False
    return all(1 <= len(text) <= MAX_ID for text in look.about)


def _place(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)
