"""A mapping file: which column or constant of a CSV gives which field of a record (TOML; docs/importing.md).

    occurred_at = { column = "time", zone = "Europe/Berlin" }
    record_id = { source = "lims", columns = ["ticket", "step"] }
    action = { column = "step", transform = "slug" }
    actor = { type = { constant = "user" }, id = { column = "who" } }
    entity = { type = { constant = "sample" }, id = { column = "sample" } }
    after = { volume = { column = "volume", transform = "number" } }

It has the shape of a JSONL line. A table that holds only tables is an object; any other table says where a value
comes from. This module reads and checks the file, `csv_sources` is what it then consists of, and
`csv_rows` applies it to a CSV.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flasktrack.capture.csv_sources import REPEATS, TRANSFORMS, RecordIdSource, Source, TimeSource
from flasktrack.capture.files import NOTHING_IMPORTED, unreadable
from flasktrack.capture.jsonl import ACTOR_KEYS, ENTITY_KEYS, EVENT_KEYS, RELATED_KEYS
from flasktrack.core.record import SECTIONS
from flasktrack.errors import ImportFailed, InvalidOrganization
from flasktrack.store.organizations import check_time_zone

_REQUIRED: Final = ("occurred_at", "record_id", "actor", "entity", "action")
SOURCE_KEYS: Final = ("column", "constant", "values", "otherwise", "empty", "transform")
_OBJECT_KEYS: Final = {"actor": ACTOR_KEYS, "entity": ENTITY_KEYS}
MAX_MAPPING_BYTES: Final = 1024 * 1024
_MAX_FORMAT: Final = 200  # characters of a time's format
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_PROBE = datetime(2001, 11, 23, 14, 45, 56, tzinfo=UTC)


Template = Source | dict[str, "Template"]


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """A checked mapping file. `fields` are those of a JSONL line, but for occurred_at, record_id and related."""

    delimiter: str
    occurred_at: TimeSource
    record_id: RecordIdSource | Source
    fields: dict[str, Template]
    related: tuple[dict[str, Source], ...]

    def columns(self) -> Iterator[tuple[str, str]]:
        """Every column that is used, with the field that it is for."""
        yield self.occurred_at.column, "occurred_at"
        if isinstance(self.record_id, RecordIdSource):
            for column in self.record_id.columns:
                yield column, "record_id"
        templates = list(self.fields.values())
        templates.extend(source for item in self.related for source in item.values())
        if isinstance(self.record_id, Source):
            templates.append(self.record_id)
        for template in templates:
            for source in sources(template):
                if source.column is not None:
                    yield source.column, source.field


def sources(template: Template) -> Iterator[Source]:
    """All sources of a template, in order."""
    if isinstance(template, Source):
        yield template
    else:
        for part in template.values():
            yield from sources(part)


def load_mapping(path: Path) -> CsvMapping:
    """Read and check a mapping file. Raises ImportFailed, which names the file and the key."""
    try:
        with path.open("rb") as file:
            written = file.read(MAX_MAPPING_BYTES + 1)
        if len(written) > MAX_MAPPING_BYTES:
            raise ImportFailed(
                f"The mapping {path} is longer than {MAX_MAPPING_BYTES:,} bytes; is it the right file?",
                NOTHING_IMPORTED,
            )
        return mapping_from(tomllib.loads(written.removeprefix(b"\xef\xbb\xbf").decode()))
    except OSError as problem:
        raise unreadable(path, problem) from None
    except UnicodeDecodeError:
        raise ImportFailed(f"The mapping {path} is not UTF-8.", NOTHING_IMPORTED) from None
    except tomllib.TOMLDecodeError as problem:
        raise ImportFailed(f"The mapping {path} is not TOML: {problem}.", NOTHING_IMPORTED) from None
    except RecursionError:
        raise ImportFailed(f"The mapping {path} is nested too deeply.", NOTHING_IMPORTED) from None
    except ValueError:  # an integer of thousands of digits, which Python refuses to read
        raise ImportFailed(f"The mapping {path} holds a number that is too long.", NOTHING_IMPORTED) from None
    except _BadMapping as problem:
        raise ImportFailed(f"The mapping {path}, {problem}.", NOTHING_IMPORTED, field=problem.key) from None


class _BadMapping(Exception):
    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(f"{key}: {problem}")


def mapping_from(value: Mapping[str, Any]) -> CsvMapping:
    """The mapping that a parsed file states."""
    _only("", value, ("delimiter", *EVENT_KEYS))
    for key in _REQUIRED:
        if key not in value:
            raise _BadMapping(key, "is missing")
    delimiter = value.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise _BadMapping("delimiter", 'must be one character, such as ";" or "\\t"')
    fields: dict[str, Template] = {}
    for key in EVENT_KEYS:
        if key in ("occurred_at", "record_id", "related") or key not in value:
            continue
        if key in SECTIONS:
            fields[key] = _template(key, value[key])
        elif key in _OBJECT_KEYS:
            fields[key] = dict(_references(key, value[key], _OBJECT_KEYS[key]))
        else:
            fields[key] = _source(key, value[key])
    related = value.get("related", [])
    if not isinstance(related, list):
        raise _BadMapping("related", "must be an array of tables: write [[related]]")
    return CsvMapping(
        delimiter=delimiter,
        occurred_at=_time_source(value["occurred_at"]),
        record_id=_record_id_source(value["record_id"]),
        fields=fields,
        related=tuple(_references(f"related[{i}]", item, RELATED_KEYS) for i, item in enumerate(related)),
    )


def _references(key: str, value: Any, allowed: tuple[str, ...]) -> dict[str, Source]:
    """The sources of actor, entity or an item of related: type and id, and what else is allowed."""
    table = _table(key, value)
    _only(f"{key}.", table, allowed)
    for name in ("type", "id"):
        if name not in table:
            raise _BadMapping(f"{key}.{name}", "is missing")
    return {name: _source(f"{key}.{name}", item) for name, item in table.items()}


def _template(key: str, value: Any) -> Template:
    table = _table(key, value)
    if not table or not all(isinstance(item, dict) for item in table.values()):
        return _source(key, table)
    return {name: _template(f"{key}.{name}", item) for name, item in table.items()}


def _source(key: str, value: Any) -> Source:
    table = _table(key, value)
    _only(f"{key}.", table, SOURCE_KEYS)
    if ("column" in table) == ("constant" in table):
        raise _BadMapping(key, "must give either a column or a constant")
    if "constant" in table:
        if len(table) > 1:
            raise _BadMapping(key, "is a constant, so nothing else can be said of it")
        return Source(key, constant=_scalar(f"{key}.constant", table["constant"]))
    if "values" in table and "transform" in table:
        raise _BadMapping(key, "has both values and a transform; give one of them")
    if "otherwise" in table and "values" not in table:
        raise _BadMapping(key, "has otherwise, but no values")
    values = table.get("values")
    transform = table.get("transform")
    if transform is not None and transform not in tuple(TRANSFORMS):  # which may be unhashable
        raise _BadMapping(f"{key}.transform", f"{transform!r:.60} is none of {', '.join(TRANSFORMS)}")
    return Source(
        key,
        column=_string(f"{key}.column", table["column"]),
        values=None
        if values is None
        else {cell: _scalar(f"{key}.values.{cell}", item) for cell, item in _table(f"{key}.values", values).items()},
        otherwise=_scalar(f"{key}.otherwise", table["otherwise"]) if "otherwise" in table else None,
        empty=frozenset(_strings(f"{key}.empty", table.get("empty", []))),
        transform=transform,
    )


def _time_source(value: Any) -> TimeSource:
    key = "occurred_at"
    table = _table(key, value)
    _only(f"{key}.", table, ("column", "format", "zone"))
    if "column" not in table:
        raise _BadMapping(f"{key}.column", "is missing")
    zone = None
    if "zone" in table:
        try:
            zone = check_time_zone(_string(f"{key}.zone", table["zone"]))
        except InvalidOrganization as problem:
            raise _BadMapping(f"{key}.zone", problem.what.removesuffix(".")) from None
    return TimeSource(
        _string(f"{key}.column", table["column"]),
        _time_format(f"{key}.format", table["format"]) if "format" in table else None,
        zone,
    )


def _time_format(key: str, value: Any) -> str:
    """The format, once it is sure that it loses neither date nor hour: strptime would fill in 1900-01-01 or 0:00."""
    text = _string(key, value)
    if len(text) > _MAX_FORMAT:
        raise _BadMapping(key, f"has {len(text):,} characters; {_MAX_FORMAT} are allowed")
    for directive in _DIRECTIVE.findall(text):
        if not (directive.isascii() and directive.isalpha()) and directive != "%":  # strftime takes widths: %099999999d
            raise _BadMapping(key, f"{'%' + directive!r} is not a directive; they are % and a letter, such as %Y")
    if "%Z" in text:
        raise _BadMapping(key, "%Z reads a zone's name and ignores it; give the zone as `zone`, or use %z for offsets")
    try:
        read = datetime.strptime(_PROBE.strftime(text), text).replace(tzinfo=UTC)
    except ValueError as problem:
        raise _BadMapping(key, f"can't be used to read times ({problem})") from None
    to_minute = _PROBE.replace(second=0)
    if read not in (_PROBE, to_minute, to_minute.replace(minute=0), to_minute.replace(hour=0, minute=0)):
        raise _BadMapping(key, f"{text!r} does not state a whole date (or leaves out %p beside %I)")
    return text


def _record_id_source(value: Any) -> RecordIdSource | Source:
    key = "record_id"
    table = _table(key, value)
    if "columns" not in table:
        return _source(key, table)
    _only(f"{key}.", table, ("source", "columns", "repeats"))
    columns = _strings(f"{key}.columns", table["columns"])
    if not columns:
        raise _BadMapping(f"{key}.columns", "names no column")
    if "source" not in table:
        raise _BadMapping(f"{key}.source", "is missing; give a name for where the rows come from, and keep it")
    repeats = table.get("repeats", REPEATS[0])
    if repeats not in REPEATS:
        raise _BadMapping(f"{key}.repeats", f"{repeats!r:.60} is none of {', '.join(REPEATS)}")
    return RecordIdSource(_string(f"{key}.source", table["source"]), columns, repeats)


def _only(prefix: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise _BadMapping(f"{prefix}{key}", f"is not known here; known are {', '.join(allowed)}")


def _table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _BadMapping(key, 'must be a table, such as { column = "name" } or { constant = "value" }')
    return value


def _string(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _BadMapping(key, "must be a text in quotes")
    return value


def _strings(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _BadMapping(key, 'must be a list of texts, such as ["a", "b"]')
    return tuple(_string(key, item) for item in value)


def _scalar(key: str, value: Any) -> str | int | float | bool:
    if not isinstance(value, (str, int, float)):
        raise _BadMapping(key, "must be a text, a number, true or false")
    return value
