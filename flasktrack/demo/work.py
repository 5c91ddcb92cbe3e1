"""What happens in a lab: batches and their samples, protocols, compliance events, machines, people coming and going."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

from flasktrack.demo.lab import Actor, Workflow
from flasktrack.demo.world import State, World

Entity = tuple[str, str]
MACHINE_ENDPOINTS = ("/v1/samples", "/v1/batches", "/v1/results", "/v1/orders")


def schedule_everything(world: World) -> None:
    """Put half a year of work into the world's schedule."""
    _set_up(world)
    day = world.start
    number = 0
    while day < world.until:
        _nightly(world, day)
        if world.is_workday(day):
            for person in world.lab.people:
                if world.random.random() < 0.9:
                    _presence(world, person, day)
            batches = world.lab.batches_per_day
            for _ in range(int(batches) + (world.random.random() < batches % 1)):
                number += 1
                Batch(world, number, day)
            _api_traffic(world, day)
            if world.random.random() < 0.2:
                _deviation(world, day)
            if day.day <= 7 and day.weekday() == 2:
                _housekeeping(world, day)
        elif world.random.random() < 0.5:
            _api_traffic(world, day, share=0.3)
        day += timedelta(days=1)


def _set_up(world: World) -> None:
    """The first morning: the organization, its assays, and people's roles."""
    lab = world.lab
    admin = lab.with_role("administrator")[0]
    reviewer = lab.with_role("reviewer")[0]

    def run() -> None:
        settings = {
            "name": lab.name, "time_zone": str(lab.zone), "working_hours": "07:00-19:00", "retention_years": 10,
            "session_minutes": 30, "require_reason": ["delete", "reject"],
        }  # fmt: skip
        world.act(admin, "create", ("organization", lab.id), name=lab.name, new=settings)
        for person in lab.people:
            member = {"name": person.name, "roles": [person.role], "active": True}
            world.act(admin, "create", ("member", person.id), name=person.name, new=member)
        for key in lab.api_keys:
            new = {"name": key.name, "scopes": ["samples:read", "orders:write"], "expires": "2027-03-31"}
            world.act(admin, "create", ("api_key", key.id), name=key.name, new=new)
        for workflow in lab.workflows:
            protocol = ("protocol", workflow.protocol)
            author = lab.with_role("analyst")[0]
            protocol_state: State = {
                "title": workflow.protocol_name,
                "version": 1,
                "status": "draft",
                "steps": _steps(workflow),
            }
            world.act(author, "create", protocol, name=workflow.protocol_name, new=protocol_state)
            world.act(reviewer, "approve", protocol, change={"status": "effective"}, reason="First issue")
            definition = {
                "name": workflow.name, "protocol": workflow.protocol, "instrument": workflow.instrument,
                "acceptance": {"analyte": workflow.analyte, "unit": workflow.unit, "limit": workflow.limit},
                "status": "active",
            }  # fmt: skip
            world.act(
                author, "create", ("workflow", workflow.id), name=workflow.name, new=definition, related=[protocol]
            )

    world.later(world.at(world.workday_after(world.start - timedelta(days=1), 1), 7.6), run)


def _steps(workflow: Workflow) -> list[str]:
    return [
        f"Thaw {workflow.material.lower()} at 4 \u00b0C for 30 min",
        "Prepare calibration standards and quality controls",
        f"Load {workflow.instrument} and check system suitability",
        f"Measure {workflow.analyte} in duplicate",
        "Review the curve, then release results",
    ]


def _presence(world: World, person: Actor, day: date) -> None:
    """Signing in in the morning and, mostly, out in the evening."""
    entity = ("session", person.id)

    def sign_in() -> None:
        world.sessions[person.id] = world.new_id("ses")
        if world.random.random() < 0.03:
            world.act(person, "sign_in", entity, outcome="failure", reason="Wrong password", request=("POST", "/login"))
            world.now += timedelta(seconds=21)
        world.act(person, "sign_in", entity, name=person.name, request=("POST", "/login"))

    world.later(world.at(day, world.random.gauss(7.9, 0.35)), sign_in)
    if world.random.random() < 0.7:
        leave = world.random.gauss(17.3, 0.5)
        world.later(world.at(day, leave), lambda: world.act(person, "sign_out", entity, request=("POST", "/logout")))


