"""What is read from a request, and what of it is believed."""

from __future__ import annotations

import re

import pytest

from flasktrack.capture.context import Attribution, resume
from flasktrack.capture.request import client_address, outgoing_headers, parse_proxies, read_request
from flasktrack.errors import SettingsError

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def read(**headers: str) -> Attribution:
    given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return read_request(lambda name: given.get(name.lower()), "POST", "/samples", "198.51.100.7", ())


def test_a_request_without_headers_gets_ids_of_its_own() -> None:
    first, second = read(), read()
    assert first.context["request_id"] != second.context["request_id"]
    assert first.correlation_id == first.context["request_id"]
    facts = {name: value for name, value in first.context.items() if name != "request_id"}
    assert facts == {"method": "POST", "path": "/samples", "ip": "198.51.100.7"}


@pytest.mark.parametrize(
    ("headers", "request_id", "correlation_id"),
    [
        ({"X_Request_ID": "r-1"}, "r-1", "r-1"),
        ({"traceparent": PARENT}, TRACE, TRACE),
        ({"traceparent": PARENT, "X_Request_ID": "r-1"}, "r-1", TRACE),
        ({"traceparent": PARENT, "X_Correlation_ID": "order-881"}, TRACE, "order-881"),
    ],
)
def test_ids_are_taken_from_headers(headers: dict[str, str], request_id: str, correlation_id: str) -> None:
    found = read(**headers)
    assert (found.context["request_id"], found.correlation_id) == (request_id, correlation_id)


@pytest.mark.parametrize(
    "value",
    [
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        "",
        "nonsense",
    ],
)
def test_a_malformed_traceparent_is_put_aside(value: str) -> None:
    assert "trace_id" not in read(traceparent=value).context


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    assert read(traceparent=f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes").context["trace_id"] == TRACE


@pytest.mark.parametrize("value", ["a b", "x" * 129, "ünicode", "line\nbreak", ""])
def test_a_malformed_request_id_is_replaced(value: str) -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", read(X_Request_ID=value).context["request_id"])


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("wrong batch", "wrong batch"),
        ("falsche Größe".encode().decode("latin-1"), "falsche Größe"),  # as a server hands over UTF-8
        ("falsche Gr\xf6\xdfe", "falsche Größe"),  # Latin-1, as RFC 9110 has it
        ("UTF-8''5%20%CE%BCg", "5 μg"),
        ("100% of the samples", "100% of the samples"),
        ("UTF-8''a%00b", "a\ufffdb"),  # which no record holds
        ("x" * 9000, "x" * 8191 + "…"),
        (" ", None),
    ],
)
def test_a_reason_may_hold_any_letters(sent: str, reason: str | None) -> None:
    assert read(X_Audit_Reason=sent).reason == reason


def test_a_long_path_and_user_agent_are_cut_where_one_can_see_it() -> None:
    context = read_request(lambda _: "x" * 5000, "GET", "/" * 5000, None, ()).context
    assert (len(context["path"]), context["path"][-1]) == (2048, "…")
    assert (len(context["user_agent"]), context["user_agent"][-1]) == (512, "…")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", "203.0.113.1", "198.51.100.7"),  # no proxy: what it says of itself counts for nothing
        ("10.0.0.2", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.2", "6.6.6.6, 203.0.113.1", "203.0.113.1"),  # what the client wrote before the proxy did
        ("10.0.0.2", "203.0.113.1, 10.0.0.9", "203.0.113.1"),
        ("10.0.0.2", "10.0.0.8, 10.0.0.9", "10.0.0.8"),
        ("10.0.0.2", "203.0.113.1:4711", "203.0.113.1"),
        ("10.0.0.2", "203.0.113.1, [2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.2", "203.0.113.1, unknown", "10.0.0.2"),
        ("10.0.0.2", None, "10.0.0.2"),
        ("::ffff:10.0.0.2", "203.0.113.1", "203.0.113.1"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("testclient", "203.0.113.1", "testclient"),
        (None, "203.0.113.1", None),
    ],
)
def test_an_address_is_believed_as_far_as_trusted_proxies_reach(
    peer: str | None, forwarded: str | None, address: str | None
) -> None:
    assert client_address(peer, forwarded, parse_proxies(["10.0.0.0/8"])) == address


def test_a_bad_proxy_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match=r"10\.0\.0\.0/8"):
        parse_proxies(["10.0.0"])


def test_outgoing_requests_go_on_with_the_same_ids() -> None:
    assert outgoing_headers() == {}
    with resume(read(traceparent=PARENT, X_Request_ID="r-1")):
        headers = outgoing_headers()
        assert (headers["X-Request-ID"], headers["X-Correlation-ID"]) == ("r-1", TRACE)
        assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", headers["traceparent"])
        assert headers["traceparent"] != PARENT  # a span of its own
    with resume(read()):
        traces = {outgoing_headers()["traceparent"].split("-")[1] for _ in range(2)}
        assert len(traces) == 1
