"""Made-up laboratory events for measuring: the same ones in every run, and of the sizes that a laboratory's have.

Event number n is worked out from n alone, so a million of them cost no memory. Two hundred entities are worked on at
a time, eight acts each: one creates it (`after`), five change it (`before` and `after`, five fields each), two only
read it. A hundred people and ten machines take turns; nine in ten events carry a request context of five fields, and
one in three relates to a batch. No history has a gap, so a verification finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from flasktrack.core.record import Event

_START = datetime(2026, 1, 5, 6, tzinfo=UTC)
_AT_A_TIME = 200
_ACTS = ("create", "update", "update", "view", "update", "update", "export", "update")
_LAST_CHANGE = (0, 0, 1, 0, 2, 4, 0, 5)  # the act that left the state that this one changes
_ROLES = ("scientist", "lab_manager", "qa_lead", "technician")
_KINDS = ("sample", "batch", "workflow", "protocol", "file")
_STATES = ("registered", "in_progress", "on_hold", "completed", "released")
_METHODS = {"create": "POST", "update": "PATCH"}


def make_events(first: int, count: int, mark: str = "") -> Iterator[Event]:
    """Events number `first` to `first + count - 1`; `mark` is the end of every name and id, so that the events of two
    organizations can be told apart."""
    random = Random(first)
    for number in range(first, first + count):
        block, place = divmod(number, _AT_A_TIME * len(_ACTS))
        turn, position = divmod(place, _AT_A_TIME)
        entity = block * _AT_A_TIME + position * 77 % _AT_A_TIME
        yield _event(random, number, entity, turn, mark)


def _event(random: Random, number: int, entity: int, turn: int, mark: str) -> Event:
    kind, action = _KINDS[entity % len(_KINDS)], _ACTS[turn]
    machine = random.random() < 0.2
    actor = random.randrange(10 if machine else 100)
    return Event(
        occurred_at=_START + timedelta(seconds=15 * number, microseconds=random.randrange(1_000_000)),
        actor_type="service_account" if machine else "user",
        actor_id=f"svc-{actor}{mark}" if machine else f"u-{actor:03}{mark}",
        actor_name=f"Integration {actor}{mark}" if machine else f"Person Number {actor}{mark}",
        actor_role=None if machine else _ROLES[actor % len(_ROLES)],
        credential_id=f"key-{actor}" if machine else None,
        action=action,
        outcome="denied" if random.random() < 0.02 else "success",
        entity_type=kind,
        entity_id=f"{kind[:2].upper()}-{entity:06}{mark}",
        entity_name=f"{kind.title()} {entity}{mark}",
        related=[("batch", f"BA-{entity // 50 * 5 + 1:06}{mark}")] if random.random() < 0.33 else (),
        reason="re-measured after calibration" if random.random() < 0.1 else None,
        correlation_id=f"req-{number // 3:08x}",
        before=_state(entity, _LAST_CHANGE[turn], mark) if action == "update" else None,
        after=_state(entity, turn, mark) if action in _METHODS else None,
        context=_context(random, kind, entity, action) if random.random() < 0.9 else None,
    )


def _state(entity: int, turn: int, mark: str) -> dict[str, Any]:
    return {
        "name": f"Buffer {entity}{mark}",
        "status": _STATES[(entity + turn) % len(_STATES)],
        "volume_ml": 50 - turn * 0.125,
        "location": f"B-{entity % 12}/freezer {entity % 40}/A{turn}",
        "revision": turn + 1,
    }


def _context(random: Random, kind: str, entity: int, action: str) -> dict[str, Any]:
    return {
        "request_id": f"{random.getrandbits(64):016x}",
        "method": _METHODS.get(action, "GET"),
        "path": f"/api/v1/{kind}s/{entity}",
        "ip": f"10.20.{entity % 4}.{entity % 250}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0",
    }
