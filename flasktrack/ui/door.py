"""The door: every request and web socket passes here first, and without a session nothing runs for it.

An ASGI middleware around all of Streamlit. It looks at who asks, in the one way that this deployment lets people in:

    demo    whoever is at this machine, by an address of this machine
    local   a cookie with the token of a session
    oidc    the cookie in which Streamlit keeps, signed, what the identity provider said
    proxy   a header, from the addresses of the proxies that are trusted

and hands the session on in a header that no client can set. What is turned away gets the sign-in page; a web socket, on
which Streamlit would run a page, is told to go there before Streamlit hears of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.runtime_util import serialize_forward_msg
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from flasktrack.access.accounts import account_id, is_foreign_id
from flasktrack.access.sessions import Session, find_session, hash_token
from flasktrack.access.sign_in import Visit, oidc_sign_in, proxy_sign_in
from flasktrack.capture.request import parse_address, read_request
from flasktrack.core.times import utc_now
from flasktrack.errors import ClaimRefused, FlaskTrackError
from flasktrack.settings import DEMO, LOCAL, OIDC, PROXY, is_loopback
from flasktrack.ui.entrance import CALLBACK, Entrance

SIGN_IN = "/sign-in"
SESSION_HEADER, ADDRESS_HEADER = "x-flasktrack-session", "x-flasktrack-address"
_OURS = (SESSION_HEADER.encode(), ADDRESS_HEADER.encode())
NEXT = "next"
_LONGEST_NEXT = 2048
# What everybody may have: the sign-in itself, Streamlit's scripts and pictures, and whether the server lives.
_OPEN = ("/_stcore/health", "/_stcore/host-config", "/favicon.png", "/favicon.ico", SIGN_IN)
_OPEN_BELOW = ("/static/", f"{SIGN_IN}/")
_LOGOUT = "/auth/logout"
_OPEN_OIDC = ("/auth/login", _LOGOUT, CALLBACK)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_REWRITES_THE_PEER = "ProxyHeadersMiddleware"
_log = logging.getLogger(__name__)


class Door:
    """The application behind its door. `engine` gives the database."""

    def __init__(self, app: ASGIApp, entrance: Entrance, engine: Callable[[], Engine]) -> None:
        self.app = app
        self.entrance = entrance
        self.engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        told = [(name, value) for name, value in scope["headers"] if name.lower() not in _OURS]
        asked = HTTPConnection({**scope, "headers": told})
        address = visit_of(self.entrance, asked).address
        if address:
            told.append((ADDRESS_HEADER.encode(), address.encode("latin-1", "replace")))
        scope = {**scope, "headers": told}
        if self.entrance.settings.sign_in == DEMO:
            why = _not_of_this_machine(asked)
            await (_refuse(scope, receive, send, 403, why) if why else self.app(scope, receive, send))
            return
        path = asked.url.path.removeprefix(self.entrance.base)
        if path == _LOGOUT and not _comes_from(asked, self.entrance.settings.origin):
            await _refuse(scope, receive, send, 403, "Sign out on a page of FlaskTrack: no other site can do it.")
            return
        if path in _OPEN or path.startswith(_OPEN_BELOW) or (self._is_oidc and path in _OPEN_OIDC):
            await self.app(scope, receive, send)
            return
        try:
            session = await run_in_threadpool(find_visitor, self.entrance, self.engine, asked)
        except ClaimRefused as problem:
            session, why = None, str(problem)
        except (FlaskTrackError, SQLAlchemyError) as problem:
            _log.error("Nobody can be let in: %s", problem)
            await _refuse(scope, receive, send, 503, "FlaskTrack can't be used now. Its log says why.")
            return
        else:
            why = ""
        if session is None:
            await self._turn_away(scope, receive, send, asked, why)
            return
        told.append((SESSION_HEADER.encode(), session.token_hash.hex().encode()))
        wanted = safe_next(unquote(asked.cookies.get(self.entrance.cookie(NEXT)) or ""))
        if scope["type"] == "http" and path == "/" and wanted:  # back from the identity provider
            back = RedirectResponse(wanted, 303)
            back.delete_cookie(self.entrance.cookie(NEXT), secure=self.entrance.secure, httponly=True)
            await back(scope, receive, send)
            return
        await self.app(scope, receive, send)

    @property
    def _is_oidc(self) -> bool:
        return self.entrance.settings.sign_in == OIDC

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send, asked: HTTPConnection, why: str) -> None:
        page = f"{self.entrance.base}{SIGN_IN}"
        if scope["type"] == "websocket":
            await _send_browser_to(page, scope, receive, send)
        elif self.entrance.settings.sign_in == PROXY:
            await _refuse(
                scope, receive, send, 403, why or "FlaskTrack is reached by the proxy at which people sign in."
            )
        elif scope["method"] in ("GET", "HEAD") and "text/html" in asked.headers.get("accept", ""):
            wanted = f"{asked.url.path}{'?' if asked.url.query else ''}{asked.url.query}"
            query = f"?{NEXT}={quote(wanted, safe='/')}" if safe_next(wanted) and wanted != "/" else ""
            await RedirectResponse(f"{page}{query}", 303)(scope, receive, send)
        else:
            await _refuse(scope, receive, send, 401, why or "Sign in first.")


def find_visitor(entrance: Entrance, engine: Callable[[], Engine], asked: HTTPConnection) -> Session | None:
    """The session of whoever asks. Raises ClaimRefused where the word of who vouches can't be taken; DatabaseError."""
    settings, visit = entrance.settings, visit_of(entrance, asked)
    if settings.sign_in == LOCAL:
        token = asked.cookies.get(entrance.cookie())
        if token is None:
            return None
        return find_session(engine(), hash_token(token), LOCAL, idle=settings.session_idle, now=visit.now)
    if settings.sign_in == OIDC and entrance.rules is not None:
        claims = _streamlit_claims(asked.cookies, settings.origin)
        return (
            None if claims is None else oidc_sign_in(engine(), settings, visit, entrance.rules.read(claims, visit.now))
        )
    if settings.sign_in == PROXY:
        id_ = _named_by_proxy(entrance, asked)
        return None if id_ is None else proxy_sign_in(engine(), settings, visit, id_)
    return None


