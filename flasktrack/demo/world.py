"""The simulated world of one organization: a clock, what is scheduled, the state of every entity, and the acts.

Things are scheduled for a local time and run in order of time; whatever acts changes an entity's state, and the act is
written down with the state before and after. So `before` always is the last `after`, as in a real system.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from flasktrack.core.record import Event
from flasktrack.demo.lab import Actor, Lab

State = dict[str, Any]
_IDS = uuid.UUID("6f1c7a52-3c1e-5f0a-9d55-0f2f4b6a7c11")


class Act(NamedTuple):
    """An event, and when the recorder took it in."""

    event: Event
    recorded_at: datetime


class World:
    """One organization from `start` to `until`, both local dates; everything random comes from one seed."""

    def __init__(self, lab: Lab, start: date, until: date) -> None:
        self.lab = lab
        self.start = start
        self.until = until
        self.random = random.Random(f"{lab.id} {start} {until}")
        self.states: dict[tuple[str, str], State] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.related: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.sessions: dict[str, str] = {}
        self._away = {person.id: self._leave(person) for person in lab.people}
        self._numbers: Counter[str] = Counter()
        self.acts: list[Act] = []
        self.now = self.at(start, 0)
        self._scheduled: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, day: date, hour: float) -> datetime:
        """A local time of a day, in UTC."""
        local = datetime(day.year, day.month, day.day, tzinfo=self.lab.zone)
        return (local + timedelta(hours=hour)).astimezone(UTC)

    def is_workday(self, day: date) -> bool:
        return day.weekday() < 5 and (day.month, day.day) not in self.lab.holidays

    def works(self, person: Actor, day: date) -> bool:
        """Whether the person comes in on that day: a workday, and neither on leave nor ill."""
        return self.is_workday(day) and day not in self._away[person.id]

    def anyone(self, role: str, day: date) -> Actor:
        """Somebody with the role who works on that day, or anybody with it if none does."""
        people = self.lab.with_role(role)
        return self.random.choice([person for person in people if self.works(person, day)] or people)

    def workday_of(self, person: Actor, day: date, days: int) -> date:
        """The workday that is `days` workdays later, or the first one after it on which the person works."""
        day = self.workday_after(day, days)
        while not self.works(person, day):
            day += timedelta(days=1)
        return day

    def today(self) -> date:
        """The local date now."""
        return self.now.astimezone(self.lab.zone).date()

    def workday_after(self, day: date, days: int) -> date:
        """The workday that is `days` workdays later."""
        while days:
            day += timedelta(days=1)
            days -= self.is_workday(day)
        return day

    def work_hour(self, first: float = 8.0, last: float = 17.5) -> float:
        """An hour at which people work: less around noon."""
        while True:
            hour = self.random.uniform(first, last)
            if not 12.0 < hour < 12.8 or self.random.random() < 0.25:
                return hour

    def later(self, moment: datetime, run: Callable[[], None]) -> None:
        """Schedule something; what lies beyond the end of the simulation never happens."""
        self._count += 1
        heapq.heappush(self._scheduled, (max(moment, self.now), self._count, run))

    def soon(self, run: Callable[[], None], *, minutes: float) -> None:
        """Schedule something some minutes from now."""
        self.later(self.now + timedelta(minutes=minutes), run)

    def run(self) -> list[Act]:
        """Let everything happen, in order."""
        end = self.at(self.until, 0)
        while self._scheduled and self._scheduled[0][0] < end:
            self.now, _, run = heapq.heappop(self._scheduled)
            run()
        return self.acts

    def state(self, entity: tuple[str, str]) -> State | None:
        """The entity's present state."""
        return self.states.get(entity)

    def act(
        self,
        actor: Actor,
        action: str,
        entity: tuple[str, str],
        *,
        name: str | None = None,
        new: State | None = None,
        change: State | None = None,
        gone: bool = False,
        related: list[tuple[str, str]] | None = None,
        reason: str | None = None,
        outcome: str = "success",
        on_behalf_of: Actor | None = None,
        correlation: str | None = None,
        request: tuple[str, str] | None = None,
        occurred_at: datetime | None = None,
        ip: str | None = None,
    ) -> None:
        """Somebody does something now: `new` is a first state, `change` what differs, `gone` a deletion."""
        if actor.type == "user" and actor.id not in self.sessions and action not in ("sign_in", "sign_out"):
            self.sign_in(actor)
            self.now += timedelta(seconds=self.random.randint(20, 90))
        before = self.states.get(entity)
        after = before
        if new is not None:
            before, after = None, dict(new)
        elif change is not None:
            after = {**(before or {}), **change}
        elif gone:
            after = None
        else:
            before = after = None
        if name is not None:
            self.names[entity] = name
        if related is not None:
            self.related[entity] = related
        if after is not None:
            self.states[entity] = after
        elif gone:
            self.states.pop(entity, None)
        occurred = occurred_at or self.now
        self.acts.append(
            Act(
                Event(
                    occurred_at=occurred,
                    actor_type=actor.type,
                    actor_id=actor.id,
                    actor_name=actor.name,
                    actor_role=actor.role,
                    credential_id=actor.credential,
                    on_behalf_of=f"{on_behalf_of.type}:{on_behalf_of.id}" if on_behalf_of else None,
                    action=action,
                    outcome=outcome,
                    entity_type=entity[0],
                    entity_id=entity[1],
                    entity_name=self.names.get(entity),
                    related=list(self.related.get(entity, ())),
                    reason=reason,
                    correlation_id=correlation,
                    before=before,
                    after=after,
                    context=self._context(actor, request, ip),
                    record_id=str(uuid.uuid5(_IDS, f"{self.lab.id} {self.until} {len(self.acts)}")),
                ),
                self.now + timedelta(milliseconds=self.random.randint(4, 180)),
            )
        )
        self.now += timedelta(milliseconds=200)

    def sign_in(self, person: Actor) -> None:
        """Start a session; a password is mistyped now and then."""
        entity = ("session", person.id)
        login = ("POST", "/login")
        if self.random.random() < 0.03:
            self.act(person, "sign_in", entity, name=person.name, outcome="failure", request=login)
            self.now += timedelta(seconds=self.random.randint(9, 40))
        self.sessions[person.id] = self.new_id("ses")
        self.act(person, "sign_in", entity, name=person.name, request=login)

    def _leave(self, person: Actor) -> frozenset[date]:
        """Two weeks of leave and some days of illness."""
        dice = random.Random(f"{self.lab.id} {person.id} {self.start}")
        monday = self.start - timedelta(days=self.start.weekday())
        weeks = dice.sample(range(2, 26), 2)
        days = {monday + timedelta(weeks=week, days=day) for week in weeks for day in range(5)}
        return frozenset(days | {self.start + timedelta(days=dice.randrange(8, 184)) for _ in range(4)})

    def number(self, kind: str) -> int:
        """The next number of a kind of entity: 1, 2, 3 and so on."""
        self._numbers[kind] += 1
        return self._numbers[kind]

    def new_id(self, prefix: str) -> str:
        """A random-looking id, as request and session ids are."""
        return f"{prefix}-{self.random.getrandbits(40):010x}"

    def _context(self, actor: Actor, request: tuple[str, str] | None, ip: str | None) -> State:
        method, path = request or ("POST", "/v1/records")
        context: State = {"request_id": self.new_id("req"), "method": method, "path": path}
        if actor.type == "user":
            number = int(actor.id.partition("-")[2])
            context["ip"] = ip or f"{self.lab.network}.{number + 20}"
            browsers = ("Firefox/143.0", "Chrome/141.0", "Edge/141.0")
            context["user_agent"] = browsers[number % 3]
            context["session"] = self.sessions.get(actor.id)
        elif actor.type in ("automation", "system"):
            context = {"job": actor.id, "run": self.new_id("run"), "host": "scheduler"}
        else:
            context["ip"] = ip or f"{self.lab.network}.{200 + len(actor.id)}"
            context["integration"] = actor.name
        return context
