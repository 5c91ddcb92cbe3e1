"""Two small organizations with the same people, samples and record ids, and what a naive reading finds in them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flasktrack.core.record import OUTCOMES, Event
from flasktrack.insight.filter import RecordFilter

HERE, THERE = "north-lab", "south-lab"
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "America/St_Johns",  # -03:30
    "Asia/Kolkata",  # +05:30
    "Asia/Kathmandu",  # +05:45
    "Pacific/Chatham",  # +12:45, +13:45 in summer, and clocks change at 02:45
    "Australia/Lord_Howe",  # whose clocks change by half an hour
    "Africa/Cairo",  # where a day in spring has no midnight
    "America/Havana",  # where a day in autumn has two
)
_CLOCK_CHANGES = (
    datetime(2026, 3, 8, 5, tzinfo=UTC),  # Havana
    datetime(2026, 3, 8, 10, tzinfo=UTC),  # Los Angeles
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin
    datetime(2026, 4, 4, 14, tzinfo=UTC),  # Chatham
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe
    datetime(2026, 4, 23, 22, tzinfo=UTC),  # Cairo
    datetime(2026, 9, 26, 14, tzinfo=UTC),  # Chatham
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin
    datetime(2026, 11, 1, 5, tzinfo=UTC),  # Havana
    datetime(2026, 11, 1, 9, tzinfo=UTC),  # Los Angeles
)
_ODD_SECONDS = (timedelta(), timedelta(seconds=59, microseconds=999_999), timedelta(microseconds=1))

HOUR_SPANS = {
    "sun:2@Europe/Berlin": ("Europe/Berlin", range(6, 7), range(2, 3)),
    "sun:1@Australia/Lord_Howe": ("Australia/Lord_Howe", range(6, 7), range(1, 2)),
    "fri:0-2@Africa/Cairo": ("Africa/Cairo", range(4, 5), range(2)),
    "mon-fri:8-18@Asia/Kathmandu": ("Asia/Kathmandu", range(5), range(8, 18)),
    "sat-sun@UTC": ("UTC", range(5, 7), range(24)),
}
"""Hours of the week as a filter names them: by which zone's clocks, on which days, in which hours."""
ACTORS = (
    ("user", "u-1", ("Ana Müller", "Ana Weiß")),
    ("user", "u:2", ("Ελένη Παππά",)),
    ("user", "U-1", (None,)),
    ("api_key", "u-1", ("LIMS 100%", "LIMS")),
    ("automation", "nightly_run", (None, "Nightly")),
)
ENTITIES = (
    ("sample", "S-1", ("Buffer_A", "Buffer A, diluted")),
    ("sample", "S:1:b", (None,)),
    ("sample", "s-1", ("ÅNGSTRÖM standard", None)),
    ("batch", "S-1", ("50% glycerol",)),
    ("file", r"C:\data\run_1", ("名前.csv",)),
)
_SECTIONS: tuple[Any, ...] = (
    None,
    {"volume": 10, "unit": "µL"},
    {"note": 'labelled "old"', "path": "D:\\raw\\run_7"},
    {"steps": [{"id": "S-2", "text": "shake\nTWICE"}, {"id": "S-3", "done": True}], "yield": "12%"},
    ["ÖLBAD", {"Größe": 0.5}],
    "x_y",
)
_WITH_IP: dict[int, Any] = {  # by the number of the event
    2: {"ip": "192.0.2.7"},
    5: {"ip": "192.0.2.77", "inner": {"ip": "192.0.2.7"}},
    8: {"ip": 7, "forwarded": ["192.0.2.7"]},
}
CREDENTIALS = (None, "tok_1", "TOK_1")
ON_BEHALF_OF = (None, "user:u-1", "user:u:2", None, "user:U-1")
REASONS = (None, "late ENTRY", "re-measured: 7_ml", "Übertrag", "100 % sure", r"see \\server\a", "")
ACTIONS = ("create", "update", "delete", "sign_in")
WORDS = (
    "müller", "MÜLLER", "mÜLLer", "weiß", "παππά", "ΕΛΈΝΗ", "ångström", "名前", "öl", "GRÖSSE", "größe", "übertrag",
    "%", "_", "\\", "50%", "0%", "x_y", "xzy", "run_1", "runx1", r"\data", r"D:\raw", r"\\server", '"old"', "twice",
    "entry", "ana", "ANA", "S-1", "s:1:b", "req-3", "nightly", "delete", "nowhere", "µl", "volume", "0.5", "true",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """An event at the position that it got."""

    seq: int
    event: Event

    @property
    def moment(self) -> datetime:
        return self.event.occurred_at


def _moments(choose: random.Random) -> list[datetime]:
    """Around every change of clocks in quarters of an hour, and all over a year."""
    year = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=choose.randrange(525_600)) for _ in range(120)]
    around = [change + timedelta(minutes=15 * step) for change in _CLOCK_CHANGES for step in range(-9, 9)]
    found = [moment + choose.choice(_ODD_SECONDS) for moment in year + around]
    choose.shuffle(found)
    return found


