"""How much is taken: from one key, of one body, and of all bodies at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar

from starlette.requests import ClientDisconnect, Request

from flasktrack.http_api.problems import Problem, retry_after

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A record's three sections may be 1 MiB each."""
MAX_BYTES_AT_ONCE = 16 * 1024 * 1024
"""Of all bodies that are being read, parsed or written. Parsed, one of tiny objects takes thirty times its bytes."""
BODY_SECONDS = 30.0
"""For a body to arrive."""
READ_SECONDS = 30.0
"""For the database to answer one request that reads."""
READS_WAITING = 20
"""Requests of one organization that wait for their turn to read; with more, they are refused."""
REFUSED_BURST, REFUSED_PER_SECOND = 10, 0.1
"""Uses of a key that is not in force that are recorded: so many at once, and then so many a second."""

Found = TypeVar("Found")

_BUCKETS = 10_000  # keys that are remembered; one that is full need not be


class _Bucket(NamedTuple):
    tokens: float
    at: float


class RateLimit:
    """A token bucket for each key: `burst` at once, refilled at `rate` a second."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self.clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str) -> float:
        """Take one; 0, or in how many seconds there will be one."""
        now = self.clock()
        tokens = self._now(self._buckets.get(key), now)
        if tokens < 1:
            return (1 - tokens) / self.rate
        if len(self._buckets) >= _BUCKETS:
            self._buckets = {name: one for name, one in self._buckets.items() if self._now(one, now) < self.burst}
        self._buckets[key] = _Bucket(tokens - 1, now)
        return 0.0

    def _now(self, bucket: _Bucket | None, now: float) -> float:
        return self.burst if bucket is None else min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)


class Readers:
    """Threads for requests that read. An organization has at most half of them, however much it asks."""

    def __init__(self, threads: ThreadPoolExecutor, number: int) -> None:
        self.threads = threads
        self._share = max(1, number // 2)
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._asking: Counter[str] = Counter()

    async def read(self, organization_id: str, read: Callable[[], Found]) -> Found:
        """What `read` finds, in a thread. Raises Problem where too many of that organization wait already."""
        if self._asking[organization_id] >= self._share + READS_WAITING:
            raise Problem("unavailable", "Too many requests are reading at once.", headers=retry_after(1))
        turns = self._turns.setdefault(organization_id, asyncio.Semaphore(self._share))
        self._asking[organization_id] += 1
        try:
            async with turns:
                return await asyncio.get_running_loop().run_in_executor(self.threads, read)
        finally:
            self._asking[organization_id] -= 1


class RefusedUses:
    """Which uses of keys that are not in force get a record, and how many did not before each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = RateLimit(REFUSED_PER_SECOND, REFUSED_BURST, clock)
        self._unrecorded: Counter[str] = Counter()

    def count(self, key_id: str) -> int | None:
        """How many were not recorded before this one, which is to be; None where this one is not either."""
        if self._limit.take(key_id):
            self._unrecorded[key_id] += 1
            return None
        return self._unrecorded.pop(key_id, 0)


class Bodies:
    """The bodies of all requests that are being dealt with: no more of them are held than fit."""

    def __init__(self) -> None:
        self.held = 0

    def reading(self) -> Body:
        """Room for one body, given back at the end of the `with` block."""
        return Body(self)


class Body:
    """A body that is read as it comes, and refused as soon as it is too much."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.held -= self._size

    async def read(self, request: Request) -> bytes:
        """The whole body. Raises Problem where it is too large or too slow, or too much is being dealt with."""
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 19 or int(length) > MAX_BODY_BYTES):
            raise _too_large()
        chunks = []
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    self._take(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            detail = f"It did not arrive within {BODY_SECONDS:.0f} seconds."
            raise Problem("timeout", detail, headers={"Connection": "close"}) from None
        except ClientDisconnect:
            raise Problem("malformed", "The connection ended before the body did.") from None
        return b"".join(chunks)

    def _take(self, size: int) -> None:
        self._size += size
        self._bodies.held += size
        if self._size > MAX_BODY_BYTES:
            raise _too_large()
        if self._bodies.held > MAX_BYTES_AT_ONCE:
            raise Problem("unavailable", "Too much is being sent at once.", headers=retry_after(1))


def _too_large() -> Problem:
    detail = f"A body has at most {MAX_BODY_BYTES:,} bytes. Nothing was written."
    return Problem("too-large", detail, headers={"Connection": "close"})
