"""Applications on real sockets, and requests to them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from typing import Any, Literal, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import uvicorn


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def serving_asgi(app: Any, lifespan: Literal["on", "off"] = "off") -> Iterator[int]:
    """The port of an ASGI application that runs meanwhile."""
    config = uvicorn.Config(app, log_level="error", lifespan=lifespan, proxy_headers=False, ws="none")
    server = uvicorn.Server(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # named, so that asyncio sends without delay
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.started
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return str(self.client_address[0])  # without asking for its name


@contextmanager
def serving_wsgi(app: Any) -> Iterator[int]:
    """The port of a WSGI application that runs meanwhile."""
    server = make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})  # seconds until it ends
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def request(port: int, method: str, path: str, **headers: str) -> Answer:
    """Send a request; underscores in headers' names are hyphens."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    finally:
        connection.close()