def visit_of(entrance: Entrance, asked: HTTPConnection) -> Visit:
    """What a request says of itself, for the lock-out and for records."""

    def header(name: str) -> str | None:
        return ",".join(asked.headers.getlist(name)) or None

    told = read_request(header, asked.scope.get("method"), asked.url.path, _peer(asked), entrance.proxies).context
    return Visit(told.get("ip"), asked.cookies.get(entrance.cookie("browser")), told, utc_now())


def safe_next(wanted: str) -> str | None:
    """The path to go on to after the sign-in, as long as it is one of this app."""
    if not wanted.startswith("/") or wanted.startswith(("//", SIGN_IN)) or len(wanted) > _LONGEST_NEXT:
        return None
    return None if "\\" in wanted or not wanted.isprintable() else wanted


def trust_no_forwarding() -> None:
    """Keep uvicorn from putting the word of any program on this machine in the place of the connection's address.

    It takes X-Forwarded-For from whoever connects from 127.0.0.1, and leaves no trace of who that was. Whose word is
    taken is said in FLASKTRACK_TRUSTED_PROXIES, and looked at here. To be called while uvicorn loads the app.
    """
    import uvicorn.config

    class Untouched:
        def __init__(self, app: ASGIApp, trusted_hosts: object = None) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)

    setattr(uvicorn.config, _REWRITES_THE_PEER, Untouched)


def _comes_from(asked: HTTPConnection, origin: str | None) -> bool:
    """Whether a page of this origin has sent the browser here, by what no page elsewhere can make a browser say.

    Streamlit signs out at a GET. Browsers that don't say Sec-Fetch-Site do say where they come from: the guard's
    Referrer-Policy has them, and a page elsewhere can at most have them say nothing.
    """
    site = asked.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return asked.headers.get("referer", "").lower().startswith(f"{origin}/")


def _named_by_proxy(entrance: Entrance, asked: HTTPConnection) -> str | None:
    """The person whom a trusted proxy names; nobody where it comes from elsewhere, or names more than one."""
    named = asked.headers.getlist(entrance.settings.user_header)
    address = parse_address(_peer(asked) or "")
    if address is None or not any(address in network for network in entrance.proxies):
        if named:
            _log.warning("%s claims to be a proxy at which people sign in, and is not.", address)
        return None
    if len(named) != 1:
        return None
    id_ = account_id(named[0])
    return id_ if is_foreign_id(id_) else None


def _streamlit_claims(cookies: Mapping[str, str], origin: str | None) -> dict[str, Any] | None:
    """The claims in Streamlit's signed cookie, if it was given out for this origin."""
    secret = get_cookie_secret()

    def part(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if value is None else decode_signed_value(secret, name, value.encode("latin-1", "replace"))

    try:
        claims = json.loads(get_cookie_with_chunks(part, USER_COOKIE_NAME) or b"null")
    except ValueError:
        return None
    if not isinstance(claims, dict) or str(claims.get("origin")).lower() != origin:
        return None
    return claims


def _not_of_this_machine(asked: HTTPConnection) -> str | None:
    """Why a request must not see the demo: another machine sends it, or a page elsewhere has made a browser do so.

    The Host is looked at since a name that somebody else owns may lead to 127.0.0.1 (DNS rebinding).
    """
    server = asked.scope.get("server")
    ends = [parse_address(end) for end in (_peer(asked), server[0] if server else None) if end]
    if any(end is not None and not end.is_loopback for end in ends):
        return "This is a demo: it answers to the machine that it runs on alone."
    try:
        host = urlsplit(f"//{asked.headers.get('host', '')}").hostname
    except ValueError:
        host = None
    if host is None or not is_loopback(host) or any(name in asked.headers for name in _FORWARDED):
        return "This is a demo: it answers at 127.0.0.1 and localhost alone, and not through a proxy."
    return None


def _peer(asked: HTTPConnection) -> str | None:
    return asked.client.host if asked.client else None


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    response: Response = PlainTextResponse(why, status, headers={"Cache-Control": "no-store"})
    await response(scope, receive, send)


async def _send_browser_to(page: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the browser's Streamlit go to another address, as it does for st.login, without Streamlit's server."""
    await receive()
    offered = scope.get("subprotocols") or [None]
    accept: Message = {"type": "websocket.accept", "subprotocol": offered[0]}
    message = ForwardMsg()
    message.auth_redirect.url = page
    await send(accept)
    await send({"type": "websocket.send", "bytes": serialize_forward_msg(message)})
    await send({"type": "websocket.close", "code": 1000, "reason": ""})
