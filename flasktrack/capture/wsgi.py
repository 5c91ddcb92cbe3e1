"""WSGI middleware: each request is a scope (see `capture.context`), and its answer carries the request's id.

    app.wsgi_app = RequestScope(app.wsgi_app, trusted_proxies=["10.0.0.0/8"])      # Flask

The application runs in a copy of the server's context, and so does the making of an answer that is streamed: whatever
it leaves set, the thread's next request starts clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flasktrack.capture.context import resume
from flasktrack.capture.request import REQUEST_ID, TRACEPARENT, outgoing_headers, parse_proxies, read_request

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class RequestScope:
    """The application, in a scope for each request. Raises SettingsError for a bad proxy."""

    def __init__(self, app: WSGIApplication, trusted_proxies: Iterable[str] = ()) -> None:
        self.app = app
        self.proxies = parse_proxies(trusted_proxies)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        context = copy_context()
        return _Answer(context, context.run(self._start, environ, start_response))

    def _start(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def header(name: str) -> str | None:
            return environ.get(f"HTTP_{name.upper().replace('-', '_')}")

        def start_with_ids(status: str, headers: list[tuple[str, str]], *problem: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            more = [(name, value) for name, value in ids.items() if name.lower() not in present]
            return start_response(status, headers + more, *problem)

        path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
        attribution = read_request(
            header, environ.get("REQUEST_METHOD"), path, environ.get("REMOTE_ADDR"), self.proxies
        )
        resume(attribution).__enter__()  # for good: the context is this request's own, and ends with it
        ids = {name: value for name, value in outgoing_headers().items() if name in (REQUEST_ID, TRACEPARENT)}
        return self.app(environ, start_with_ids)


class _Answer:
    """The application's answer, each step of it taken in the request's context."""

    def __init__(self, context: Context, answer: Iterable[bytes]) -> None:
        self._context = context
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        steps = self._context.run(iter, self._answer)
        while True:
            try:
                step = self._context.run(next, steps)
            except StopIteration:
                return
            yield step

    def close(self) -> None:
        close = getattr(self._answer, "close", None)
        if close is not None:
            self._context.run(close)
