"""Keeping a copy up with its database beside the pages: what is little is taken in at once, much in the background.

A copy on a server that is down must not take the pages with it: they go on with a private one, and say so.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from flasktrack.errors import DatabaseError
from flasktrack.insight.copy import Copy, CopyFailed, CopyState
from flasktrack.insight.copy_place import open_copy

AT_ONCE = 30_000
"""Records that a page may wait for."""


class Standing(NamedTuple):
    """How far the copy has come, and how far there are records; `problem` is what stopped it.

    `instead_of` is why a private copy stands in for the one that the settings name, where one does.
    """

    state: CopyState
    newest: int
    problem: Exception | None = None
    instead_of: str | None = None

    @property
    def complete(self) -> bool:
        return self.state.last_seq >= self.newest


def follow(source: Engine, url: str | None) -> Follower:
    """A follower of the copy at a URL, or of a private one where that can't be opened."""
    try:
        return Follower(open_copy(source, url))
    except (DatabaseError, DBAPIError) as problem:
        if url is None:
            raise
        return Follower(private_copy(source), _said(problem))


def private_copy(source: Engine) -> Copy:
    """A copy of this process alone."""
    return open_copy(source, "duckdb:///:memory:")


def _unreachable(engine: Engine) -> str | None:
    """Why a copy's engine can't be asked; None where it can."""
    try:
        with engine.connect() as connection:
            connection.execute(select(1))
    except (DatabaseError, DBAPIError) as problem:
        return _said(problem)
    return None


def _said(problem: Exception) -> str:
    return problem.what if isinstance(problem, DatabaseError) else "The server ended the connection."


class Follower:
    """What keeps one copy current, for all sessions of a process."""

    def __init__(self, copy: Copy, instead_of: str | None = None) -> None:
        self.copy = copy
        self._instead_of = instead_of
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}
        self._problems: dict[str, Exception] = {}

    def keep_up(self, organization_id: str) -> Standing:
        """Take in what is new where that is soon done; otherwise see to it that it is being done. Never waits long.

        A copy that turns out to be damaged is begun anew. Raises CopyFailed where there can be none, and DatabaseError
        where the records can't be read.
        """
        try:
            standing = self._keep_up(organization_id)
        except CopyFailed:
            if not self.copy.renew():
                raise
            standing = self._keep_up(organization_id)
        except (DatabaseError, DBAPIError):
            if not self._leave_server():
                raise
            standing = self._keep_up(organization_id)
        return standing._replace(instead_of=self._instead_of)

    def _leave_server(self) -> bool:
        """Go on with a private copy where the one on a server can't be asked; False where the fault lies elsewhere."""
        with self._lock:
            if self.copy.engine.dialect.name == "duckdb":
                return False
            said = _unreachable(self.copy.engine)
            if said is not None:
                self._instead_of = said
                self.copy = private_copy(self.copy.source)
            return said is not None

    def wait(self, organization_id: str) -> Standing:
        """Keep up, and wait until everything is taken in."""
        self.keep_up(organization_id)
        running = self._running.get(organization_id)
        if running is not None:
            running.join()
        return self.keep_up(organization_id)

    def _keep_up(self, organization_id: str) -> Standing:
        with self._lock:
            running = self._running.get(organization_id)
            if running is not None and running.is_alive():
                return Standing(*self.copy.standing(organization_id))
            state, newest = self.copy.standing(organization_id)
            problem = self._problems.pop(organization_id, None)
            if newest - state.last_seq > AT_ONCE and problem is None:
                thread = threading.Thread(target=self._take_in, args=(organization_id,), daemon=True)
                self._running[organization_id] = thread
                thread.start()
        if isinstance(problem, CopyFailed):
            raise problem
        if 0 < newest - state.last_seq <= AT_ONCE:
            state = self.copy.take_in(organization_id)
        return Standing(state, newest, problem)

    def _take_in(self, organization_id: str) -> None:
        try:
            self.copy.take_in(organization_id)
        except Exception as problem:  # noqa: BLE001 (whatever it is, a page is to say it)
            self._problems[organization_id] = problem
