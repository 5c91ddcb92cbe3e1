"""Keeping a copy up with its database beside the pages: what is little is taken in at once, much in the background."""

from __future__ import annotations

import threading
from typing import NamedTuple

from flasktrack.insight.copy import Copy, CopyFailed, CopyState

AT_ONCE = 30_000
"""Records that a page may wait for."""


class Standing(NamedTuple):
    """How far the copy has come, and how far there are records; `problem` is what stopped it."""

    state: CopyState
    newest: int
    problem: Exception | None = None

    @property
    def complete(self) -> bool:
        return self.state.last_seq >= self.newest


class Follower:
    """What keeps one copy current, for all sessions of a process."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self._lock = threading.Lock()
        self._running: dict[str, threading.Thread] = {}
        self._problems: dict[str, Exception] = {}

    def keep_up(self, organization_id: str) -> Standing:
        """Take in what is new where that is soon done; otherwise see to it that it is being done. Never waits long.

        A copy that turns out to be damaged is begun anew. Raises CopyFailed where there can be none, and DatabaseError
        where the records can't be read.
        """
        try:
            return self._keep_up(organization_id)
        except CopyFailed:
            if not self.copy.renew():
                raise
            return self._keep_up(organization_id)

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
