"""Requests that wait for the same chain are written in one transaction, each of them whole or not at all.

A commit waits for the disk, and a chain has one writer at a time. So while a transaction is being written, what comes
meanwhile gathers, and goes into the next one together: many small requests cost little more than one large one. Each
request is acknowledged after the commit that holds it; a request that is refused leaves the others as they are.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sqlalchemy import Engine

from flasktrack.core.record import Event, Record
from flasktrack.errors import ApiKeyNotInForce, InvalidRecord, RecordConflict
from flasktrack.store.api_key_use import append_through
from flasktrack.store.api_keys import ApiKey
from flasktrack.store.engine import writing

MAX_EVENTS = 5000
"""In one transaction: it holds the organization's head, for which others wait."""

Outcome = list[Record] | Exception


class _Job(NamedTuple):
    key: ApiKey
    events: Sequence[Event]
    done: asyncio.Future[list[Record]]


class Recorder:
    """Writes what requests bring, in `threads`; organizations don't wait for each other where the database permits."""

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        self.engine = engine
        self.threads = threads
        self._waiting: defaultdict[str, deque[_Job]] = defaultdict(deque)
        self._writers: dict[str, asyncio.Task[None]] = {}

    async def record(self, key: ApiKey, events: Sequence[Event]) -> list[Record]:
        """Append the events, all or none, through the key, and return their records once they are committed.

        Raises what `append_through` raises, and what the database does.
        """
        done: asyncio.Future[list[Record]] = asyncio.get_running_loop().create_future()
        self._waiting[key.organization_id].append(_Job(key, events, done))
        if key.organization_id not in self._writers:
            self._writers[key.organization_id] = asyncio.create_task(self._write(key.organization_id))
        return await done

    async def _write(self, organization_id: str) -> None:
        """Write until nothing waits any more."""
        waiting = self._waiting[organization_id]
        try:
            while waiting:
                jobs = [waiting.popleft()]
                events = len(jobs[0].events)
                while waiting and (events := events + len(waiting[0].events)) <= MAX_EVENTS:
                    jobs.append(waiting.popleft())
                loop = asyncio.get_running_loop()
                outcomes = await loop.run_in_executor(self.threads, _write_jobs, self.engine, jobs)
                for job, outcome in zip(jobs, outcomes, strict=True):
                    _settle(job, outcome)
        finally:
            del self._writers[organization_id], self._waiting[organization_id]
            for job in waiting:  # the service is being stopped
                job.done.cancel()


def _settle(job: _Job, outcome: Outcome) -> None:
    if job.done.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        job.done.set_exception(outcome)
    else:
        job.done.set_result(outcome)


def _write_jobs(engine: Engine, jobs: Sequence[_Job]) -> list[Outcome]:
    """Write jobs in one transaction; where it fails as a whole, each in one of its own."""
    try:
        outcomes: list[Outcome] = []
        with writing(engine) as connection:
            for job in jobs:
                try:
                    outcomes.append(append_through(connection, job.key, job.events))
                except (InvalidRecord, RecordConflict, ApiKeyNotInForce) as problem:
                    outcomes.append(problem)
        return outcomes
    except Exception as problem:  # noqa: BLE001 (it is the outcome)
        if len(jobs) == 1:
            return [problem]
    return [outcome for job in jobs for outcome in _write_jobs(engine, [job])]
