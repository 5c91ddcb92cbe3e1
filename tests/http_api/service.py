"""The HTTP interface on a real socket, keys for it, and requests to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from sqlalchemy import Engine

from flasktrack.http_api.app import create_app
from flasktrack.store.api_keys import IssuedKey, issue_api_key, revoke_api_key
from flasktrack.store.engine import writing
from flasktrack.store.scope import machine_scope
from tests.capture.serving import Answer, serving_asgi
from tests.store.samples import NORTHWIND

FAST = 1e6
"""Requests a second: no test of anything else is to meet the limit."""


def issue(engine: Engine, organization: str = NORTHWIND, **options: Any) -> IssuedKey:
    given: dict[str, Any] = {"name": "LIMS", "actions": ["*"], "may_read": True, "reason": "SOP-12"}
    with writing(engine) as connection:
        return issue_api_key(connection, machine_scope(organization), **(given | options))


def revoke(engine: Engine, issued: IssuedKey) -> None:
    with writing(engine) as connection:
        revoke_api_key(connection, machine_scope(issued.key.organization_id), issued.key.id, reason="left")


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A record as a client sends it."""
    return {
        "action": "update",
        "entity": {"type": "sample", "id": "S-100"},
        "occurred_at": f"2026-11-24T05:06:07.{number:06}Z",
        "before": {"volume": number - 1},
        "after": {"volume": number},
    } | changes


class Client:
    """Requests with a key to a service at a port of this machine; a connection for each."""

    def __init__(self, port: int, token: str | None) -> None:
        self.port = port
        self.token = token

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; a body that is not bytes goes as JSON. Underscores in headers' names are hyphens."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    def record(self, *events: dict[str, Any]) -> Answer:
        """POST events."""
        return self.request("POST", "/v1/records", {"records": events})

    def get(self, path: str) -> Any:
        """GET what is there, as JSON."""
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.json()


@contextmanager
def serving(engine: Engine, token: str | None = None, *, rate: float = FAST) -> Iterator[Client]:
    """A client of a service that runs meanwhile."""
    with serving_asgi(create_app(engine, rate=rate), lifespan="on") as port:
        yield Client(port, token)


def problem(answer: Answer) -> tuple[int, str]:
    """The status and type of a problem, once it is one in every respect."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status
    assert document["detail"]
    return answer.status, document["type"].removeprefix("/docs#")
