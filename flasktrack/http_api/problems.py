"""Errors as RFC 9457 problem details: one table of what can go wrong, and one way that it is answered.

    HTTP/1.1 422                                    Content-Type: application/problem+json
    {"type": "/docs#invalid-record", "title": "A record is not as it must be", "status": 422,
     "detail": "actor.id: has 0 characters; 1 to 255 are allowed. Nothing was written.",
     "errors": [{"pointer": "/records/3/actor/id", "detail": "has 0 characters; 1 to 255 are allowed"}]}

`type` leads to this table on the service's own page. What went wrong inside is for the log of whoever runs the service,
and never in an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """A type of problem: its HTTP status, its title, and what it means for whoever wrote the client."""

    status: int
    title: str
    meaning: str


KINDS: dict[str, Kind] = {
    "malformed": Kind(400, "The body can't be read", "It is not JSON, not UTF-8, or not an object with `records`."),
    "invalid-query": Kind(
        400, "The query can't be meant", "A parameter is unknown or has a value that makes no sense. Nothing is "
        "guessed.",
    ),
    "search-too-long": Kind(
        400, "The search takes too long", "It was given up after the time that one request has. Ask for less: `from` "
        "and `to`, `seq`, an `entity` or an `actor`; the words of `text` are looked for in every record that is left.",
    ),
    "not-authenticated": Kind(
        401, "An API key is needed", "Send `Authorization: Bearer` and a key that is in force. One that was revoked or "
        "has expired is refused, and its use is on record.",
    ),
    "not-allowed": Kind(
        403, "The key does not allow this", "The key may not record this action, name this actor, or read. "
        "Nothing was written; ask for another key.",
    ),
    "not-found": Kind(404, "There is nothing here", "No such address, or no record at this position."),
    "unsealed": Kind(
        404, "No proof yet", "The record is there, but no signed checkpoint covers it. Ask again after the next seal."
    ),
    "method-not-allowed": Kind(405, "Not with this method", "`Allow` says which methods the address takes."),
    "timeout": Kind(408, "The body came too slowly", "Send it again. Nothing was written."),
    "conflict": Kind(
        409, "This record_id stands for something else", "A record with this `record_id` and other content is there. "
        "Sending the same record again is no conflict; give another act an id of its own.",
    ),
    "not-sound": Kind(409, "There is no proof of what is not sound", "A record or checkpoint was altered; verify."),
    "too-large": Kind(413, "The body is too large", "Send fewer records at once. Nothing was written."),
    "unsupported-media-type": Kind(415, "Only JSON is taken", "Send `Content-Type: application/json`, uncompressed."),
    "invalid-record": Kind(
        422, "A record is not as it must be", "`errors` names the place. Nothing was written, not the other records "
        "either.",
    ),
    "too-many-requests": Kind(
        429, "Too many requests with this key", "Wait for as long as `Retry-After` says, in seconds; send more records "
        "in each request.",
    ),
    "internal-error": Kind(
        500, "Something failed that should not", "The log of the service says more, under the id in `detail`. Send the "
        "request again, with the same `record_id`s.",
    ),
    "chain-broken": Kind(
        500, "The history can't be appended to", "It is not as it was written. Tell whoever runs FlaskTrack at once."
    ),
    "unavailable": Kind(
        503, "The service can't do this now", "The database is busy or away, or too much is waiting. Send the request "
        "again after `Retry-After` seconds, with the same `record_id`s: what was written already is not written twice.",
    ),
}  # fmt: skip
BY_STATUS = {kind.status: name for name, kind in reversed(KINDS.items())}


class Problem(Exception):
    """What a request is answered with, in place of what it asked for. `errors` are pairs of JSON pointer and detail."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.errors = [{"pointer": pointer, "detail": said} for pointer, said in errors]
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        kind = KINDS[self.name]
        document: dict[str, Any] = {
            "type": f"/docs#{self.name}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return Response(orjson.dumps(document), kind.status, headers=self.headers, media_type=MEDIA_TYPE)


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says when to ask again, in whole seconds."""
    return {"Retry-After": str(max(1, -int(-seconds // 1)))}
