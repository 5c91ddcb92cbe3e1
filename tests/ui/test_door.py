"""The door: without a session nothing behind it hears of a request, whatever the request claims."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from flasktrack.access import accounts, passwords
from flasktrack.access.claims import ClaimRules
from flasktrack.access.members import add_member
from flasktrack.access.passwords import Cost, hash_password
from flasktrack.access.roles import Role
from flasktrack.capture.request import parse_proxies
from flasktrack.core.times import utc_now
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.schema import audit_record, sign_in_session
from flasktrack.store.scope import machine_scope
from flasktrack.ui import door
from flasktrack.ui.door import ADDRESS_HEADER, SESSION_HEADER, Door, safe_next, trust_no_forwarding
from flasktrack.ui.entrance import Entrance
from flasktrack.ui.sign_in_page import SignInPage

URL = "https://audit.example.org"
LAB, PASSWORD, NEW = "northwind-labs", "a few words will do", "quite another lot of words"
FORGED = {SESSION_HEADER: "00" * 32, ADDRESS_HEADER: "10.0.0.1"}
PAGE = {"Accept": "text/html"}


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", Cost(8, 1, 1))


@pytest.fixture
def lab(sqlite_engine: Engine) -> Engine:
    with writing(sqlite_engine) as connection:
        create_organization(connection, LAB)
        accounts.add_account(connection, "anna", "Anna Berg", hash_password(PASSWORD))
    add_member(sqlite_engine, machine_scope(LAB), "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="Head of QA")
    return sqlite_engine


async def _behind(request: Request) -> JSONResponse:
    """What stands for Streamlit: it says what it was told of the session and the client."""
    return JSONResponse({name: request.headers.getlist(name) for name in (SESSION_HEADER, ADDRESS_HEADER)})


async def _socket_behind(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="streamlit")
    await websocket.send_text(json.dumps(websocket.headers.getlist(SESSION_HEADER)))
    await websocket.close()


def app(engine: Engine, entrance: Entrance) -> Starlette:
    routes = [
        *SignInPage(entrance, lambda: engine).routes(),
        WebSocketRoute("/_stcore/stream", _socket_behind),
        Route("/{path:path}", _behind, methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Door, entrance=entrance, engine=lambda: engine)])


def client(
    engine: Engine, way: str = "local", url: str = URL, peer: str = "203.0.113.7", **settings: Any
) -> TestClient:
    made = Settings(sign_in=way, url=url, **settings)
    rules = ClaimRules.from_secrets({}) if way == "oidc" else None
    entrance = Entrance(made, parse_proxies(made.trusted_proxies), rules)
    return TestClient(app(engine, entrance), base_url=url, client=(peer, 4711), follow_redirects=False)


def sent(visitor: TestClient, path: str = "/sign-in", origin: str | None = URL, **fields: str) -> Any:
    """Fill in the form as a browser would, and send it."""
    page = visitor.get(path).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    return visitor.post(path, data=hidden | fields, headers={} if origin is None else {"Origin": origin})


def signed_in(engine: Engine, **more: Any) -> TestClient:
    visitor = client(engine, **more)
    answer = sent(visitor, name="anna", password=PASSWORD)
    assert answer.status_code == 303, answer.text
    return visitor


def said(visitor: TestClient, path: str = "/records", **headers: str) -> dict[str, list[str]]:
    answer = visitor.get(path, headers=FORGED | headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    "path", ["/", "/records?org=northwind-labs", "/_stcore/upload_file/x", "/media/x", "/download/x"]
)
def test_a_stranger_gets_the_sign_in_and_nothing_else(lab: Engine, path: str) -> None:
    visitor = client(lab)
    assert visitor.get(path, headers=FORGED).status_code == 401
    assert visitor.post(path, headers=PAGE).status_code == 401
    asked = visitor.get(path, headers=PAGE | FORGED)
    assert (asked.status_code, asked.headers["location"].partition("?")[0]) == (303, "/sign-in")
    assert visitor.get("/_stcore/health").status_code == 200  # a monitor needs no account


def test_a_strangers_web_socket_is_sent_to_the_sign_in_before_streamlit_hears_of_it(lab: Engine) -> None:
    with client(lab).websocket_connect("/_stcore/stream", subprotocols=["streamlit", "x"], headers=FORGED) as stream:
        message = ForwardMsg()
        message.ParseFromString(stream.receive_bytes())
        assert message.auth_redirect.url == "/sign-in"
        assert stream.accepted_subprotocol == "streamlit"
        with pytest.raises(WebSocketDisconnect):
            stream.receive_bytes()
    there = f"{URL.replace('https', 'wss')}/_stcore/stream"
    with signed_in(lab).websocket_connect(there, subprotocols=["streamlit"], headers=FORGED) as stream:
        assert re.fullmatch(r'\["[0-9a-f]{64}"\]', stream.receive_text())


def test_a_session_goes_on_and_only_the_door_says_which(lab: Engine) -> None:
    visitor = signed_in(lab)
    (token_hash,) = said(visitor)[SESSION_HEADER]
    with lab.connect() as connection:
        assert [key.hex() for key in connection.scalars(select(sign_in_session.c.token_hash))] == [token_hash]
    assert said(visitor)[ADDRESS_HEADER] == ["203.0.113.7"]
    with writing(lab) as connection:
        accounts.end_sessions(connection, "anna")
    assert visitor.get("/records").status_code == 401


@pytest.mark.parametrize(("url", "prefix", "secure"), [(URL, "__Host-", True), ("http://127.0.0.1:8501", "", False)])
def test_cookies_are_kept_from_scripts_and_from_other_sites(lab: Engine, url: str, prefix: str, secure: bool) -> None:
    visitor = client(lab, url=url)
    form = visitor.get("/sign-in").headers.get_list("set-cookie")
    cookies = form + sent(visitor, origin=url, name="anna", password=PASSWORD).headers.get_list("set-cookie")
    found = {cookie.partition("=")[0]: cookie.lower() for cookie in cookies if "max-age=0" not in cookie.lower()}
    assert set(found) == {f"{prefix}flasktrack{purpose}" for purpose in ("", "-form", "-browser")}
    for name, cookie in found.items():
        assert "httponly" in cookie
        assert "path=/;" in f"{cookie};"
        assert "domain" not in cookie
        assert ("secure" in cookie) == secure
        assert f"samesite={'lax' if name == f'{prefix}flasktrack' else 'strict'}" in cookie
    assert "max-age" not in found[f"{prefix}flasktrack"]  # it ends with the browser


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://audit.example.org"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Content-Type": "text/plain"}],
)  # fmt: skip
def test_a_form_of_another_site_signs_nobody_in(lab: Engine, headers: dict[str, str]) -> None:
    visitor = client(lab)
    visitor.get("/sign-in")
    token = visitor.cookies["__Host-flasktrack-form"]
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"form={token}&name=anna&password={PASSWORD.replace(' ', '+')}"
    refused = visitor.post("/sign-in", content=body, headers=kind | headers)
    assert (refused.status_code, "__Host-flasktrack" in visitor.cookies) == (403, False)
    assert visitor.post("/sign-in", content=body, headers=kind).status_code == 303


def test_a_form_without_its_token_or_too_long_is_refused(lab: Engine) -> None:
    visitor = client(lab)
    for form in ({}, {"form": ""}, {"form": "x"}):
        answer = visitor.post("/sign-in", data={"name": "anna", "password": PASSWORD} | form)
        assert (answer.status_code, "grown old" in answer.text) == (403, True)
    assert "too long" in sent(visitor, name="anna", password="x" * 20_000).text
    many = {f"field{number}": "x" for number in range(20)}
    assert "be read" in sent(visitor, name="anna", **many).text


def test_what_is_wrong_is_said_and_the_failure_recorded_afterwards(lab: Engine) -> None:
    visitor = client(lab)
    told = [sent(visitor, name=name, password="wrong").text for name in ("anna", "no<b>body")]
    assert all('role="alert">Name or password is wrong.<' in text for text in told)
    assert "no&lt;b&gt;body" in told[1]
    assert "<b>" not in told[1]
    for _ in range(4):
        sent(visitor, name="anna", password="wrong")
    answer = sent(visitor, name="anna", password=PASSWORD)
    assert (answer.status_code, "Try again in 1 minute." in answer.text) == (429, True)
    assert int(answer.headers["Retry-After"]) <= 15
    with lab.connect() as connection:
        record = audit_record.c
        kept = connection.execute(select(record.action, record.outcome, record.reason).where(record.seq > 1)).all()
    assert [tuple(row) for row in kept] == [("sign_in", "failure", "Wrong password")] * 5


def test_a_temporary_password_leads_to_the_form_for_ones_own(lab: Engine) -> None:
    with writing(lab) as connection:
        accounts.set_password(connection, "anna", hash_password(PASSWORD), temporary=True)
    visitor = client(lab)
    answer = sent(visitor, name="anna", password=PASSWORD)
    assert 'action="/sign-in/password"' in answer.text
    fields = {"name": "anna", "password": PASSWORD, "new": NEW}
    assert "differ" in sent(visitor, "/sign-in/password", **fields, again="another").text
    answer = sent(visitor, "/sign-in/password", **fields | {"new": "short"}, again="short")
    assert ("it needs 15" in answer.text, "short" in answer.text.replace("too short", "")) == (True, False)
    assert sent(visitor, "/sign-in/password", **fields, again=NEW).status_code == 303
    said(visitor)


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "evil",
        "/sign-in",
        "/a\r\nSet-Cookie: x=y",
        "",
        "/" * 3,
    ],
)
def test_nobody_is_led_to_another_site(lab: Engine, wanted: str) -> None:
    assert safe_next(wanted) is None
    visitor = client(lab)
    answer = visitor.get("/sign-in", params={"next": wanted})
    assert 'name="next"' not in answer.text
    assert signed_in(lab).get("/sign-in", params={"next": wanted}).headers["location"] == "/"


def test_a_deep_link_is_kept_through_the_sign_in(lab: Engine) -> None:
    visitor = client(lab)
    there = visitor.get("/records?org=a&text=1%2B1%26", headers=PAGE).headers["location"]
    page = visitor.get(there).text
    assert 'value="/records?org=a&amp;text=1%2B1%26"' in page
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.replace("&amp;", "&")))
    answer = visitor.post("/sign-in", data=hidden | {"name": "anna", "password": PASSWORD})
    assert answer.headers["location"] == "/records?org=a&text=1%2B1%26"


def test_a_database_that_can_not_be_used_lets_nobody_in_and_says_little(lab: Engine) -> None:
    visitor = signed_in(lab)
    with writing(lab) as connection:
        connection.exec_driver_sql("DROP TABLE sign_in_session")
    answer = visitor.get("/records", headers=PAGE)
    assert (answer.status_code, answer.text) == (503, "FlaskTrack can't be used now. Its log says why.")


# The demo


@pytest.mark.parametrize(
    ("peer", "headers", "allowed"),
    [
        ("127.0.0.1", {"Host": "127.0.0.1:8501"}, True),
        ("::1", {"Host": "[::1]:8501"}, True),
        ("::ffff:127.0.0.1", {"Host": "localhost"}, True),
        ("203.0.113.7", {"Host": "127.0.0.1"}, False),
        ("127.0.0.1", {"Host": "evil.example"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1.evil.example"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1@evil.example"}, False),
        ("127.0.0.1", {"Host": "["}, False),
        ("127.0.0.1", {"Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"}, False),
    ],
)
def test_a_demo_answers_to_this_machine_alone(lab: Engine, peer: str, headers: dict[str, str], allowed: bool) -> None:
    visitor = client(lab, "demo", "http://127.0.0.1", peer=peer)
    assert (visitor.get("/", headers=headers).status_code == 200) is allowed
    assert (visitor.get("/static/x.js", headers=headers).status_code == 200) is allowed
    try:
        with visitor.websocket_connect("/_stcore/stream", headers=headers) as stream:
            assert stream.receive_text() == "[]"
            assert allowed
    except WebSocketDisconnect:
        assert not allowed


# Identity provider


def test_streamlits_cookie_counts_where_it_is_signed_for_this_address_and_in_time(
    lab: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, now = "s" * 40, utc_now().timestamp()
    monkeypatch.setattr(door, "get_cookie_secret", lambda: secret)

    def status(key: str = secret, **claims: Any) -> int:
        whole = {"sub": "7", "iat": now, "exp": now + 60, "origin": URL, "is_logged_in": True} | claims
        visitor = client(lab, "oidc")
        visitor.cookies["_streamlit_user"] = create_signed_value(key, "_streamlit_user", json.dumps(whole)).decode()
        return int(visitor.get("/records").status_code)

    assert status() == 200
    assert status(origin="https://evil.example", nonce="1") == 401
    assert status("t" * 40, nonce="2") == 401
    assert status(exp=now - 1, nonce="3") == 401
    assert status(iat=now - 3600, nonce="4") == 401
    visitor = client(lab, "oidc")
    visitor.cookies["_streamlit_user"] = "chunks-2"
    assert visitor.get("/records").status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Referer": f"{URL}/records?org={LAB}"}, 200),  # an older browser
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Referer": f"{URL}/records"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Referer": f"{URL}.evil.example/records"}, 403),
        ({}, 403),
    ],
)
def test_no_other_site_signs_somebody_out_at_the_identity_provider(
    lab: Engine, sent: dict[str, str], status: int
) -> None:
    assert client(lab, "oidc").get("/auth/logout", headers=sent).status_code == status


# A proxy in front, over real connections


@contextmanager
def served(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """An app behind its door at a port of this machine, by the server that Streamlit uses; proxies are 127.0.0.2."""
    monkeypatch.setattr("uvicorn.config.ProxyHeadersMiddleware", ProxyHeadersMiddleware)  # put back at the end
    trust_no_forwarding()
    made = Settings(sign_in="proxy", url="http://127.0.0.1", trusted_proxies=("127.0.0.2",))
    config = uvicorn.Config(app(engine, Entrance(made, parse_proxies(made.trusted_proxies))), log_level="error")
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_a_forged_header_from_elsewhere_is_nobodys(lab: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(source: str, *headers: tuple[str, str], upgrade: bool = False) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, source_address=(source, 0), timeout=20)
        connection.putrequest("GET", "/_stcore/stream" if upgrade else "/records")
        handshake = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")] if upgrade else []  # fmt: skip
        for name, value in (*headers, *handshake):
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        told = "" if answer.status == 101 else answer.read().decode()
        connection.close()
        return answer.status, told

    anna, forwarded = ("Remote-User", "Anna"), ("X-Forwarded-For", "203.0.113.9")
    with served(lab, monkeypatch) as port:
        status, told = asked("127.0.0.2", anna, forwarded)
        assert status == 200
        assert json.loads(told)[ADDRESS_HEADER] == ["203.0.113.9"]
        assert asked("127.0.0.2", anna, upgrade=True)[0] == 101
        for source, headers in (
            ("127.0.0.1", [anna]),
            ("127.0.0.1", [anna, ("X-Forwarded-For", "127.0.0.2")]),
            ("127.0.0.3", [anna, ("Forwarded", "for=127.0.0.2"), ("X-Real-IP", "127.0.0.2")]),
            ("127.0.0.2", []),
            ("127.0.0.2", [anna, ("Remote-User", "berta")]),
            ("127.0.0.2", [("Remote-User", "")]),
            ("127.0.0.2", [("Remote_User", "anna")]),
        ):
            assert asked(source, *headers)[0] == 403, (source, headers)
    with lab.connect() as connection:
        acts = connection.execute(select(audit_record.c.actor_id, audit_record.c.action).where(audit_record.c.seq > 1))
        assert [tuple(row) for row in acts] == [("anna", "sign_in")]
