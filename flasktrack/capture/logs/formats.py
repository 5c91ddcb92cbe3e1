"""The logs that can be imported, by the name of their format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from flasktrack.capture.files import InputFile
from flasktrack.capture.jsonl import parse_json
from flasktrack.capture.lines import Place, bad_line
from flasktrack.capture.logs import cloudtrail, django_auditlog, github, ocsf, retraced
from flasktrack.capture.logs.documents import Wrapper, read_documents
from flasktrack.core.record import Event
from flasktrack.errors import InvalidRecord


class LogFormat(NamedTuple):
    """How a log's entries are found in a file, and what event an entry is."""

    event_of: Callable[[dict[str, Any]], Event]
    wrappers: tuple[Wrapper, ...] = ()


LOG_FORMATS: Final[Mapping[str, LogFormat]] = {
    "cloudtrail": LogFormat(cloudtrail.event_of, cloudtrail.WRAPPERS),
    "github": LogFormat(github.event_of),
    "django-auditlog": LogFormat(django_auditlog.event_of),
    "ocsf": LogFormat(ocsf.event_of),
    "retraced": LogFormat(retraced.event_of, retraced.WRAPPERS),
}


def read_log(file: InputFile, log: LogFormat) -> Iterator[tuple[Place, Event]]:
    """The events of a file with their places. Raises ImportFailed, with place and field, for what is none."""
    for place, text in read_documents(file, log.wrappers):
        try:
            value = parse_json(text)
            if not isinstance(value, dict):
                raise ValueError("must be a JSON object")
            yield place, log.event_of(value)
        except InvalidRecord as problem:
            raise bad_line(place, problem.field, problem.problem) from None
        except ValueError as problem:
            raise bad_line(place, None, str(problem)) from None
