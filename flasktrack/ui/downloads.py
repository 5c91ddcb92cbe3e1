"""Files for a reader to take away, streamed from disk: at an address that is a secret, ends soon, and is one reader's.

Streamlit's own download button holds the whole file in memory. An address here is 256 random bits, good for an hour,
for the browser whose page showed it, and for one export; each download is a record in the chain.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import streamlit as st
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from flasktrack.core.times import utc_now
from flasktrack.errors import ChainBroken, FlaskTrackError
from flasktrack.export.running import kept_file
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.exports import Export, append_act, find_export
from flasktrack.ui.session import Context

PATH = "/download"
GOOD_FOR = timedelta(hours=1)
_RENEWED = timedelta(minutes=30)  # an address that a page shows is good for as long at least
_SESSION = "download_addresses"
_GOES_ON = re.compile(r"bytes=0*[1-9][0-9]*-[0-9]*")
"""A range of bytes that does not hold the first one. Whatever else is asked for is a download from the beginning."""


@dataclass(slots=True)
class Grant:
    """Leave to download one export: whose it is, until when, and whether a download of it is on record."""

    engine: Engine
    organization_id: str
    export_id: str
    principal: str
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
        base = str(st.get_option("server.baseUrlPath")).strip("/")
        return f"{f'/{base}' if base else ''}{PATH}/{token}"

    def find(self, token: str, browser: str | None) -> Grant | None:
        """What an address is good for; None where its time is over, or another browser asks."""
        grant = self._grants.get(token)
        if grant is None or grant.until <= utc_now() or (grant.browser is not None and grant.browser != browser):
            return None
        return grant


@st.cache_resource(show_spinner=False)
def downloads() -> Downloads:
    """The one list of addresses; it lasts as long as the app."""
    return Downloads()


def download_address(context: Context, about: Export) -> str:
    """Where this session can download an export: the same address until its time is half over."""
    known: dict[tuple[str, str], tuple[str, datetime]] = st.session_state.setdefault(_SESSION, {})
    key = context.principal, about.id
    now = utc_now()
    if key not in known or known[key][1] < now + _RENEWED:
        until = now + GOOD_FOR
        browser = browser_of(st.context.cookies)
        grant = Grant(context.engine, context.organization.id, about.id, context.principal, browser, until)
        known[key] = downloads().grant(grant), until
    return known[key][0]


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
    grant = downloads().find(request.path_params["token"], browser_of(request.cookies))
    if grant is None:
        return _refuse(404, "This address is not good any more, or not for this browser. Open the page Exports again.")
    about = find_export(grant.engine, grant.organization_id, grant.export_id)
    file = None if about is None else kept_file(about, Settings.from_environment())
    if about is None or file is None or not about.downloadable or not file.is_file():
        return _refuse(404, "This file is no longer here. Make the export again.")
    try:
        _record(request, grant, about)
    except FlaskTrackError as problem:
        return _refuse(503, f"The download can't be recorded, so it is not given out. {problem}")
    return FileResponse(
        file, filename=file.name, content_disposition_type="attachment", headers={"Cache-Control": "no-store"}
    )


def _record(request: Request, grant: Grant, about: Export) -> None:
    """Record the download: each that begins with the first byte, and one that goes on where none began."""
    goes_on = grant.recorded and _GOES_ON.fullmatch(request.headers.get("range", "")) is not None
    if request.method != "GET" or goes_on:
        return
    try:
        with writing(grant.engine) as connection:
            append_act(connection, grant.organization_id, "download", grant.principal, about)
    except ChainBroken:  # of all chains, one that was altered must be possible to take away
        return
    grant.recorded = True


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(why, status_code=status)


ROUTES: list[BaseRoute] = [Route(f"{PATH}/{{token}}", _send)]
