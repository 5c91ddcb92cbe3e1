"""What interrupts the routine: deviations and their correction, freezer alarms, revisions, settings, releases."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

from flasktrack.demo.lab import Actor
from flasktrack.demo.phrases import (
    APPROVALS,
    DEVIATIONS,
    EXCURSION_CAUSES,
    OUT_OF_SPECIFICATION,
    RELEASES,
    REVISIONS,
    SETTINGS,
    Deviation,
)
from flasktrack.demo.world import State, World

Entity = tuple[str, str]
SYSTEM = Actor("system", "flasktrack", "FlaskTrack")


def schedule_incidents(world: World, day: date) -> None:
    """What may happen on a workday besides the batches."""
    if world.random.random() < 0.2:
        _deviation(world, day)
    if day.weekday() == 2 and day.day <= 7:
        _settings(world, day)
        _revision(world, day)
    if day.weekday() == 3 and 8 <= day.day <= 14:
        _export(world, day)
    if day.weekday() == 4 and 15 <= day.day <= 21:
        _release(world, day)


def out_of_specification(world: World, finder: Actor, sample: Entity, detail: str) -> None:
    """A result above its limit is a deviation of its own, opened on the next workday."""
    case = OUT_OF_SPECIFICATION._replace(title=OUT_OF_SPECIFICATION.title.format(detail=f"{sample[1]}, {detail}"))
    day = world.workday_of(finder, world.today(), 1)
    _Case(world, case, finder, day, [sample])


def excursion(world: World, freezer: str, target: float) -> None:
    """A freezer out of range: the alarm, somebody on call who looks after it, and the all-clear."""
    watch = world.lab.machine("freezer-watch")
    entity = ("freezer", freezer)
    high = round(target + world.random.uniform(11, 19), 1)
    world.act(watch, "update", entity, change={"celsius": high, "alarm": True}, reason="Above the alarm limit")
    on_call = world.anyone("lab_manager", world.today())
    normal = {"celsius": round(target + world.random.gauss(0.5, 0.4), 1), "alarm": False}
    hour = world.now.astimezone(world.lab.zone).hour
    minutes = world.random.uniform(12, 70) if 6 <= hour < 20 else ((6.5 - hour) % 24) * 60  # nights: the backup holds

    def acknowledge() -> None:
        cause = world.random.choice(EXCURSION_CAUSES)
        change: State = {"last_alarm": {"acknowledged_by": on_call.name, "cause": cause, "peak_celsius": high}}
        world.act(on_call, "acknowledge", entity, change=change, reason=cause)
        world.soon(lambda: world.act(watch, "update", entity, change=normal), minutes=25)

    world.soon(acknowledge, minutes=minutes)


def _deviation(world: World, day: date) -> None:
    """Something goes wrong with one of the latest batches."""
    finder = world.anyone("analyst", day)

    def open_it() -> None:
        batches = [entity for entity in world.states if entity[0] == "batch"]
        affected = [world.random.choice(batches[-6:])] if batches else []
        _Case(world, world.random.choice(DEVIATIONS), finder, day, affected)

    world.later(world.at(day, world.work_hour(8.5, 16)), open_it)


class _Case:
    """A deviation from its report to its closure, with its corrective action; its methods are the steps, in order."""

    def __init__(self, world: World, case: Deviation, finder: Actor, day: date, affected: list[Entity]) -> None:
        self.world, self.case, self.finder, self.affected = world, case, finder, affected
        self.owner = world.lab.with_role("qa_lead")[0]
        self.manager = world.lab.with_role("lab_manager")[0]
        moment = max(world.at(day, world.work_hour(8.5, 16.5)), world.now + timedelta(minutes=3))
        world.later(moment, self.report)

    def _next(self, person: Actor, days: int, step: str) -> None:
        day = self.world.workday_of(person, self.world.today(), days)
        self.world.later(self.world.at(day, self.world.work_hour(8.5, 16.5)), getattr(self, step))

    def report(self) -> None:
        world = self.world
        number = f"{world.today():%y}-{world.number('deviation'):03d}"
        self.deviation, self.capa = ("compliance_event", f"DEV-{number}"), ("compliance_event", f"CAPA-{number}")
        new: State = {
            "kind": "deviation", "title": self.case.title, "severity": "unclassified", "status": "open",
            "found_by": self.finder.id, "affected": [entity[1] for entity in self.affected],
            "root_cause": None, "actions": [],
        }  # fmt: skip
        world.act(
            self.finder, "create", self.deviation, name=self.case.title, new=new, related=self.affected,
            request=("POST", "/v1/deviations"),
        )  # fmt: skip
        self._next(self.owner, world.random.randint(0, 1) + 1, "assess")

    def assess(self) -> None:
        change = {"severity": self.case.severity, "status": "in investigation", "owner": self.owner.id}
        self.world.act(self.owner, "update", self.deviation, change=change, reason="Classified by QA")
        self._next(self.finder, self.world.random.randint(1, 4), "investigate")

    def investigate(self) -> None:
        change: State = {"root_cause": {"summary": self.case.causes[0], "contributing": list(self.case.causes[1:])}}
        self.world.act(self.finder, "update", self.deviation, change=change, reason="Investigation finished")
        self._next(self.owner, self.world.random.randint(1, 2), "plan")

    def plan(self) -> None:
        world = self.world
        correlation = world.new_id("op")
        due = str(world.today() + timedelta(days=30))
        tasks = [{"task": task, "owner": self.finder.id, "due": due, "done": False} for task in self.case.tasks]
        new: State = {"kind": "capa", "title": self.case.remedy, "status": "planned", "tasks": tasks, "due": due}
        world.act(
            self.owner, "create", self.capa, name=self.case.remedy, new=new, related=[self.deviation],
            correlation=correlation, request=("POST", "/v1/capas"),
        )  # fmt: skip
        change: State = {"status": "in correction", "actions": [self.capa[1]]}
        world.act(self.owner, "update", self.deviation, change=change, correlation=correlation)
        self._next(self.finder, world.random.randint(3, 12), "carry_out")

    def carry_out(self) -> None:
        tasks = [{**task, "done": True} for task in self.world.states[self.capa]["tasks"]]
        self.world.act(self.finder, "update", self.capa, change={"status": "done", "tasks": tasks})
        self._next(self.manager, self.world.random.randint(1, 6), "approve")

    def approve(self) -> None:
        change = {"status": "effective"}
        self.world.act(self.manager, "approve", self.capa, change=change, reason="Effect shown over three runs")
        self._next(self.owner, self.world.random.randint(0, 3), "close")

    def close(self) -> None:
        reason = "Cause removed; affected results assessed with the client"
        self.world.act(self.owner, "approve", self.deviation, change={"status": "closed"}, reason=reason)


def _settings(world: World, day: date) -> None:
    """Once a month: a setting, and who may stand in for a reviewer."""
    admin, analyst = world.lab.with_role("administrator")[0], world.lab.with_role("analyst")[-1]

    def run() -> None:
        change, reason = SETTINGS[(world.number("settings") - 1) % len(SETTINGS)]
        organization = ("organization", world.lab.id)
        request = ("PATCH", "/v1/organization")
        world.act(admin, "update", organization, change=change, reason=reason, request=request)
        member = ("member", analyst.id)
        cover = "reviewer" not in world.states[member]["roles"]
        world.now += timedelta(minutes=world.random.uniform(3, 40))
        world.act(
            admin, "update", member, change={"roles": ["analyst", "reviewer"] if cover else ["analyst"]},
            reason="Stands in as reviewer during leave" if cover else "End of standing in",
            request=("PATCH", f"/v1/members/{analyst.id}"),
        )  # fmt: skip

    world.later(world.at(world.workday_of(admin, day, 0), world.work_hour(9, 11.5)), run)


def _revision(world: World, day: date) -> None:
    """A new version of a protocol: its author proposes, a reviewer and the manager approve."""
    lab = world.lab
    author = world.anyone("analyst", day)
    reviewer, manager = lab.with_role("reviewer")[-1], lab.with_role("lab_manager")[0]
    protocol = ("protocol", lab.workflows[day.month % len(lab.workflows)].protocol)
    url = f"/v1/protocols/{protocol[1]}"
    note, step = REVISIONS[(world.number("revision") - 1) % len(REVISIONS)]
    correlation = world.new_id("op")

    def propose() -> None:
        state = world.states[protocol]
        steps = [*state["steps"][:-1], step, state["steps"][-1]] if step not in state["steps"] else state["steps"]
        change: State = {"version": state["version"] + 1, "status": "draft", "steps": steps, "approvals": []}
        world.act(author, "update", protocol, change=change, reason=note, correlation=correlation, request=("PUT", url))
        approve(reviewer, 0)

    def approve(person: Actor, place: int) -> None:
        def sign() -> None:
            approvals = [
                *world.states[protocol].get("approvals", []),
                {"by": person.name, "role": person.role, "meaning": APPROVALS[place], "on": str(world.today())},
            ]
            change: State = {"status": ("in approval", "effective")[place], "approvals": approvals}
            world.act(
                person, "approve", protocol, change=change, reason=APPROVALS[place], correlation=correlation,
                request=("POST", f"{url}/approve"),
            )  # fmt: skip
            if place == 0:
                approve(manager, 1)

        world.later(world.at(world.workday_of(person, world.today(), 1), world.work_hour()), sign)

    world.later(world.at(day, world.work_hour(13, 16)), propose)


def _export(world: World, day: date) -> None:
    """Once a month QA exports the history for its review; a key's expiry is moved on afterwards."""
    lab = world.lab
    qa, admin, key = lab.with_role("qa_lead")[0], lab.with_role("administrator")[0], lab.api_keys[0]

    def export() -> None:
        name = f"EXP-{world.today():%y}-{world.number('export'):02d}"
        month = f"{day - timedelta(days=day.day):%Y-%m}"
        new = {
            "format": "csv", "filter": {"month": month, "actions": ["delete", "reject", "update"]},
            "rows": world.random.randint(1100, 2400),
            "sha256": hashlib.sha256(f"{lab.id}/{name}".encode()).hexdigest(),
        }  # fmt: skip
        world.act(
            qa, "export", ("export", name), name=f"Monthly review {month}", new=new,
            reason="Monthly audit trail review", request=("POST", "/v1/exports"),
        )  # fmt: skip

    def renew() -> None:
        expires = str(world.today() + timedelta(days=120))
        world.act(
            admin, "update", ("api_key", key.id), change={"expires": expires}, reason="Rotated with the monthly review",
            request=("PATCH", f"/v1/api-keys/{key.id}"),
        )  # fmt: skip

    world.later(world.at(world.workday_of(qa, day, 0), world.work_hour(9, 16)), export)
    world.later(world.at(world.workday_of(admin, day, 1), world.work_hour(10, 16)), renew)


def _release(world: World, day: date) -> None:
    """A new release of the application, installed by itself on Sunday morning."""

    def install() -> None:
        place = world.number("release") - 1
        entity = ("software", "flasktrack")
        version = RELEASES[place % len(RELEASES)]
        change = {"version": version, "migrations": [f"{40 + place:04d}"], "self_test": "pass"}
        world.act(SYSTEM, "update", entity, name="FlaskTrack", change=change, reason="Scheduled maintenance")

    world.later(world.at(day + timedelta(days=2), 4.5), install)
