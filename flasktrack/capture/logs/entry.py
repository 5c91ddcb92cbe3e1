"""An entry of another system's log, from which a record's fields are taken: what is left goes to the context.

    entry = Entry({"user": {"id": 7, "name": "Ana", "team": "QA"}})
    entry.id("user", "id"), entry.name("user", "name")       # '7', 'Ana'
    entry.rest                                               # {"user": {"team": "QA"}}

What a field can't hold as it is stays in the rest, whole, even where a part or another form of it was taken. So
nothing of an entry is lost, whatever it holds and however little of it is understood.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final
from uuid import uuid5

from flasktrack.capture.csv_sources import RECORD_ID_NAMESPACE, slug
from flasktrack.core.body import encode_body
from flasktrack.core.record import MAX_ID, MAX_NAME, MAX_REASON, MAX_RELATED
from flasktrack.core.times import parse_time
from flasktrack.errors import InvalidRecord

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXACT_UTC = re.compile(r"[^.,]*([.,][0-9]{1,6})?(Z|\+00:?00)")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Entry:
    """A parsed entry. A path is the keys that lead to a value; `rest` is what has not been taken."""

    def __init__(self, rest: dict[str, Any]) -> None:
        self.rest = rest

    def look(self, *path: str) -> Any:
        """The value at a path, which stays; None where there is none."""
        found: Any = self.rest
        for key in path:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def text(self, *path: str) -> str | None:
        """The text at a path, which stays; None where there is none, or it is empty."""
        found = self.look(*path)
        return found if isinstance(found, str) and found else None

    def take(self, *path: str) -> Any:
        """Take out the value at a path, and the objects that it leaves empty."""
        holders = [self.rest]
        for key in path[:-1]:
            holders.append(holders[-1][key])
        value = holders[-1].pop(path[-1])
        for holder, key in zip(reversed(holders[:-1]), reversed(path[:-1]), strict=True):
            if holder[key]:
                break
            del holder[key]
        return value

    def id(self, *path: str) -> str | None:
        """Take an id: a text, or an integer's digits. One that is too long is shortened, and stays as well."""
        found = self.look(*path)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(self.take(*path))
        return self._fitting(MAX_ID, *path)

    def name(self, *path: str) -> str | None:
        """Take a name. One that is too long is shortened, and stays as well."""
        return self._fitting(MAX_NAME, *path)

    def reason(self, *path: str) -> str | None:
        """Take a reason. One that is too long is shortened, and stays as well."""
        return self._fitting(MAX_REASON, *path)

    def _fitting(self, longest: int, *path: str) -> str | None:
        found = self.text(*path)
        if found is None:
            return None
        return str(self.take(*path)) if len(found) <= longest else shortened(found, longest)

    def address(self, *path: str) -> str | None:
        """Take an IP address; a text that is none stays."""
        found = self.text(*path)
        if found is None:
            return None
        try:
            ip_address(found)
        except ValueError:
            return None
        return str(self.take(*path))

    def plain(self, *path: str) -> str | None:
        """Take a text for the context, where any length will do."""
        return None if self.text(*path) is None else str(self.take(*path))

    def time(self, *path: str) -> datetime | None:
        """Take a time: ISO 8601 with its zone, or milliseconds since 1970. What the record's form loses, stays.

        That is an offset other than UTC's, and digits beyond the microsecond. Raises InvalidRecord for what is no time.
        """
        found = self.look(*path)
        if found is None or found == "":
            return None
        try:
            if isinstance(found, int) and not isinstance(found, bool):
                moment = _EPOCH + timedelta(milliseconds=found)
                self.take(*path)
                return moment
            if not isinstance(found, str):
                raise ValueError("is no time")
            moment = parse_time(found)
        except OverflowError:
            raise InvalidRecord(".".join(path), "lies outside the years 1 to 9999") from None
        except ValueError as problem:
            raise InvalidRecord(".".join(path), str(problem)) from None
        if _EXACT_UTC.fullmatch(found):
            self.take(*path)
        return moment

    def record_id(self, log: str, *path: str) -> str:
        """The record's id: the entry's own where that is a UUID, and otherwise derived from it.

        An entry without an id is identified by all that it holds. Call this before anything is taken.
        """
        native = self.look(*path)
        if isinstance(native, str) and _UUID.fullmatch(native):
            return str(self.take(*path))
        return derived_id(log, native if isinstance(native, (str, int)) and native != "" else self.rest)

    def context(self, log: str, **facts: Any) -> dict[str, Any] | None:
        """The record's context: what is known of the request, and under the log's name what was not taken."""
        found = {name: value for name, value in facts.items() if value is not None}
        return {**found, log: self.rest} if self.rest else found or None


def derived_id(log: str, *identity: Any) -> str:
    """The UUID of version 5 (RFC 9562) of the log's name and what identifies an entry, as a compact JSON array."""
    return str(uuid5(RECORD_ID_NAMESPACE, encode_body("record_id", [log, *identity])))


def shortened(text: str, longest: int = MAX_ID) -> str:
    """A text that fits: its beginning and, so that two of them stay apart, its SHA-256."""
    if len(text) <= longest:
        return text
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: longest - len(digest) - 1]}…{digest}"


def verb(field: str, text: str) -> str:
    """An action's name as one: `RunInstances` and `repo.create` give `run_instances` and `repo_create`.

    Raises InvalidRecord where nothing is left of it.
    """
    try:
        return slug(_HUMPS.sub("_", text))[:MAX_ID]
    except ValueError:
        raise InvalidRecord(field, f"{text[:60]!r} has no letter a-z or digit to make an action of") from None


def required(field: str, value: Any) -> Any:
    """The value. Raises InvalidRecord where there is none."""
    if value is None:
        raise InvalidRecord(field, "is missing, or not what it should be")
    return value


def few(related: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """As many related entities as a record takes, each once; all of them stay in the rest."""
    return list(dict.fromkeys(related))[:MAX_RELATED]
