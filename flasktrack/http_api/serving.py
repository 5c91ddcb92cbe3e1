"""Running the HTTP interface: where it listens, and what it takes to listen to other machines."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import uvicorn
from sqlalchemy import Engine

from flasktrack.capture.request import Network
from flasktrack.errors import ServeError
from flasktrack.http_api.app import create_app

KEEP_ALIVE_SECONDS = 20
BACKLOG = 512
STOP_SECONDS = 30
"""For requests that are being dealt with when the service is told to stop."""


class Tls(NamedTuple):
    """Certificate chain and private key, in PEM."""

    certificate: Path
    key: Path


class _Server(uvicorn.Server):
    """Ends well on a signal, as a service manager expects: uvicorn's own sends itself the signal again at the end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def serve(
    engine: Engine,
    host: str,
    port: int,
    *,
    rate: float,
    tls: Tls | None = None,
    proxies: tuple[Network, ...] = (),
    report: Callable[[str], None],
) -> None:
    """Answer until a signal stops it. `proxies` do TLS in front of it, and say where a request comes from.

    Raises ServeError where it would talk to other machines unencrypted, can't listen, or can't use the certificate.
    """
    if tls is None and not proxies and not is_loopback(host):
        raise ServeError(
            f"At {host} other machines would send keys and records unencrypted.",
            "Give --tls-cert and --tls-key, or --behind-proxy with the address of the proxy that does TLS.",
        )
    if tls is not None:
        _check(tls)
    config = uvicorn.Config(
        create_app(engine, rate=rate, proxies=proxies),
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # only our own reading of them knows whom to trust
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
    )
    with _listen(host, port) as listening:
        scheme = "http" if tls is None else "https"
        shown = f"[{host}]" if ":" in host else host
        report(f"FlaskTrack answers at {scheme}://{shown}:{listening.getsockname()[1]} (its description: /docs)")
        _Server(config).run(sockets=[listening])
    report("Stopped.")


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone. A name, other than localhost, may mean anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(tls: Tls) -> None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key, password=str)  # which gives none: nobody is asked for one
    except OSError as problem:  # SSLError is one
        raise ServeError(
            f"The certificate {tls.certificate} can't be used with the key {tls.key} ({problem.strerror or problem}).",
            "Give both in PEM, the key without a passphrase.",
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ServeError(f"{port} can't be a port.", "Give --port 8700, say.")
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # The protocol is named: asyncio switches Nagle's delay (40 ms for an answer) off only where it knows it.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        return listening
    except OSError as problem:
        if listening is not None:
            listening.close()
        raise ServeError(f"FlaskTrack can't listen at {host}:{port} ({problem}).", "Give another --port.") from None