class Batch:
    """A batch from its order to its release, over some days; its methods are the steps, in order."""

    def __init__(self, world: World, number: int, day: date) -> None:
        lab = world.lab
        self.world = world
        self.workflow = world.random.choice(lab.workflows)
        self.analyst, self.second = world.random.sample(lab.with_role("analyst"), 2)
        self.reviewer = world.random.choice(lab.with_role("reviewer"))
        self.client = world.random.choice(lab.clients)
        self.entity: Entity = ("batch", f"B-{day:%y}{number:04d}")
        self.run_entity: Entity = ("run", f"R-{day:%y}{number:04d}")
        self.samples: list[Entity] = [
            ("sample", f"S-{day:%y}{number:04d}-{n:02d}") for n in range(1, world.random.randint(7, 12) + 1)
        ]
        self.correlation = world.new_id("op")
        world.later(world.at(day, world.work_hour(8.2, 11.5)), self.receive)

    def receive(self) -> None:
        world, kind = self.world, self.workflow
        portal = world.lab.api_keys[-1]
        new = {"client": self.client, "workflow": kind.id, "samples": len(self.samples), "status": "received"}
        name = f"{self.client}, {kind.material.lower()}"
        world.act(
            portal, "create", self.entity, name=name, new=new, related=[("workflow", kind.id)],
            on_behalf_of=self.analyst, correlation=self.correlation, request=("POST", "/v1/batches"),
        )  # fmt: skip
        for place, sample in enumerate(self.samples, 1):
            world.now += timedelta(seconds=world.random.randint(8, 55))
            state = {
                "material": kind.material, "volume_ml": round(world.random.uniform(0.8, 5.2), 2), "status": "received",
                "storage": {"freezer": world.random.choice(world.lab.freezers), "box": place // 9 + 1, "slot": place},
                "labels": ["incoming"], "result": None,
            }  # fmt: skip
            world.act(
                self.analyst, "create", sample, name=f"{kind.material} {place}", new=state,
                related=[self.entity, ("workflow", kind.id)], correlation=self.correlation,
                request=("POST", "/v1/samples"),
            )  # fmt: skip
        day = world.workday_after(world.now.astimezone(world.lab.zone).date(), world.random.randint(0, 2))
        world.later(max(world.at(day, world.work_hour(9, 14)), world.now + timedelta(minutes=40)), self.prepare)

    def prepare(self) -> None:
        world = self.world
        correlation = world.new_id("op")
        world.act(self.analyst, "update", self.entity, change={"status": "in preparation"}, correlation=correlation)
        for sample in self.samples:
            state = world.state(sample)
            if state is None:
                continue
            world.now += timedelta(seconds=world.random.randint(40, 160))
            change = {
                "volume_ml": round(max(0.1, state["volume_ml"] - 0.25), 2), "status": "prepared",
                "labels": ["aliquoted", f"by {self.analyst.id}"],
            }  # fmt: skip
            world.act(
                self.analyst, "update", sample, change=change, correlation=correlation,
                request=("PATCH", f"/v1/samples/{sample[1]}"),
            )  # fmt: skip
        world.soon(self.measure, minutes=world.random.uniform(15, 70))

    def measure(self) -> None:
        world, kind = self.world, self.workflow
        instrument = world.lab.machine(kind.instrument)
        version = (world.state(("protocol", kind.protocol)) or {}).get("version", 1)
        correlation = world.new_id("op")
        related = [self.entity, ("workflow", kind.id), ("protocol", kind.protocol)]
        new = {"workflow": kind.id, "protocol_version": version, "operator": self.analyst.id, "status": "running"}
        world.act(
            self.analyst, "execute", self.run_entity, name=f"{kind.name}, {self.entity[1]}", new=new, related=related,
            correlation=correlation, request=("POST", "/v1/runs"),
        )  # fmt: skip
        for sample in self.samples:
            if world.state(sample) is None:
                continue
            world.now += timedelta(seconds=world.random.randint(95, 420))
            value = max(0.0, world.random.gauss(kind.mean, kind.spread))
            result = {"analyte": kind.analyte, "value": round(value, 3), "unit": kind.unit, "run": self.run_entity[1]}
            world.act(
                instrument, "update", sample, change={"status": "measured", "result": result},
                on_behalf_of=self.analyst, correlation=correlation, request=("PUT", f"/v1/results/{sample[1]}"),
            )  # fmt: skip
        self._upload(instrument, correlation)
        world.act(instrument, "update", self.run_entity, change={"status": "complete"}, correlation=correlation)
        local = world.now.astimezone(world.lab.zone)
        day = world.workday_after(local.date(), world.random.randint(1, 3))
        world.later(world.at(day, world.work_hour(8.5, 16.5)), self.review)

    def _upload(self, instrument: Actor, correlation: str) -> None:
        world = self.world
        name = f"{self.run_entity[1]}-{self.workflow.instrument}.raw"
        content = {
            "size": world.random.randint(180_000, 9_500_000), "media_type": "application/octet-stream",
            "sha256": hashlib.sha256(f"{world.lab.id}/{name}".encode()).hexdigest(),
        }  # fmt: skip
        world.act(
            instrument, "upload", ("file", name), name=name, new=content, related=[self.run_entity, self.entity],
            on_behalf_of=self.analyst, correlation=correlation, request=("POST", "/v1/files"),
        )  # fmt: skip

    def review(self) -> None:
        world, kind = self.world, self.workflow
        correlation = world.new_id("op")
        if world.random.random() < 0.35:
            world.act(self.reviewer, "download", ("file", f"{self.run_entity[1]}-{kind.instrument}.raw"))
            world.now += timedelta(minutes=world.random.uniform(2, 14))
        for sample in self.samples:
            state = world.state(sample)
            if state is None or state["result"] is None:
                continue
            world.now += timedelta(seconds=world.random.randint(12, 75))
            value = state["result"]["value"]
            passed = value <= kind.limit
            reason = None if passed else f"{kind.analyte} {value} {kind.unit} above the limit of {kind.limit}"
            world.act(
                self.reviewer, "approve" if passed else "reject", sample,
                change={"status": "approved" if passed else "rejected"}, reason=reason, correlation=correlation,
                request=("POST", f"/v1/samples/{sample[1]}/decision"),
            )  # fmt: skip
        world.act(
            self.reviewer, "approve", self.entity, change={"status": "released"}, correlation=correlation,
            reason="Results reviewed against raw data", request=("POST", f"/v1/batches/{self.entity[1]}/release"),
        )  # fmt: skip
        day = world.workday_after(world.now.astimezone(world.lab.zone).date(), world.random.randint(25, 45))
        world.later(world.at(day, world.work_hour(13, 16.5)), self.dispose)

    def dispose(self) -> None:
        world = self.world
        correlation = world.new_id("op")
        for sample in self.samples:
            if world.state(sample) is None or world.random.random() < 0.45:
                continue
            world.now += timedelta(seconds=world.random.randint(5, 25))
            world.act(
                self.second, "delete", sample, gone=True, reason="Retention period over, disposed of as clinical waste",
                correlation=correlation, request=("DELETE", f"/v1/samples/{sample[1]}"),
            )  # fmt: skip


def _nightly(world: World, day: date) -> None:
    """Machines work every night, to the second."""
    quality, freezers = world.lab.automations[:2]

    def check() -> None:
        number = (world.state(("check", "nightly-qc")) or {}).get("runs", 0) + 1
        change = {"runs": number, "charts": len(world.lab.workflows), "drift": world.random.random() < 0.04}
        world.act(quality, "execute", ("check", "nightly-qc"), name="Nightly quality control", change=change)
        for workflow in world.lab.workflows:
            if world.state(("workflow", workflow.id)) is None:  # the night before the lab was set up
                continue
            world.act(quality, "execute", ("workflow", workflow.id), related=[("protocol", workflow.protocol)])

    def watch(freezer: str) -> None:
        target = -196.0 if freezer.startswith("LN2") else -80.0 if "80" in freezer else -20.0
        reading = round(target + world.random.gauss(0, 0.6), 1)
        world.act(freezers, "update", ("freezer", freezer), name=freezer, change={"celsius": reading, "alarm": False})

    world.later(world.at(day, 2.0), check)
    for hour in (0, 6, 12, 18):
        for freezer in world.lab.freezers:
            world.later(world.at(day, hour), lambda freezer=freezer: watch(freezer))  # type: ignore[misc]


def _api_traffic(world: World, day: date, share: float = 1.0) -> None:
    """Requests of other systems, which FlaskTrack's users see as API requests."""
    for _ in range(int(world.random.randint(12, 22) * share)):
        key = world.random.choice(world.lab.api_keys)
        path = world.random.choice(MACHINE_ENDPOINTS)
        status = world.random.choices((200, 201, 304, 403, 429), (70, 12, 14, 2, 2))[0]

        def request(key: Actor = key, path: str = path, status: int = status) -> None:
            outcome = "denied" if status == 403 else "failure" if status == 429 else "success"
            entity = ("api_request", world.new_id("api"))
            new = {"status": status, "milliseconds": world.random.randint(3, 240), "endpoint": path}
            method = "POST" if status == 201 else "GET"
            world.act(key, "request", entity, name=f"{method} {path}", new=new, outcome=outcome, request=(method, path))

        world.later(world.at(day, world.random.uniform(0, 24)), request)


_DEVIATIONS = (
    ("Refrigerator above 8 \u00b0C for 40 minutes", "Door seal replaced; stability data assessed, no impact"),
    ("Wrong dilution factor entered", "Worksheet now asks for a second person\u2019s initials"),
    ("Pipette P-117 used past its calibration date", "Recalibrated within limits; reminder moved to 30 days before"),
    ("System suitability failed, run repeated", "Column exchanged; wash step lengthened"),
    ("Sample received without cold chain data", "Courier informed; logger now required by contract"),
)


def _deviation(world: World, day: date) -> None:
    """A deviation, its corrective action, and the approval by somebody else."""
    lab = world.lab
    finder, owner = world.random.choice(lab.with_role("analyst")), lab.with_role("qa_lead")[0]
    title, remedy = world.random.choice(_DEVIATIONS)
    number = f"{day:%y%m%d}-{world.random.randint(10, 99)}"
    deviation, capa = ("compliance_event", f"DEV-{number}"), ("compliance_event", f"CAPA-{number}")

    def open_it() -> None:
        new: State = {"kind": "deviation", "title": title, "severity": world.random.choice(("minor", "minor", "major"))}
        new |= {"status": "open", "owner": finder.id, "actions": []}
        batches = [entity for entity in world.states if entity[0] == "batch"]
        related = [world.random.choice(batches[-6:])] if batches else []
        world.act(finder, "create", deviation, name=title, new=new, related=related)

    def correct() -> None:
        new = {"kind": "capa", "title": remedy, "status": "planned", "due": str(day + timedelta(days=30))}
        world.act(owner, "create", capa, name=remedy, new=new, related=[deviation])
        world.act(owner, "update", deviation, change={"status": "in correction", "actions": [capa[1]]})

    def close() -> None:
        manager = lab.with_role("lab_manager")[0]
        world.act(finder, "update", capa, change={"status": "done"})
        world.now += timedelta(minutes=world.random.uniform(20, 90))
        world.act(manager, "approve", capa, change={"status": "effective"}, reason="Effect shown over three runs")
        world.act(
            owner, "approve", deviation, change={"status": "closed"}, reason="Cause removed, no impact on results"
        )

    world.later(world.at(day, world.work_hour()), open_it)
    world.later(world.at(world.workday_after(day, 2), world.work_hour()), correct)
    world.later(world.at(world.workday_after(day, world.random.randint(8, 20)), world.work_hour()), close)


def _housekeeping(world: World, day: date) -> None:
    """Once a month: a setting, a role, a new version of a protocol, a new key's expiry."""
    lab = world.lab
    admin, manager = lab.with_role("administrator")[0], lab.with_role("lab_manager")[0]
    author, reviewer = world.random.choice(lab.with_role("analyst")), lab.with_role("reviewer")[-1]
    workflow = lab.workflows[day.month % len(lab.workflows)]
    protocol = ("protocol", workflow.protocol)

    def settings() -> None:
        minutes = 15 + 5 * (day.month % 4)
        change = {"session_minutes": minutes}
        world.act(
            admin, "update", ("organization", lab.id), change=change, reason=f"Session limit of {minutes} minutes",
            request=("PATCH", "/v1/organization"),
        )  # fmt: skip
        extra = ["reviewer"] if day.month % 2 else []
        analyst = lab.with_role("analyst")[-1]
        world.act(
            admin, "update", ("member", analyst.id), change={"roles": ["analyst", *extra]},
            reason="Holiday cover for review" if extra else "End of holiday cover",
        )  # fmt: skip

    def revise() -> None:
        state = world.state(protocol) or {}
        steps = list(state.get("steps", []))
        steps[day.month % len(steps)] += f" (rev. {state['version'] + 1})"
        change = {"version": state["version"] + 1, "status": "draft", "steps": steps}
        world.act(author, "update", protocol, change=change, reason="Yearly review", request=("PUT", "/v1/protocols"))

    world.later(world.at(day, world.work_hour(9, 11)), settings)
    world.later(world.at(day, world.work_hour(13, 16)), revise)
    effective = {"status": "effective"}
    for days, person in ((1, reviewer), (2, manager)):
        world.later(
            world.at(world.workday_after(day, days), world.work_hour()),
            lambda person=person: world.act(  # type: ignore[misc]
                person, "approve", protocol, change=effective, reason="Change is clear and complete"
            ),
        )
