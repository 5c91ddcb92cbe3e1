"""A browser's GET from the app's server, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.applications import Starlette

from flasktrack.ui.downloads import download_routes


class Answer(NamedTuple):
    """What came back; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


def fetch(path: str, **headers: str) -> Answer:
    """GET a path of the app's own routes."""
    return asyncio.run(_fetch(path, headers))


async def _fetch(path: str, headers: dict[str, str]) -> Answer:
    came: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return await asyncio.Future()  # the reader neither sends a body nor goes away

    async def send(message: MutableMapping[str, Any]) -> None:
        came.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    await Starlette(routes=download_routes(""))(scope, receive, send)
    start = next(message for message in came if message["type"] == "http.response.start")
    content = b"".join(message.get("body", b"") for message in came if message["type"] == "http.response.body")
    return Answer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, content)
