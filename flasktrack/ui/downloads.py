"""Files for a reader to take away, streamed from disk: at an address that is a secret, ends soon, and is one reader's.

Streamlit's own download button holds the whole file in memory, and tells nobody that it was taken. An address here is
256 random bits, good for an hour, for the browser whose page showed it, and for one export or one record's proof; each
download is a record in the chain.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import streamlit as st
from sqlalchemy import Connection, Engine
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from flasktrack.access.acting import renewed
from flasktrack.core.times import utc_now
from flasktrack.errors import ChainBroken, FlaskTrackError, NotPermitted
from flasktrack.export.running import kept_file
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.exports import append_export_act, append_proof_taken, find_export
from flasktrack.store.scope import Permission, Scope
from flasktrack.ui.door import SESSION_HEADER
from flasktrack.ui.entrance import base_path
from flasktrack.ui.session import Context

PATH = "/download"
GOOD_FOR = timedelta(hours=1)
_RENEWED = timedelta(minutes=30)  # an address that a page shows is good for as long at least
_SESSION = "download_addresses"
_HEADERS = {"Cache-Control": "no-store"}
_GOES_ON = re.compile(r"bytes=0*[1-9][0-9]*-[0-9]*")
"""A range of bytes that does not hold the first one. Whatever else is asked for is a download from the beginning."""


class Proof(NamedTuple):
    """A record's own proof, as a text."""

    seq: int
    text: str


@dataclass(slots=True)
class Grant:
    """Leave to download one export, by its id, or one proof: for whom, until when, and whether it is on record.

    Whether they still may is asked at each download.
    """

    engine: Engine
    scope: Scope
    what: str | Proof
    browser: str | None
    until: datetime
    recorded: bool = False


class Downloads:
    """The addresses that are good now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}

    def grant(self, grant: Grant) -> str:
        """A new address for it. Addresses whose time is over go."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = utc_now()
            self._grants = {name: kept for name, kept in self._grants.items() if kept.until > now}
            self._grants[token] = grant
        return f"{base_path()}{PATH}/{token}"

    def find(self, token: str, browser: str | None) -> Grant | None:
        """What an address is good for; None where its time is over, or another browser or session asks."""
        grant = self._grants.get(token)
        if grant is None or grant.until <= utc_now() or (grant.browser is not None and grant.browser != browser):
            return None
        return grant


@st.cache_resource(show_spinner=False)
def downloads() -> Downloads:
    """The one list of addresses; it lasts as long as the app."""
    return Downloads()


def download_address(context: Context, what: str | Proof) -> str:
    """Where this session can download an export or a proof: the same address until its time is half over."""
    known: dict[Any, tuple[str, datetime]] = st.session_state.setdefault(_SESSION, {})
    key = context.scope.actor.subject, context.organization.id, what
    now = utc_now()
    if key not in known or known[key][1] < now + _RENEWED:
        until = now + GOOD_FOR
        browser = reader_of(st.context.headers, st.context.cookies)
        grant = Grant(context.engine, context.scope, what, browser, until)
        known[key] = downloads().grant(grant), until
    return known[key][0]


def reader_of(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
    """What tells a reader from others: the session under which the door let them in, or in a demo their browser."""
    return headers.get(SESSION_HEADER) or browser_of(cookies)


def browser_of(cookies: Mapping[str, str]) -> str | None:
    """What tells a browser from others: the secret in the cookie that Streamlit gives each; None without one.

    The cookie's text is masked anew each time; what it masks stays.
    """
    try:
        token, _ = decode_xsrf_token_string(cookies.get(XSRF_COOKIE_NAME) or "")
    except ValueError:
        return None
    return None if token is None else token.hex()


def _send(request: Request) -> Response:
    grant = downloads().find(request.path_params["token"], reader_of(request.headers, request.cookies))
    if grant is None:
        return _refuse(404, "This address is not good any more, or not for this browser. Open the page Exports again.")
    try:
        scope = renewed(grant.engine, grant.scope, Permission.EXPORT)
        if isinstance(grant.what, Proof):
            return _proof(request, grant, scope, grant.what)
        return _file(request, grant, scope, grant.what)
    except NotPermitted as problem:
        return _refuse(403, str(problem))
    except FlaskTrackError as problem:
        return _refuse(503, f"The download can't be recorded, so it is not given out. {problem}")


def _file(request: Request, grant: Grant, scope: Scope, export_id: str) -> Response:
    about = find_export(grant.engine, scope, export_id)
    file = None if about is None else kept_file(about, Settings.from_environment())
    if about is None or file is None or not about.downloadable or not file.is_file():
        return _refuse(404, "This file is no longer here. Make the export again.")
    goes_on = grant.recorded and _GOES_ON.fullmatch(request.headers.get("range", "")) is not None
    if not goes_on:
        _record(request, grant, lambda to: append_export_act(to, scope, "download", about))
    return FileResponse(file, filename=file.name, content_disposition_type="attachment", headers=_HEADERS)


def _proof(request: Request, grant: Grant, scope: Scope, proof: Proof) -> Response:
    _record(request, grant, lambda to: append_proof_taken(to, scope, proof.seq, proof.text))
    name = f"{scope.organization_id}-record-{proof.seq}.tlog-proof"
    return PlainTextResponse(proof.text, headers=_HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'})


def _record(request: Request, grant: Grant, append: Callable[[Connection], object]) -> None:
    """Record the download. Raises what `append` raises, but for an altered chain, to which nothing can be appended."""
    if request.method != "GET":
        return
    with suppress(ChainBroken):  # of all chains, one that was altered must be possible to take away
        with writing(grant.engine) as connection:
            append(connection)
        grant.recorded = True


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(why, status_code=status)


def download_routes(base: str) -> list[BaseRoute]:
    """The routes, for Streamlit's server to serve beside its own, below the path that all its addresses begin with."""
    return [Route(f"{base}{PATH}/{{token}}", _send)]
