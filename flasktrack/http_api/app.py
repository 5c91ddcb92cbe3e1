"""The HTTP interface as an ASGI application: addresses, and what happens at each.

    POST /v1/records                 record: one or many, all or none, once for each record_id
    GET  /v1/records                 read, by the filter that pages and exports share
    GET  /v1/records/{seq}/proof     that a record is in the history, as C2SP tlog-proof
    GET  /v1/checkpoints             what was signed
    GET  /v1/openapi.json, /docs     the description of it, for programs and for people

What waits for the database runs in threads of its own: for letting in, for writing and for reading, so that a search
through a long history keeps nobody from recording. A search has its time, and no organization has all readers.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from flasktrack.capture.request import Network
from flasktrack.core.record import Record
from flasktrack.errors import (
    ApiKeyNotInForce,
    ChainBroken,
    DatabaseError,
    FlaskTrackError,
    InvalidRecord,
    NotPermitted,
    RecordConflict,
    TookTooLong,
)
from flasktrack.http_api.admission import Admission
from flasktrack.http_api.events import invalid_record, read_events
from flasktrack.http_api.limits import READ_SECONDS, Bodies, Readers
from flasktrack.http_api.openapi import openapi_document
from flasktrack.http_api.openapi_page import openapi_page
from flasktrack.http_api.problems import BY_STATUS, KINDS, Problem, retry_after
from flasktrack.http_api.reading import checkpoints_page, proof_text, records_page
from flasktrack.http_api.recording import Recorder
from flasktrack.store.api_key_use import scope_of
from flasktrack.store.scope import Scope
from flasktrack.store.time_limit import within

DEFAULT_RATE = 100.0
"""Requests a second for each key."""
JSON = "application/json"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_ADMITTING, _WRITING, _READING = 2, 4, 4  # threads; SQLAlchemy's pool has 15 connections
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("flasktrack.http_api")


def create_app(engine: Engine, *, rate: float = DEFAULT_RATE, proxies: tuple[Network, ...] = ()) -> Starlette:
    """The application over a database that has the schema; `proxies` are trusted to say where a request comes from."""
    service = _Service(engine, rate, proxies)
    document = orjson.dumps(openapi_document())
    page = openapi_page(openapi_document())

    async def describe(_: Request) -> Response:
        return Response(document, media_type=JSON, headers=_HEADERS)

    async def describe_to_people(_: Request) -> Response:
        return HTMLResponse(page, headers={**_HEADERS, "Content-Security-Policy": POLICY})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    app = Starlette(
        routes=[
            _route("/v1/records", GET=service.reading(_records, JSON), POST=service.record),
            _route("/v1/records/{seq}/proof", GET=service.reading(_proof, "text/plain; charset=utf-8")),
            _route("/v1/checkpoints", GET=service.reading(_checkpoints, JSON)),
            _route("/v1/openapi.json", GET=describe),
            _route("/docs", GET=describe_to_people),
        ],
        exception_handlers={HTTPException: _not_routed},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # an address has one form
    return app


class _Service:
    """What requests share: the database, threads, limits, and what waits to be written."""

    def __init__(self, engine: Engine, rate: float, proxies: tuple[Network, ...]) -> None:
        self.engine = engine
        self.threads = [ThreadPoolExecutor(size) for size in (_ADMITTING, _WRITING, _READING)]
        admitting, writing, reading = self.threads
        self.readers = Readers(reading, _READING)
        self.admission = Admission(engine, admitting, rate, proxies)
        self.recorder = Recorder(engine, writing)
        self.bodies = Bodies()

    def close(self) -> None:
        """Wait for what is being written."""
        for threads in self.threads:
            threads.shutdown()

    async def record(self, request: Request) -> Response:
        """POST /v1/records."""
        key = await self.admission.admit(request)
        _check_media_type(request)
        with self.bodies.reading() as body:
            events = await asyncio.to_thread(read_events, key, await body.read(request))
            try:
                records = await self.recorder.record(key, events)
            except InvalidRecord as problem:
                raise invalid_record(problem.index, problem) from None
            except RecordConflict as problem:
                pointer = f"/records/{problem.index}/record_id"
                raise Problem("conflict", str(problem), errors=[(pointer, problem.what)]) from None
            except ApiKeyNotInForce:
                await self.admission.admit(request)  # says why, and has it recorded
                raise
        return _json(orjson.dumps({"records": [_receipt(record) for record in records]}))

    def reading(self, read: Callable[[Engine, Scope, Request], str | bytes], media_type: str) -> Handler:
        """What answers a GET with what `read` finds, as far as the key may read."""

        async def answer(request: Request) -> Response:
            key = await self.admission.admit(request)
            found = await self.readers.read(
                key.organization_id, lambda: read(within(self.engine, READ_SECONDS), scope_of(key), request)
            )
            return Response(found, media_type=media_type, headers=_HEADERS)

        return answer


def _records(engine: Engine, scope: Scope, request: Request) -> bytes:
    return records_page(engine, scope, _parameters(request))


def _checkpoints(engine: Engine, scope: Scope, request: Request) -> bytes:
    return checkpoints_page(engine, scope, _parameters(request))


def _proof(engine: Engine, scope: Scope, request: Request) -> str:
    return proof_text(engine, scope, request.path_params["seq"])


def _parameters(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


def _receipt(record: Record) -> dict[str, object]:
    """What acknowledges a record: its position, and the hash that it is linked and proved by."""
    return {
        "seq": record.seq,
        "record_id": record.record_id,
        "recorded_at": record.recorded_at,
        "hash": record.hash.hex(),
    }


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON or request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported-media-type", f"Send Content-Type: {JSON}, without a Content-Encoding.")


def _json(body: bytes) -> Response:
    return Response(body, media_type=JSON, headers=_HEADERS)


def _route(path: str, **handlers: Handler) -> Route:
    """A route whose methods are named; HEAD is what GET is, without its body."""

    async def endpoint(request: Request) -> Response:
        return await _answered(handlers["GET" if request.method == "HEAD" else request.method], request)

    return Route(path, endpoint, methods=list(handlers))


async def _answered(handler: Handler, request: Request) -> Response:
    """What a handler answers, or the problem that it met; what went wrong inside is told to the log alone."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except NotPermitted as problem:
        return Problem("not-allowed", problem.what).response()
    except TookTooLong as problem:
        return Problem("search-too-long", str(problem)).response()
    except (DatabaseError, OperationalError, NoConnection) as problem:
        _report(problem)
        return Problem("unavailable", "The database is busy or away.", headers=retry_after(1)).response()
    except ChainBroken as problem:
        _report(problem)
        return Problem("chain-broken", "Nothing was written. Tell whoever runs FlaskTrack.").response()
    except Exception as problem:  # noqa: BLE001 (no detail of it reaches a caller)
        number = _report(problem)
        return Problem("internal-error", f"The service's log says more under {number}.").response()


def _report(problem: Exception) -> str:
    """Tell the log what happened and where, without values: a database's message may hold a record's. Returns an id."""
    number = uuid.uuid4().hex[:12]
    said = str(problem) if isinstance(problem, FlaskTrackError) else type(problem).__name__
    where = traceback.extract_tb(problem.__traceback__)[-1:]
    place = f" ({Path(where[0].filename).name}:{where[0].lineno})" if where else ""
    _log.error("%s: %s%s", number, " ".join(said.split()), place)
    return number


async def _not_routed(_: Request, problem: Exception) -> Response:
    """What the router refuses: no such address, or not with this method."""
    status = problem.status_code if isinstance(problem, HTTPException) else 500
    name = BY_STATUS.get(status, "internal-error")
    headers = problem.headers if isinstance(problem, HTTPException) else None
    return Problem(name, KINDS[name].meaning, headers=headers).response()
