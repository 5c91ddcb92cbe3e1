"""The one filter that pages, exports, the command line and the address bar share (spec section 6).

    chosen = RecordFilter.from_params({"action": ["delete"], "from": ["2026-11-01"]}, zone)
    ledger.stream(*chosen.conditions())                 # of the records themselves
    questions.select(chosen, ...)                       # of their columnar copy, by copied_conditions

Values of one field are alternatives (OR); fields narrow each other (AND). A filter that can't be meant is refused
with InvalidFilter, wherever it comes from, so that no answer is silently empty or silently everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Table, literal, or_, select

from flasktrack.core.record import ACTOR_TYPES, OUTCOMES
from flasktrack.core.times import format_time, in_zone
from flasktrack.insight import copy_tables
from flasktrack.insight.context_ip import context_ip
from flasktrack.insight.filter_sql import any_pair, holds, in_payload, pairs
from flasktrack.insight.filter_values import (
    check_length,
    check_named,
    check_positions,
    check_text,
    check_times,
    check_values,
    listed,
    pair,
    read_hours,
    read_named,
    read_positions,
    read_time,
    read_words,
    refusal,
    single,
)
from flasktrack.insight.week_hours import week_hour
from flasktrack.insight.words import MAX_LETTERS, MAX_WORDS
from flasktrack.store.schema import audit_record, record_link

MAX_ENTITY_TYPES = 100  # among `entities`: each is an OR of its own, twice, and SQLite nests at most 1,000
_LISTS = {  # field -> its key in an address, and on the command line with - for _
    "actors": "actor",
    "actor_types": "actor_type",
    "actions": "action",
    "entities": "entity",
    "entity_types": "entity_type",
    "outcomes": "outcome",
    "credentials": "credential",
    "on_behalf_of": "on_behalf_of",
    "ips": "ip",
    "hours": "hours",
}
PARAMETERS = ("from", "to", *_LISTS.values(), "with_related", "seq", "positions", "text")
"""The keys of a filter in an address."""
_SUMMED = {"actor_types": "actor_type", "actions": "action", "entity_types": "entity_type", "outcomes": "outcome"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """Which records are asked for; without a field, all of them. Raises InvalidFilter, which names the field.

    `actors`, `entities` and `on_behalf_of` are `type:id`, split at the first colon. `hours` are hours of the week by a
    zone's clocks (`insight.week_hours`), which they name: `from_params` puts the organization's where none is. Times
    are aware, from ≤ occurred_at < to; `seq_first` and `seq_last` are inclusive, `positions` name records one by one.
    `with_related` also takes the records that relate to one of `entities`. Every word of `text` must be found somewhere
    in the record, in upper or lower case.
    """

    occurred_from: datetime | None = None
    occurred_to: datetime | None = None
    actors: tuple[str, ...] = ()
    actor_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    with_related: bool = False
    entity_types: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    on_behalf_of: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    seq_first: int | None = None
    seq_last: int | None = None
    positions: tuple[int, ...] = ()
    text: str | None = None

    def __post_init__(self) -> None:
        check_times(self.occurred_from, self.occurred_to)
        check_positions(self.seq_first, self.seq_last)
        object.__setattr__(self, "positions", check_named(self.positions))
        for field, key in _LISTS.items():
            check_values(key, getattr(self, field))
        for key, values, known in (
            ("actor_type", self.actor_types, ACTOR_TYPES),
            ("actor", [pair("actor", actor)[0] for actor in self.actors], ACTOR_TYPES),
            ("on_behalf_of", [pair("on_behalf_of", actor)[0] for actor in self.on_behalf_of], ACTOR_TYPES),
            ("outcome", self.outcomes, OUTCOMES),
        ):
            for value in values:
                if value not in known:
                    what = "is no type of actor" if known is ACTOR_TYPES else "is no outcome"
                    raise refusal(key, f"{value[:60]!r} {what}", f"Use {', '.join(known)}.")
        for value in self.hours:
            read_hours(value)
        if len(types := {pair("entity", entity)[0] for entity in self.entities}) > MAX_ENTITY_TYPES:
            raise refusal("entity", f"they are of {len(types)} types", f"Give at most {MAX_ENTITY_TYPES} types.")
        if self.text is not None:
            check_length("text", self.text, MAX_WORDS * (MAX_LETTERS + 1))
            check_text("text", self.text)
            read_words(self.text)

    @property
    def is_empty(self) -> bool:
        """Whether every record is asked for."""
        return not self.conditions()

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a SELECT on audit_record, made by `store.scope.scoped`, must meet besides its organization."""
        found = self._conditions(audit_record, record_link, format_time)
        if self.ips:
            found.append(in_payload(lambda payload: context_ip(payload.context).in_(self.ips)))
        return found + [holds(word) for word in read_words(self.text or "")]

    def copied_conditions(self) -> list[ColumnElement[bool]]:
        """What a SELECT on the columnar copy, made by `copy_tables.copied`, must meet besides its organization.

        The copy holds no sections: which records hold the words of `text` has to be looked up before
        (`Copy.look_up`), and then stands in `copy_tables.found`.
        """
        conditions = self._conditions(copy_tables.record, copy_tables.related, _naive)
        if self.ips:
            conditions.append(copy_tables.record.c.ip.in_(self.ips))
        if read_words(self.text or ""):
            found = copy_tables.found.c
            mine = found.organization_id == copy_tables.record.c.organization_id, found.search == self.search_key
            positions = select(found.seq).where(*mine).correlate(copy_tables.record)
            conditions.append(copy_tables.record.c.seq.in_(positions))
        return conditions

    @property
    def summed(self) -> frozenset[str] | None:
        """The columns of the copy's sums that the filter looks at; None where sums can't answer it."""
        rest: dict[str, Any] = dict.fromkeys(("actors", "entities", *_SUMMED), ())
        if replace(self, with_related=False, **rest) != RecordFilter() or (self.entities and self.with_related):
            return None
        named = {column for field, column in _SUMMED.items() if getattr(self, field)}
        named |= {"actor_type", "actor_id"} if self.actors else set()
        return frozenset(named | ({"entity_type", "entity_id"} if self.entities else set()))

    def sum_conditions(self, sums: Table) -> list[ColumnElement[bool]]:
        """What a SELECT on one of the copy's sums, which has the columns of `summed`, must meet."""
        column = sums.c
        found: list[ColumnElement[bool]] = [
            column[name].in_(getattr(self, field)) for field, name in _SUMMED.items() if getattr(self, field)
        ]
        if self.actors:
            found.append(any_pair(column.actor_type, column.actor_id, self.actors))
        if self.entities:
            found.append(any_pair(column.entity_type, column.entity_id, self.entities))
        return found

    @property
    def search_key(self) -> str:
        """What tells this search for words from any other."""
        return orjson.dumps(self.to_params(), option=orjson.OPT_SORT_KEYS).decode()

    def _conditions(self, table: Table, links: Table, time: Callable[[datetime], Any]) -> list[ColumnElement[bool]]:
        """What both the records and their copy have columns for."""
        record = table.c
        found: list[ColumnElement[bool]] = []
        if self.occurred_from is not None:
            found.append(record.occurred_at >= time(self.occurred_from))
        if self.occurred_to is not None:
            found.append(record.occurred_at < time(self.occurred_to))
        if self.actors:
            found.append(any_pair(record.actor_type, record.actor_id, self.actors))
        if self.entities:
            found.append(self._entity_condition(table, links))
        for values, column in (
            (self.actor_types, record.actor_type),
            (self.actions, record.action),
            (self.entity_types, record.entity_type),
            (self.outcomes, record.outcome),
            (self.credentials, record.credential_id),
            (self.on_behalf_of, record.on_behalf_of),
        ):
            if values:
                found.append(column.in_(values))
        if self.hours:
            found.append(self._hours_condition(record.occurred_at))
        if self.seq_first is not None:
            found.append(record.seq >= self.seq_first)
        if self.seq_last is not None:
            found.append(record.seq <= self.seq_last)
        if self.positions:
            found.append(record.seq.in_(self.positions))
        return found

    def _hours_condition(self, occurred_at: ColumnElement[Any]) -> ColumnElement[bool]:
        by_zone: dict[str, set[int]] = {}
        for hours in map(read_hours, self.hours):
            by_zone.setdefault(hours.zone.key, set()).update(hours.numbers)
        return or_(*(week_hour(occurred_at, zone).in_(sorted(hours)) for zone, hours in by_zone.items()))

    def _entity_condition(self, table: Table, links: Table) -> ColumnElement[bool]:
        record = table.c
        touched = any_pair(record.entity_type, record.entity_id, self.entities)
        if not self.with_related:
            return touched
        link = links.alias("link")
        same_record = (link.c.organization_id == record.organization_id, link.c.seq == record.seq)
        related = (  # one for each type: SQLite answers an OR of types by reading all of the organization's links
            select(literal(1)).where(*same_record, of_type).correlate(table).exists()
            for of_type in pairs(link.c.entity_type, link.c.entity_id, self.entities)
        )
        return or_(touched, *related)

    def to_params(self) -> dict[str, list[str]]:
        """The filter as an address's parameters; `from_params` gives it back. Times are in UTC."""
        params: dict[str, list[str]] = {}
        for key, moment in (("from", self.occurred_from), ("to", self.occurred_to)):
            if moment is not None:
                params[key] = [format_time(moment).replace(".000000Z", "Z")]
        params |= {key: list(getattr(self, field)) for field, key in _LISTS.items() if getattr(self, field)}
        if self.with_related:
            params["with_related"] = ["1"]
        if self.seq_first is not None or self.seq_last is not None:
            first, last = ("" if seq is None else str(seq) for seq in (self.seq_first, self.seq_last))
            params["seq"] = [first if first == last else f"{first}-{last}"]
        if self.positions:
            params["positions"] = [listed(self.positions)]
        if self.text and self.text.strip():
            params["text"] = [self.text]
        return params

    @classmethod
    def from_params(cls, params: Mapping[str, Sequence[str]], zone: tzinfo = UTC) -> RecordFilter:
        """Read the parameters of an address or a command line; keys that are no filter's are left alone.

        A time without a zone, or a plain date, is read in `zone` (the organization's): `2026-11-01` is that day's
        beginning there. Raises InvalidFilter, which names the parameter, for everything that can't be meant.
        """
        given: dict[str, Any] = {
            field: tuple(dict.fromkeys(params[key])) for field, key in _LISTS.items() if key in params
        }
        for field, key in (("occurred_from", "from"), ("occurred_to", "to")):
            if (value := single(params, key)) is not None:
                given[field] = read_time(key, value, zone)
        if "hours" in given:
            given["hours"] = tuple(dict.fromkeys(str(read_hours(value, zone)) for value in given["hours"]))
        if (value := single(params, "with_related")) is not None:
            if value not in ("0", "1"):
                raise refusal("with_related", f"{value[:60]!r} is neither 1 nor 0", "Leave it out, or give 1.")
            given["with_related"] = value == "1"
        if (value := single(params, "seq")) is not None:
            given["seq_first"], given["seq_last"] = read_positions(value)
        if (value := single(params, "positions")) is not None:
            given["positions"] = read_named(value)
        if (value := single(params, "text")) is not None:
            given["text"] = value
        return cls(**given)

    def describe(self, zone: ZoneInfo) -> str:
        """The filter in one readable sentence, with times in `zone`."""
        parts = []
        if self.occurred_from is not None or self.occurred_to is not None:
            start = "" if self.occurred_from is None else f"from {_local(self.occurred_from, zone)}"
            end = "" if self.occurred_to is None else f"before {_local(self.occurred_to, zone)}"
            parts.append(f"{' and '.join(filter(None, (start, end)))} ({zone.key})")
        if self.actor_types:
            parts.append(f"by actors of type {_either(self.actor_types)}")
        if self.actors:
            parts.append(f"by {_either(self.actors)}")
        if self.actions:
            parts.append(f"with action {_either(self.actions)}")
        if self.outcomes:
            parts.append(f"with outcome {_either(self.outcomes)}")
        if self.entity_types:
            parts.append(f"on entities of type {_either(self.entity_types)}")
        if self.entities:
            parts.append(f"on {'or related to ' if self.with_related else ''}{_either(self.entities)}")
        if self.credentials:
            parts.append(f"through credential {_either(self.credentials)}")
        if self.on_behalf_of:
            parts.append(f"on behalf of {_either(self.on_behalf_of)}")
        if self.ips:
            parts.append(f"from {_either(self.ips)}")
        if self.hours:
            named = [f"{hours.words} ({hours.zone.key})" for hours in map(read_hours, self.hours)]
            parts.append(f"on {_either(named)}")
        if self.seq_first is not None and self.seq_first == self.seq_last:
            parts.append(f"at position {self.seq_first:,}")
        elif self.seq_first is not None or self.seq_last is not None:
            first = f"from position {self.seq_first:,}" if self.seq_first is not None else ""
            last = f"up to position {self.seq_last:,}" if self.seq_last is not None else ""
            parts.append(" ".join(filter(None, (first, last))))
        if len(self.positions) == 1:
            parts.append(f"at position {self.positions[0]:,}")
        elif self.positions:
            ends = f"{self.positions[0]:,} to {self.positions[-1]:,}"
            parts.append(f"at {len(self.positions):,} positions from {ends}")
        if words := read_words(self.text or ""):
            parts.append(f"holding {' and '.join(f'“{word}”' for word in words)}")
        return f"Records {', '.join(parts)}." if parts else "All records."


def _naive(moment: datetime) -> datetime:
    """A time as the copy holds it: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    """A time in the zone, no longer than it needs to be."""
    local = in_zone(moment, zone)
    if local.timetz().replace(tzinfo=None) == time():
        return local.date().isoformat()
    return local.replace(tzinfo=None).isoformat(" ", "minutes" if not local.second + local.microsecond else "auto")


def _either(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
