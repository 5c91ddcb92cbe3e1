"""What a request says of itself, for its records: ids, method, path, address, user agent, reason.

    X-Request-ID: 7f3c…                       taken, or made; the answer carries it
    traceparent: 00-<trace>-<span>-01         W3C Trace Context: the trace's id is taken; the answer carries one
    X-Correlation-ID: order-881               ties records together; else the trace's id, else the request's
    X-Audit-Reason: wrong batch number        why; beyond Latin-1 as UTF-8, or as RFC 8187 says: UTF-8''%CE%BCg

All of it is the caller's word, like a user agent: it finds records, it proves nothing. An id that is malformed is put
aside. The path is recorded as it was sent, without its query, which may hold what is secret.

The address is the one that the connection comes from. Only where that is a proxy named as trusted does X-Forwarded-For
count, read from its end, which the proxy itself wrote, up to the first address that is no trusted proxy.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import unquote

from flasktrack.capture.context import Attribution, current
from flasktrack.core.record import MAX_REASON
from flasktrack.errors import SettingsError

REQUEST_ID, TRACEPARENT, CORRELATION_ID = "X-Request-ID", "traceparent", "X-Correlation-ID"
REASON, FORWARDED_FOR, USER_AGENT = "X-Audit-Reason", "X-Forwarded-For", "User-Agent"

MAX_PATH = 2048
MAX_USER_AGENT = 512  # a record is not the place for a caller's kilobytes; what was cut ends with …

_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_RFC_8187 = re.compile(r"(?i:utf-8)'[A-Za-z0-9-]*'([A-Za-z0-9!#$&+.^_`|~%-]*)")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Trace(NamedTuple):
    """A `traceparent`: version 00 of W3C Trace Context, section 3.2."""

    trace_id: str
    flags: str

    def header(self) -> str:
        """The header for what is called from here: the same trace, a span of its own."""
        return f"00-{self.trace_id}-{secrets.token_hex(8)}-{self.flags}"


def parse_proxies(proxies: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks of trusted proxies, such as 10.0.0.0/8. Raises SettingsError."""
    networks = []
    for proxy in proxies:
        try:
            networks.append(ip_network(proxy))
        except ValueError:
            raise SettingsError(
                f"{proxy[:60]!r} is no address or network of a proxy.", "Give one such as 10.0.0.7 or 10.0.0.0/8."
            ) from None
    return tuple(networks)


def read_request(
    header: Callable[[str], str | None], method: str | None, path: str, peer: str | None, proxies: tuple[Network, ...]
) -> Attribution:
    """The attribution with which a request begins: nobody acts yet.

    `header` gives a header's value, or None; several of one name are joined by commas. `peer` is the address at the
    other end of the connection.
    """
    trace = _trace(header(TRACEPARENT))
    request_id = _id(header(REQUEST_ID)) or (trace.trace_id if trace else str(uuid.uuid4()))
    facts: dict[str, Any] = {
        "request_id": request_id,
        "trace_id": trace.trace_id if trace else None,
        "trace_flags": trace.flags if trace else None,
        "method": method,
        "path": _cut(path, MAX_PATH),
        "ip": client_address(peer, header(FORWARDED_FOR), proxies),
        "user_agent": _cut(_text(header(USER_AGENT)), MAX_USER_AGENT),
    }
    return Attribution(
        reason=_reason(header(REASON)),
        correlation_id=_id(header(CORRELATION_ID)) or (trace.trace_id if trace else request_id),
        context={name: value for name, value in facts.items() if value is not None},
    )


def outgoing_headers() -> dict[str, str]:
    """Headers for what this request calls in its turn, so that the other side's records can be found with ours.

    Empty outside a request. Where the request came without a trace, the one that begins here is not marked as sampled.
    """
    scope = current()
    request_id = scope.context.get("request_id")
    if request_id is None:
        return {}
    trace_id = scope.context.get("trace_id")
    if trace_id is None:  # the same trace for all that the request calls
        trace_id = uuid.uuid5(uuid.NAMESPACE_OID, request_id).hex
    headers = {REQUEST_ID: request_id, TRACEPARENT: Trace(trace_id, scope.context.get("trace_flags", "00")).header()}
    if scope.correlation_id is not None:
        headers[CORRELATION_ID] = scope.correlation_id
    return headers


def client_address(peer: str | None, forwarded_for: str | None, proxies: tuple[Network, ...]) -> str | None:
    """The address that a request comes from, as far as it can be trusted; None where the server knows none."""
    address = parse_address(peer or "")
    if address is None:
        return peer or None  # a UNIX socket's name, or what a test client says of itself
    hops = (forwarded_for or "").split(",")
    while hops and any(address in network for network in proxies):
        before = parse_address(hops.pop())
        if before is None:
            break
        address = before
    return str(address)


def parse_address(text: str) -> Address | None:
    """The address in `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None  # a dual-stack socket's IPv4 peer
    return mapped or address


def _trace(value: str | None) -> Trace | None:
    match = _TRACEPARENT.fullmatch((value or "").strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, flags)


def _id(value: str | None) -> str | None:
    value = (value or "").strip()
    return value if _ID.fullmatch(value) else None


def _reason(value: str | None) -> str | None:
    value = (_text(value) or "").strip()
    extended = _RFC_8187.fullmatch(value)
    reason = (unquote(extended[1], errors="replace") if extended else value).replace("\x00", "\ufffd")
    return _cut(reason, MAX_REASON) or None


def _text(value: str | None) -> str | None:
    """A header's bytes, which servers hand over as Latin-1, as the UTF-8 that they are more likely to be."""
    if value is None or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _cut(text: str | None, longest: int) -> str | None:
    return text if text is None or len(text) <= longest else text[: longest - 1] + "…"
