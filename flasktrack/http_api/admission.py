"""Who is let in: an API key in `Authorization: Bearer`, in force, and not more often than its rate.

A key that was revoked, has expired, or is not what its record says is refused, and that it was shown is a record in its
organization's chain. A secret that is nobody's is refused and leaves no record: anybody could fill a chain with those.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Engine
from starlette.requests import Request

from flasktrack.capture.request import Network, read_request
from flasktrack.errors import FlaskTrackError, InvalidApiKey
from flasktrack.http_api.limits import RateLimit, RefusedUses
from flasktrack.http_api.problems import Problem, retry_after
from flasktrack.store.api_key_use import authenticate, record_refused_use
from flasktrack.store.api_keys import ACTIVE, ALTERED, ApiKey

_SCHEME = "bearer"
_log = logging.getLogger("flasktrack.http_api")
_CHALLENGE = 'Bearer realm="flasktrack"'


class Admission:
    """Lets requests in; looks keys up in `threads`. `rate` is requests a second for each key."""

    def __init__(
        self, engine: Engine, threads: ThreadPoolExecutor, rate: float, proxies: tuple[Network, ...] = ()
    ) -> None:
        self.engine = engine
        self.threads = threads
        self.proxies = proxies
        self._limit = RateLimit(rate, max(1.0, 2 * rate))
        self._refused = RefusedUses()

    async def admit(self, request: Request) -> ApiKey:
        """The key that a request comes with. Raises Problem, and DatabaseError where that can't be told."""
        token = _token(request)
        loop = asyncio.get_running_loop()
        try:
            key = await loop.run_in_executor(self.threads, authenticate, self.engine, token)
        except InvalidApiKey:
            raise _not_authenticated("This is no API key.") from None
        status = key.status()
        if status != ACTIVE:
            await self._record_refusal(key, request)
            why = "is not what its record says" if status == ALTERED else f"is {status}"
            raise _not_authenticated(f"The key {key.id} {why}.")
        wait = self._limit.take(key.id)
        if wait:
            raise Problem("too-many-requests", f"Wait {wait:.1f} seconds.", headers=retry_after(wait))
        return key

    async def _record_refusal(self, key: ApiKey, request: Request) -> None:
        """Record that a key was shown that is not in force, or count it for the next such record."""
        unrecorded = self._refused.count(key.id)
        if unrecorded is None:
            return
        context = _about(request, self.proxies)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self.threads, lambda: record_refused_use(self.engine, key, context, unrecorded=unrecorded)
            )
        except FlaskTrackError as problem:  # an altered row may name what can't be recorded: refused it is all the same
            _log.error("a use of the key %s was refused and could not be recorded: %s", key.id, problem)


def _token(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != _SCHEME:
        raise _not_authenticated("Send the key in the header: Authorization: Bearer ftk_...")
    return token.strip()


def _not_authenticated(detail: str) -> Problem:
    return Problem("not-authenticated", detail, headers={"WWW-Authenticate": _CHALLENGE})


def _about(request: Request, proxies: tuple[Network, ...]) -> dict[str, Any]:
    """What the record of a refused use says of the request: never its headers, which hold the key."""
    peer = request.client.host if request.client else None

    def header(name: str) -> str | None:
        return ",".join(request.headers.getlist(name)) or None

    return dict(read_request(header, request.method, request.url.path, peer, proxies).context)
