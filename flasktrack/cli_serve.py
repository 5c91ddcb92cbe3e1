"""`serve`: the HTTP interface, by which programs in any language record and read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from flasktrack.cli_common import SOUND, database, say
from flasktrack.errors import ServeError


def add_serve_command(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add `serve` by the command line's `command`."""
    serve = command("serve", _serve, "answer programs over HTTP, until it is stopped")
    serve.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="default: this machine alone")
    serve.add_argument("--port", metavar="N", type=int, default=8700, help="default: 8700")
    serve.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate chain, in PEM")
    serve.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key, in PEM")
    serve.add_argument(
        "--behind-proxy",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="address or network of a proxy that does TLS, and says where requests come from; repeatable",
    )
    serve.add_argument(
        "--rate", metavar="N", type=float, default=100.0, help="requests a second for each key; default 100"
    )


def _serve(options: argparse.Namespace) -> int:
    from flasktrack.capture.request import parse_proxies
    from flasktrack.http_api.serving import Tls, serve

    if (options.tls_cert is None) != (options.tls_key is None):
        raise ServeError("A certificate and its key belong together.", "Give --tls-cert and --tls-key.")
    if not 0 < options.rate < float("inf"):
        raise ServeError("A key's rate is a number of requests a second.", "Give --rate 100, say.")
    tls = Tls(options.tls_cert, options.tls_key) if options.tls_cert is not None else None
    with database(options) as engine:
        serve(
            engine, options.host, options.port, rate=options.rate, tls=tls,
            proxies=parse_proxies(options.behind_proxy), report=say,
        )  # fmt: skip
    return SOUND
