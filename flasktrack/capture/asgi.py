"""ASGI middleware: each request is a scope (see `capture.context`), and its answer carries the request's id.

    app.add_middleware(RequestScope, trusted_proxies=["10.0.0.0/8"])       # FastAPI, Starlette

Put it outermost, so that all that runs for a request runs in its scope; background tasks of the answer do, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import quote

from flasktrack.capture.context import resume
from flasktrack.capture.request import REQUEST_ID, TRACEPARENT, outgoing_headers, parse_proxies, read_request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class RequestScope:
    """The application, in a scope for each HTTP request and web socket. Raises SettingsError for a bad proxy."""

    def __init__(self, app: Application, trusted_proxies: Iterable[str] = ()) -> None:
        self.app = app
        self.proxies = parse_proxies(trusted_proxies)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        def header(name: str) -> str | None:
            wanted = name.lower().encode()
            values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]
            return ",".join(values) if values else None

        async def send_with_ids(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = list(message.get("headers") or ())
                present = {key.lower() for key, _ in headers}
                for name, value in ids.items():
                    if name.lower().encode() not in present:
                        headers.append((name.lower().encode(), value.encode()))
                message = {**message, "headers": headers}
            await send(message)

        raw = scope.get("raw_path")
        path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"])
        peer = scope["client"][0] if scope.get("client") else None
        with resume(read_request(header, scope.get("method"), path, peer, self.proxies)):
            ids = {name: value for name, value in outgoing_headers().items() if name in (REQUEST_ID, TRACEPARENT)}
            await self.app(scope, receive, send_with_ids)
