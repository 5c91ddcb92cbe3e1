"""What every request and answer of the app's server goes through first, whoever asks.

An ASGI middleware around all of Streamlit. A request under a foreign name is refused (somebody else's domain may lead
to this machine), as is one with more in it than a form has, and one for what Streamlit offers and FlaskTrack doesn't
use. Every answer tells the browser what the page may do: run the scripts that came with Streamlit, talk to this server
alone, stand in no other page's frame.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import file_util

from flasktrack.ui.entrance import base_path

MAX_BODY_BYTES = 64 * 1024
"""Of a request. No page takes files; the largest form holds two passwords and an address."""

# Streamlit's, and of no use here: counts of its own, pages for programs, files from the browser, others' components.
CLOSED = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/upload_file", "/component")

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(\[(?P<ip6>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z.-]+))(:[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,9}")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def content_security_policy(inline_scripts: Iterable[bytes]) -> str:
    """The policy under which Streamlit's pages work; `inline_scripts` are those in its one HTML file.

    Styles may be inline: Streamlit's and Plotly's are made by script. Nothing from records ever becomes a style.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in inline_scripts)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {hashes}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class Guard:
    """The application, guarded. It answers under the name in `url`, where people reach it, and under this machine's."""

    def __init__(self, app: ASGIApp, url: str | None = None) -> None:
        self.app = app
        self.names = {*_THIS_MACHINE, *filter(None, [urlsplit(url or "").hostname])}
        self.closed = tuple(f"{base_path()}{path}" for path in CLOSED)
        page = Path(file_util.get_static_dir(), "index.html").read_bytes()
        self.headers = {
            "Content-Security-Policy": content_security_policy(_INLINE_SCRIPT.findall(page)),
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # an address holds names and filters; less, and forms lose their origin
            "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                answered = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    answered.setdefault(name, value)  # a page of ours may allow itself less
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send_with_headers)
        else:
            await self.app(scope, _Limited(receive) if scope["type"] == "http" else receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """The status and the words with which a request is refused, or None."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _name(hosts[0]) not in self.names:
            return 400, "FlaskTrack does not answer under this name. Ask whoever runs it for its address."
        path = scope["path"]
        if any(path == closed or path.startswith(f"{closed}/") for closed in self.closed):
            return 404, "There is nothing here."
        length = headers.get("content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
            return 413, "That is more than FlaskTrack takes from a browser."
        return None


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None for anything that is more or less than that (RFC 9110, 7.2)."""
    match = _HOST.fullmatch(host)
    return None if match is None else (match["ip6"] or match["name"]).lower().rstrip(".")


class _Limited:
    """What is received of a request that doesn't say how long it is: no more than what one may have."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.left = MAX_BODY_BYTES

    async def __call__(self) -> Message:
        message = await self.receive()
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            return {"type": "http.disconnect"}
        return message
