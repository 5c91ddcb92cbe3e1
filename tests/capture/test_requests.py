"""Requests to FastAPI and Flask applications over real sockets: each record has its own request's actor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import flask
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Header
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from flasktrack.capture import asgi, wsgi
from flasktrack.capture.context import Actor, current, give_reason, identify
from flasktrack.capture.request import outgoing_headers
from tests.capture.lab import Lab, Tag, context, sections
from tests.capture.serving import Answer, request, serving_asgi, serving_wsgi

AT_ONCE = 4
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

pytestmark = pytest.mark.parametrize("shared_lab", ["sqlite"], indirect=True)


def add_tag(lab: Lab, word: str) -> str | None:
    with Session(lab.engine) as session:
        session.add(Tag(word=word))
        session.commit()
    actor = current().actor
    return None if actor is None else actor.id


@pytest.fixture
def port(lab: Lab, request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of the application that the test names as a parameter."""
    if request.param == "fastapi":
        with serving_asgi(_fastapi(lab)) as port:
            yield port
    else:
        with serving_wsgi(_flask(lab)) as port:
            yield port


both = pytest.mark.parametrize("port", ["fastapi", "flask"], indirect=True)


def _fastapi(lab: Lab) -> FastAPI:
    app = FastAPI()
    app.add_middleware(asgi.RequestScope, trusted_proxies=["127.0.0.1"])
    together = threading.Barrier(AT_ONCE, timeout=10)
    arrived: list[asyncio.Event] = []

    def signed_in(x_user: Annotated[str | None, Header()] = None) -> None:
        """FastAPI runs this in a thread, with a copy of the request's context."""
        if x_user:
            identify(Actor("user", x_user), credential_id=f"session-{x_user}")

    @app.post("/tags/{word}", dependencies=[Depends(signed_in)])
    def tag(word: str, why: str | None = None) -> str | None:
        if why:
            give_reason(why)
        return add_tag(lab, word)

    @app.post("/together/{word}", dependencies=[Depends(signed_in)])
    def tag_together(word: str) -> str | None:
        together.wait()
        return add_tag(lab, word)

    @app.post("/tasks/{word}", dependencies=[Depends(signed_in)])
    async def tag_in_a_task(word: str) -> str | None:
        mine = asyncio.Event()
        arrived.append(mine)
        if len(arrived) == AT_ONCE:
            for event in arrived:
                event.set()
        await mine.wait()
        return await asyncio.create_task(asyncio.to_thread(add_tag, lab, word))

    @app.post("/later/{word}", dependencies=[Depends(signed_in)])
    def tag_later(word: str, tasks: BackgroundTasks) -> None:
        tasks.add_task(add_tag, lab, word)

    @app.get("/stream", dependencies=[Depends(signed_in)])
    def stream() -> StreamingResponse:
        return StreamingResponse(f"{current().actor.id}," for _ in range(3))  # type: ignore[union-attr]

    @app.get("/outgoing")
    def outgoing() -> dict[str, str]:
        return outgoing_headers()

    return app


def _flask(lab: Lab) -> flask.Flask:
    app = flask.Flask("lab")
    app.wsgi_app = wsgi.RequestScope(app.wsgi_app, trusted_proxies=["127.0.0.1"])  # type: ignore[method-assign]
    together = threading.Barrier(AT_ONCE, timeout=10)

    @app.before_request
    def signed_in() -> None:
        user = flask.request.headers.get("X-User")
        if user:
            identify(Actor("user", user), credential_id=f"session-{user}")

    @app.post("/tags/<word>")
    def tag(word: str) -> Any:
        if "why" in flask.request.args:
            give_reason(flask.request.args["why"])
        return flask.jsonify(add_tag(lab, word))

    @app.post("/together/<word>")
    def tag_together(word: str) -> Any:
        together.wait()
        return flask.jsonify(add_tag(lab, word))

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(f"{current().actor.id}," for _ in range(3))  # type: ignore[union-attr]

    @app.get("/outgoing")
    def outgoing() -> Any:
        return flask.jsonify(outgoing_headers())

    return app


