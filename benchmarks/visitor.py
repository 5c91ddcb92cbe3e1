"""A person at a browser, as the app's server sees one: a web socket on which pages are asked for and drawn.

    async with Visitor("http://127.0.0.1:8501", cookies) as visitor:
        page = await visitor.open("records", {"org": ["northwind-labs"], "outcome": ["denied"]})

Streamlit's browser side costs many times what its server does, and fifty browsers would measure this machine and not
the app. What is sent is what a browser sends, and all that comes is kept: so that what it says can be looked at.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar
from typing import NamedTuple, Self
from urllib.parse import urlencode, urlsplit

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

PATIENCE = 120.0
"""Seconds after which a page that is not drawn is an error."""

_TOKEN = re.compile(r'name="form" value="([^"]+)"')

Params = Mapping[str, Sequence[str]]


def sign_in(address: str, id_: str, password: str) -> dict[str, str]:
    """The cookies of somebody who has signed in with an account's name and password, as a browser gets them."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with opener.open(f"{address}/sign-in", timeout=PATIENCE) as page:
        token = _TOKEN.search(page.read().decode())
    assert token is not None, "there is no form to sign in with"
    form = urlencode({"form": token[1], "name": id_, "password": password}).encode()
    opener.open(urllib.request.Request(f"{address}/sign-in", form), timeout=PATIENCE).close()  # noqa: S310 (ours)
    return {cookie.name: cookie.value or "" for cookie in jar}


class Drawn(NamedTuple):
    """A page as it was sent: in how many seconds, all its messages, and what it said was wrong."""

    seconds: float
    sent: bytes
    problems: tuple[str, ...]


class Visitor:
    """One session of the app."""

    def __init__(self, address: str, cookies: Mapping[str, str] | None = None) -> None:
        self.address = address
        self.cookies = dict(cookies or {})
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        place = urlsplit(self.address)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        self._socket = await connect(
            f"ws://{place.netloc}{place.path.rstrip('/')}/_stcore/stream",
            additional_headers=headers if self.cookies else None, origin=Origin(self.address),
            subprotocols=[Subprotocol("streamlit")], open_timeout=PATIENCE, ping_timeout=None, max_size=None,
            proxy=None,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def open(self, page: str, params: Params) -> Drawn:
        """Ask for a page by its name in the address ("" for the first one), and take in what is sent until it is drawn.

        Never raises: what goes wrong is one of the page's problems.
        """
        asked = BackMsg()
        asked.rerun_script.query_string = urlencode(params, doseq=True)
        asked.rerun_script.page_name = page
        start = time.perf_counter()
        sent: list[bytes] = []
        problems: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE):
                await self._connected.send(asked.SerializeToString())
                await self._take_in(sent, problems)
        except TimeoutError:
            problems.append(f"not drawn within {PATIENCE:.0f} seconds")
        except ConnectionClosed as problem:
            problems.append(f"the connection was closed: {problem}")
        return Drawn(time.perf_counter() - start, b"".join(sent), tuple(problems))

    @property
    def _connected(self) -> ClientConnection:
        assert self._socket is not None, "use it as a context manager"
        return self._socket

    async def _take_in(self, sent: list[bytes], problems: list[str]) -> None:
        while True:
            data = await self._connected.recv()
            assert isinstance(data, bytes)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                sent.clear()  # a page that runs again is drawn anew
                problems.clear()
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    problems.append("a page that can't be compiled")
                    return
            elif kind == "page_not_found":
                problems.append("there is no such page")
            elif kind == "auth_redirect":
                problems.append("sent to the sign-in")
                return
            sent.append(data)
            if (said := _problem(message)) is not None:
                problems.append(said)


def _problem(message: ForwardMsg) -> str | None:
    """What a box says that tells of an error; an exception's name."""
    element = message.delta.new_element
    kind = element.WhichOneof("type")
    if kind == "exception":
        return f"{element.exception.type}: {element.exception.message}"
    if kind == "alert" and element.alert.format == Alert.ERROR:
        return str(element.alert.body)
    return None
