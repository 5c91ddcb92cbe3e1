"""What every request goes through first: names, lengths and ways that are refused, and what every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from flasktrack.ui.guard import CLOSED, MAX_BODY_BYTES, Guard

HERE = [("host", "127.0.0.1:8501")]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads what it is sent, and says how much that was."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    read = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        read += len(message["body"])
        if not message.get("more_body"):
            break
    headers = [(b"x-frame-options", b"SAMEORIGIN")] if scope["path"] == "/own" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(read).encode()})


def ask(
    path: str = "/", headers: Iterable[tuple[str, str]] = HERE, body: Iterable[bytes] = (b"",), kind: str = "http"
) -> tuple[int | str, Headers, bytes]:
    """Status (or the web socket's answer), headers and body of what the guarded application says."""
    scope = {
        "type": kind, "method": "POST", "path": path, "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    parts = list(body)
    received = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(application, "https://audit.example.org/")(scope, receive, send))
    if not sent:
        return "nothing", Headers({}), b""
    start = sent[0]
    said = b"".join(message.get("body", b"") for message in sent)
    return start.get("status", start["type"]), Headers(raw=start.get("headers", [])), said


def test_every_answer_says_what_the_page_may_do() -> None:
    for _, headers, _ in (ask(), ask("/_stcore/metrics"), ask(headers=[("host", "evil.example")])):
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert "unsafe" not in policy["script-src"]
        assert "'self' 'sha256-" in policy["script-src"]
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert not any("http" in sources or "*" in sources for sources in policy.values())
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
    assert ask("/own")[1].getlist("x-frame-options") == ["SAMEORIGIN"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8501",
        "localhost",
        "LOCALHOST:80",
        "[::1]:8501",
        "audit.example.org",
        "Audit.Example.org.:1",
    ],
)
def test_it_answers_under_its_own_names(host: str) -> None:
    assert ask(headers=[("host", host)])[0] == 200
    assert ask(headers=[("host", host)], kind="websocket")[0] == "websocket.accept"


@pytest.mark.parametrize(
    "hosts",
    [[], [""], ["evil.example"], ["localhost.evil.example"], ["127.0.0.1@evil.example"], ["localhost", "evil.example"],
     ["127.0.0.1:port"], ["localhost/evil"], ["localhost:"], ["evil.audit.example.org"],
     ["audit.example.org,evil.example"]],
)  # fmt: skip
def test_it_answers_under_no_other_name(hosts: list[str]) -> None:
    headers = [("host", host) for host in hosts]
    for kind in ("http", "websocket"):
        status, _, said = ask(headers=headers, kind=kind)
        assert status == 400
        assert b"does not answer under this name" in said


@pytest.mark.parametrize("path", [*CLOSED, *(f"{path}/more" for path in CLOSED)])
def test_what_streamlit_offers_and_nobody_needs_is_closed(path: str) -> None:
    assert ask(path)[0] == 404
    assert ask(path.replace("/more", "x"))[0] == (200 if path.endswith("/more") else 404)


def test_a_request_holds_no_more_than_a_form_whatever_it_says_of_itself() -> None:
    much = str(MAX_BODY_BYTES + 1)
    for length in (much, "-1", "1e9", "9" * 5000, "", "\u0663"):
        assert ask(headers=[*HERE, ("content-length", length)])[0] == 413
    assert ask(headers=[*HERE, ("content-length", str(MAX_BODY_BYTES))])[0] == 200
    assert ask(body=[b"x" * MAX_BODY_BYTES])[2] == str(MAX_BODY_BYTES).encode()
    assert ask(body=[b"x" * MAX_BODY_BYTES, b"x"])[0] == "nothing", "it is cut off"
