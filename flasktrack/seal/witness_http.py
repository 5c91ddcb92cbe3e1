"""The HTTP form of C2SP tlog-witness, both ends: a witness that answers, and a log that asks.

    POST <prefix>/add-checkpoint             a request; answered with cosignature lines, or why not
    GET  <prefix>/<origin hash>/checkpoint   the last checkpoint that was cosigned of a log, for monitors

There is no secret in it, and nobody but a log can sign a checkpoint: so neither end is authenticated. TLS is a reverse
proxy's.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flasktrack.core.add_checkpoint import MAX_REQUEST_CHARACTERS, AddCheckpoint, format_request
from flasktrack.errors import CosignRefused, FlaskTrackError, InvalidNote, InvalidRequest, WitnessError
from flasktrack.seal.witness import Witness

PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
_SECONDS = 30
_MAX_ANSWER_BYTES = 256 * 1024
_TEXT = "text/plain; charset=utf-8"

Answer = tuple[int, str, str]
"""Status, content type and body."""


def decide(witness: Witness, body: bytes) -> Answer:
    """What a witness answers to a request."""
    try:
        return HTTPStatus.OK, _TEXT, witness.cosign(body.decode())
    except CosignRefused as refusal:
        _log(refusal)
        if refusal.status == HTTPStatus.CONFLICT:
            return refusal.status, SIZE_TYPE, f"{refusal.size}\n"
        return refusal.status, _TEXT, f"{refusal.what}\n"
    except (InvalidRequest, InvalidNote) as problem:
        return HTTPStatus.BAD_REQUEST, _TEXT, f"{problem.what}\n"
    except ValueError:
        return HTTPStatus.BAD_REQUEST, _TEXT, "The request is no text in UTF-8.\n"
    except FlaskTrackError as problem:  # of this machine, and none of the log's business
        _log(problem)
        return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, "The witness can't answer now.\n"


def latest(witness: Witness, origin_hash: str) -> Answer:
    """What a witness answers to a monitor."""
    try:
        for seen in witness.logs():
            if seen.size and sha256(seen.origin.encode()).hexdigest() == origin_hash:
                return HTTPStatus.OK, _TEXT, witness.note(seen)
    except FlaskTrackError as problem:
        _log(problem)
        return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, "The witness can't answer now.\n"
    return HTTPStatus.NOT_FOUND, _TEXT, "No checkpoint of that log was cosigned here.\n"


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound and not running yet. Raises WitnessError where the port can't be had."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit() and int(length) <= MAX_REQUEST_CHARACTERS):
                self.close_connection = True
                self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TEXT, "A request says its length.\n")
                return
            body = self.rfile.read(int(length))
            if self.path == PATH:
                self._answer(*decide(witness, body))
            else:
                self._answer(HTTPStatus.NOT_FOUND, _TEXT, f"Only {PATH} is here.\n")

        def do_GET(self) -> None:
            self._answer(*latest(witness, self.path.removeprefix("/").removesuffix("/checkpoint")))

        def _answer(self, status: int, kind: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, form: str, *values: object) -> None:
            _log(f"{self.address_string()} {form % values}")

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as problem:
        raise WitnessError(f"The witness can't listen at {host}:{port} ({problem}).", "Give another --port.") from None


def submit(url: str, make: Callable[[int | None], AddCheckpoint]) -> str:
    """Ask a witness at a URL to cosign, and return its cosignature lines.

    `make` makes the request, from the size that it is given on. Where the witness stands elsewhere than expected (an
    answer was lost), it says where, and is asked once more from there.
    Raises CosignRefused with its reason, and WitnessError where it can't be reached.
    """
    try:
        return _post(url, make(None))
    except CosignRefused as refusal:
        if refusal.status != HTTPStatus.CONFLICT:
            raise
        return _post(url, make(refusal.size))


def _post(url: str, request: AddCheckpoint) -> str:
    if not url.startswith(("http://", "https://")):
        raise WitnessError(f"{url[:80]!r} is not the address of a witness.", "Give http:// or https://.")
    try:
        post = urllib.request.Request(url.rstrip("/") + PATH, format_request(request).encode())  # noqa: S310
        with urllib.request.urlopen(post, timeout=_SECONDS) as answer:  # noqa: S310 (checked above)
            return str(answer.read(_MAX_ANSWER_BYTES).decode())
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise _refused(refusal) from None
    except (OSError, ValueError, HTTPException) as problem:
        raise WitnessError(f"The witness did not answer ({problem}).", "Try again later.") from None


def _refused(refusal: urllib.error.HTTPError) -> CosignRefused:
    said, size = "", None
    with suppress(OSError, HTTPException):
        said = " ".join(refusal.read(1000).decode(errors="replace").split())
    if refusal.code == HTTPStatus.CONFLICT and said.isascii() and said.isdigit():
        size = int(said[:19])
        said = f"it has cosigned {size:,} records"
    return CosignRefused(
        f"The witness did not cosign (HTTP {refusal.code}: {said or refusal.reason}).",
        "Where it can't be explained, run a full verification.",
        status=refusal.code if size is not None or refusal.code != HTTPStatus.CONFLICT else HTTPStatus.BAD_GATEWAY,
        size=size or 0,
        unsound=refusal.code in (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
    )


def _log(message: object) -> None:
    print("flasktrack:", *str(message).split(), file=sys.stderr, flush=True)