def _events(seed: int) -> list[Event]:
    choose = random.Random(seed)
    events: list[Event] = []
    for moment in _moments(choose):
        actor_type, actor_id, actor_names = choose.choice(ACTORS)
        entity_type, entity_id, entity_names = choose.choice(ENTITIES)
        related = choose.sample([entity[:2] for entity in ENTITIES], choose.choice((0, 0, 1, 2)))
        events.append(
            Event(
                occurred_at=moment,
                actor_type=actor_type,
                actor_id=actor_id,
                actor_name=choose.choice(actor_names),
                actor_role=choose.choice((None, "analyst", "manager")),
                action=choose.choice(ACTIONS),
                outcome=choose.choices(OUTCOMES, (8, 1, 2))[0],
                entity_type=entity_type,
                entity_id=entity_id,
                entity_name=choose.choice(entity_names),
                related=related,
                reason=choose.choice(REASONS),
                correlation_id=choose.choice((None, "req-3", "REQ_4")),
                credential_id=CREDENTIALS[len(events) % 3],
                on_behalf_of=ON_BEHALF_OF[len(events) % 5],
                before=choose.choice(_SECTIONS),
                after=choose.choice(_SECTIONS),
                context=_WITH_IP.get(len(events), choose.choice(_SECTIONS)),
                record_id=str(uuid.UUID(int=len(events) + 1)),  # the same in both organizations
            )
        )
    return events


ROWS = {
    name: [Row(place, event) for place, event in enumerate(_events(seed), 1)] for name, seed in ((HERE, 1), (THERE, 2))
}


def meets(row: Row, chosen: RecordFilter) -> bool:
    """Whether a record meets a filter, as spec section 6 says it."""
    event = row.event
    entities = [f"{event.entity_type}:{event.entity_id}"]
    if chosen.with_related:
        entities += [f"{type_}:{id_}" for type_, id_ in event.related]
    return (
        (chosen.occurred_from is None or chosen.occurred_from <= event.occurred_at)
        and (chosen.occurred_to is None or event.occurred_at < chosen.occurred_to)
        and _any(chosen.actors, f"{event.actor_type}:{event.actor_id}")
        and _any(chosen.actor_types, event.actor_type)
        and _any(chosen.actions, event.action)
        and _any(chosen.entity_types, event.entity_type)
        and _any(chosen.outcomes, event.outcome)
        and _any(chosen.entities, *entities)
        and _any(chosen.credentials, event.credential_id)
        and _any(chosen.on_behalf_of, event.on_behalf_of)
        and _any(chosen.ips, event.context.get("ip") if isinstance(event.context, dict) else None)
        and (
            not chosen.hours
            or any(_within(event.occurred_at, *hours) for hours in map(HOUR_SPANS.get, chosen.hours) if hours)
        )
        and (chosen.seq_first is None or chosen.seq_first <= row.seq)
        and (chosen.seq_last is None or row.seq <= chosen.seq_last)
        and (not chosen.positions or row.seq in chosen.positions)
        and all(holds(event, word) for word in (chosen.text or "").split())
    )


def selected(organization_id: str, chosen: RecordFilter) -> list[Row]:
    """The records of an organization that meet a filter, in order."""
    return [row for row in ROWS[organization_id] if meets(row, chosen)]


def _within(moment: datetime, zone: str, days: range, hours: range) -> bool:
    clock = moment.astimezone(ZoneInfo(zone))
    return clock.weekday() in days and clock.hour in hours


def _any(wanted: tuple[str, ...], *values: str | None) -> bool:
    return not wanted or any(value in wanted for value in values)


def holds(event: Event, word: str) -> bool:
    """Whether a word stands in one of the texts of an event, in upper or lower case."""
    texts = [
        event.actor_id, event.actor_name, event.action, event.reason, event.entity_id, event.entity_name,
        event.correlation_id, event.record_id, *_texts(event.before), *_texts(event.after), *_texts(event.context),
    ]  # fmt: skip
    return any(word.lower() in text.lower() for text in texts if text is not None)


def _texts(value: Any) -> list[str]:
    """The keys and values of a section, as they were before JSON escaped them."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *_texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, bool):
        return [str(value).lower()]
    return [] if value is None else [str(value)]


def most_frequent(rows: list[Row], key: Callable[[Event], Any]) -> list[tuple[Any, int]]:
    """How many rows give each key, the most frequent first and the same number in the key's own order."""
    numbers: dict[Any, int] = {}
    for row in rows:
        numbers[key(row.event)] = numbers.get(key(row.event), 0) + 1
    return sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