@both
def test_a_record_says_in_what_request_it_was_made(lab: Lab, port: int) -> None:
    answer = request(
        port, "POST", "/tags/r%C3%A9d?secret=1", X_User="zoe", X_Request_ID="r-1", User_Agent="lab-client/1.0",
        traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", X_Forwarded_For="203.0.113.7", X_Audit_Reason="first label",
    )  # fmt: skip
    assert (answer.status, answer.json()) == (200, "zoe")
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["traceparent"].startswith(f"00-{TRACE}-")
    (made,) = lab.records()
    assert sections(made)[1]["word"] == "réd"
    assert context(made) == {
        "request_id": "r-1", "trace_id": TRACE, "trace_flags": "01", "method": "POST", "path": "/tags/r%C3%A9d",
        "ip": "203.0.113.7", "user_agent": "lab-client/1.0",
    }  # fmt: skip
    record = made.record
    assert (record.actor_type, record.actor_id, record.credential_id) == ("user", "zoe", "session-zoe")
    assert (record.reason, record.correlation_id) == ("first label", TRACE)


@both
def test_a_request_without_ids_is_given_some_and_a_reason_may_be_said_in_it(lab: Lab, port: int) -> None:
    answer = request(port, "POST", "/tags/red?why=mislabelled", X_User="zoe")
    (made,) = lab.records()
    assert context(made)["request_id"] == answer.headers["x-request-id"]
    assert (made.record.correlation_id, made.record.reason) == (answer.headers["x-request-id"], "mislabelled")
    onward = request(port, "GET", "/outgoing", X_Request_ID="r-2")
    assert onward.json()["X-Request-ID"] == "r-2"
    assert onward.json()["traceparent"].split("-")[1] == onward.headers["traceparent"].split("-")[1]


@both
def test_without_a_user_a_request_changes_nothing(lab: Lab, port: int) -> None:
    assert request(port, "POST", "/tags/red").status == 500
    assert request(port, "POST", "/tags/red", X_User="zoe").status == 200
    assert request(port, "POST", "/tags/red").status == 500  # whoever asked before, on whatever thread
    assert [one.record.actor_id for one in lab.records()] == ["zoe"]


@both
def test_requests_that_run_at_once_keep_their_actors(lab: Lab, port: int) -> None:
    _at_once(lab, port, "/together")


@pytest.mark.parametrize("port", ["fastapi"], indirect=True)
def test_tasks_that_run_at_once_keep_their_actors(lab: Lab, port: int) -> None:
    _at_once(lab, port, "/tasks")


def _at_once(lab: Lab, port: int, path: str) -> None:
    def send(number: int) -> Answer:
        return request(port, "POST", f"{path}/t{number}", X_User=f"u-{number}", X_Request_ID=f"r-{number}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, range(AT_ONCE)))
    assert [answer.json() for answer in answers] == [f"u-{number}" for number in range(AT_ONCE)]
    told = sorted((one.record.actor_id, sections(one)[1]["word"], context(one)["request_id"]) for one in lab.records())
    assert told == [(f"u-{number}", f"t{number}", f"r-{number}") for number in range(AT_ONCE)]


@pytest.mark.parametrize("port", ["fastapi"], indirect=True)
def test_work_after_the_answer_is_still_the_requests(lab: Lab, port: int) -> None:
    request(port, "POST", "/later/red", X_User="zoe", X_Request_ID="r-1")
    request(port, "GET", "/outgoing")  # on the same loop, so the task before it is done, or nearly
    for _ in range(200):
        if lab.records():
            break
        threading.Event().wait(0.02)
    (made,) = lab.records()
    assert (made.record.actor_id, context(made)["request_id"]) == ("zoe", "r-1")


@both
def test_an_answer_that_is_streamed_is_made_in_its_request(lab: Lab, port: int) -> None:
    assert request(port, "GET", "/stream", X_User="zoe").body == b"zoe,zoe,zoe,"
