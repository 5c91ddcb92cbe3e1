"""Every error is a problem (RFC 9457), and none tells what went on inside."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from flasktrack.errors import DatabaseError
from flasktrack.http_api import app, limits
from flasktrack.http_api.limits import MAX_BODY_BYTES
from flasktrack.http_api.openapi import openapi_document
from flasktrack.http_api.problems import KINDS
from flasktrack.insight.filter import PARAMETERS
from tests.capture.serving import Answer
from tests.http_api.service import Client, event, issue, problem, serving
from tests.store.samples import organizations, stored, tamper


@pytest.fixture
def client(sqlite_engine: Engine) -> Iterator[Client]:
    """What is no matter of the database is tried on one."""
    organizations(sqlite_engine)
    with serving(sqlite_engine, issue(sqlite_engine).token) as client:
        yield client


def test_an_address_that_there_is_not(client: Client) -> None:
    for path in ("/", "/v1", "/v1/records/", "/v1/records/1", "/v2/records", "/v1/records/1/2/proof"):
        assert problem(client.request("GET", path)) == (404, "not-found")


def test_a_method_that_an_address_does_not_take(client: Client) -> None:
    for method, path, allowed in (
        ("DELETE", "/v1/records", {"GET", "HEAD", "POST"}),
        ("PUT", "/v1/records", {"GET", "HEAD", "POST"}),
        ("POST", "/v1/checkpoints", {"GET", "HEAD"}),
        ("OPTIONS", "/docs", {"GET", "HEAD"}),
    ):
        answer = client.request(method, path)
        assert problem(answer) == (405, "method-not-allowed")
        assert set(answer.headers["allow"].split(", ")) == allowed


def test_head_is_what_get_is_without_its_body(client: Client) -> None:
    answer = client.request("HEAD", "/v1/records")
    assert (answer.status, answer.body) == (200, b"")


def test_a_body_that_is_not_json(client: Client) -> None:
    for headers in (
        {},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json", "Content_Encoding": "gzip"},
    ):
        answer = client.request("POST", "/v1/records", b'{"records":[]}', **headers)
        assert problem(answer) == (415, "unsupported-media-type")


def send(client: Client, *parts: bytes) -> Answer:
    """Send a POST's bytes as they are, and read an answer's status and body."""
    head = f"POST /v1/records HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n")
        for part in parts:
            connection.sendall(part)
        told = b""
        while b"}" not in told and (more := connection.recv(65536)):
            told += more
    top, _, body = told.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


def test_a_body_that_says_it_is_too_large_is_refused_unread(client: Client) -> None:
    for length in (MAX_BODY_BYTES + 1, 10**19):
        answer = send(client, b"Content-Length: %d\r\n\r\n" % length)
        assert problem(answer) == (413, "too-large")
        assert answer.headers["connection"] == "close"


def test_a_body_that_turns_out_too_large_is_refused_before_it_ends(client: Client) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = send(client, b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 4, b"1\r\n \r\n")
    assert problem(answer) == (413, "too-large")


def test_a_body_that_comes_too_slowly_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    answer = send(client, b"Content-Length: 10\r\n\r\n{")
    assert problem(answer) == (408, "timeout")


def test_more_than_can_be_held_at_once_is_put_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES_AT_ONCE", 10)
    answer = client.record(event(1))
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    monkeypatch.undo()
    assert client.record(event(1)).status == 200, "what was held was given back"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError("a secret detail"), (500, "internal-error")),
        (DatabaseError("A secret detail."), (503, "unavailable")),
    ],
)
def test_what_fails_inside_is_told_to_the_log_alone(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    raised: Exception,
    expected: tuple[int, str],
) -> None:
    def fail(*_: object) -> bytes:
        raise raised

    monkeypatch.setattr(app, "records_page", fail)
    answer = client.request("GET", "/v1/records")
    assert problem(answer) == expected
    assert b"secret detail" not in answer.body
    assert type(raised).__name__ in caplog.text or str(raised) in caplog.text
    assert client.get("/v1/checkpoints") == {"checkpoints": [], "next": None}


def test_a_chain_that_was_altered_is_not_built_on(client: Client, sqlite_engine: Engine) -> None:
    tamper(sqlite_engine, "UPDATE chain_head SET size = 7")
    answer = client.record(event(1))
    assert problem(answer) == (500, "chain-broken")
    assert b"size" not in answer.body
    assert len(stored(sqlite_engine)) == 1


def test_the_descriptions_are_for_everybody_and_load_nothing_from_elsewhere(client: Client) -> None:
    stranger = Client(client.port, None)
    assert stranger.get("/v1/openapi.json") == openapi_document()
    page = stranger.request("GET", "/docs")
    text = page.body.decode()
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    for sign in ("http://", "https://", "<script", "src=", "@import", "url("):
        assert sign not in text
    for name in KINDS:
        assert f'id="{name}"' in text
    for path in openapi_document()["paths"]:
        assert f"<code>{path}</code>" in text


def test_the_description_names_every_filter() -> None:
    described = [one["name"] for one in openapi_document()["paths"]["/v1/records"]["get"]["parameters"]]
    assert described == [*PARAMETERS, "after", "limit", "order"]
