"""What happens in a lab: batches and their samples, protocols, compliance events, machines, people coming and going."""

from __future__ import annotations

import hashlib
import random
from datetime import date, timedelta

from flasktrack.demo.incidents import excursion, out_of_specification, schedule_incidents
from flasktrack.demo.lab import Actor, Workflow
from flasktrack.demo.phrases import DISPOSAL_REASONS, RELEASE_REASONS, specimen
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
        world.later(world.at(day, 23.9), world.sessions.clear)
        if world.is_workday(day):
            for person in world.lab.people:
                if world.works(person, day):
                    _presence(world, person, day)
            batches = world.lab.batches_per_day
            for _ in range(int(batches) + (world.random.random() < batches % 1)):
                number += 1
                Batch(world, number, day)
            _api_traffic(world, day)
            schedule_incidents(world, day)
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
                "limit": workflow.limit,
                "approvals": [],
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
    """Signing in in the morning and, mostly, out in the evening; everybody has their own habits."""
    habit = random.Random(f"{world.lab.id} {person.id}").uniform(7.1, 8.6)

    def sign_in() -> None:
        if person.id not in world.sessions:
            world.sign_in(person)

    def leave() -> None:
        if person.id in world.sessions and world.random.random() < 0.7:
            world.act(person, "sign_out", ("session", person.id), request=("POST", "/logout"))
        world.sessions.pop(person.id, None)  # who does not sign out is timed out

    world.later(world.at(day, world.random.gauss(habit, 0.2)), sign_in)
    world.later(world.at(day, world.random.gauss(habit + 9.4, 0.35)), leave)


class Batch:
    """A batch from its order to its release, over some days; its methods are the steps, in order."""

    def __init__(self, world: World, number: int, day: date) -> None:
        lab = world.lab
        self.world = world
        self.workflow = world.random.choice(lab.workflows)
        self.analyst = world.anyone("analyst", day)
        self.reviewer = world.random.choice(lab.with_role("reviewer"))
        self.lot = f"{world.random.randint(1, 420):03d}"
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
        new = {
            "client": self.client, "workflow": kind.id, "samples": len(self.samples), "status": "received",
            "order": f"PO-{world.random.randint(40_000, 89_999)}",
            "due": str(world.workday_after(world.today(), 8)),
            "transport": {"shipper": "dry ice", "logger_celsius": [-78.4, round(world.random.gauss(-74, 1.5), 1)]},
        }  # fmt: skip
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
                self.analyst, "create", sample, name=specimen(kind.material, self.lot, place), new=state,
                related=[self.entity, ("workflow", kind.id)], correlation=self.correlation,
                request=("POST", "/v1/samples"),
            )  # fmt: skip
        day = world.workday_of(self.analyst, world.today(), world.random.randint(0, 2))
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
                "aliquots": [{"tube": f"{sample[1]}-{letter}", "volume_ml": 0.12} for letter in "AB"],
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
            half = abs(world.random.gauss(0, 0.02)) * value  # half the difference between the duplicates
            replicates = [round(value - half, 3), round(value + half, 3)]
            result = {
                "analyte": kind.analyte, "value": round(sum(replicates) / 2, 3), "unit": kind.unit,
                "replicates": replicates, "run": self.run_entity[1],
            }  # fmt: skip
            world.act(
                instrument, "update", sample, change={"status": "measured", "result": result},
                on_behalf_of=self.analyst, correlation=correlation, request=("PUT", f"/v1/results/{sample[1]}"),
            )  # fmt: skip
        self._upload(instrument, correlation)
        done = {"status": "complete", "controls": {"low": "pass", "mid": "pass", "high": "pass"}}
        world.act(instrument, "update", self.run_entity, change=done, correlation=correlation)
        if world.random.random() < 0.03:  # four eyes: whoever measured a batch can't release it
            world.now += timedelta(minutes=world.random.uniform(5, 30))
            world.act(
                self.analyst, "approve", self.entity, outcome="denied",
                request=("POST", f"/v1/batches/{self.entity[1]}/release"),
            )  # fmt: skip
        day = world.workday_of(self.reviewer, world.today(), world.random.randint(1, 3))
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
        rejected: list[tuple[Entity, str]] = []
        for sample in self.samples:
            state = world.state(sample)
            if state is None or state["result"] is None:
                continue
            world.now += timedelta(seconds=world.random.randint(12, 75))
            value = state["result"]["value"]
            passed = value <= kind.limit
            reason = None if passed else f"{kind.analyte} {value} {kind.unit} above the limit of {kind.limit}"
            if reason is not None:
                rejected.append((sample, reason))
            world.act(
                self.reviewer, "approve" if passed else "reject", sample,
                change={"status": "approved" if passed else "rejected"}, reason=reason, correlation=correlation,
                request=("POST", f"/v1/samples/{sample[1]}/decision"),
            )  # fmt: skip
        released: State = {"status": "released", "excluded": [sample[1] for sample, _ in rejected]}
        world.act(
            self.reviewer, "approve", self.entity, change=released, correlation=correlation,
            reason=world.random.choice(RELEASE_REASONS), request=("POST", f"/v1/batches/{self.entity[1]}/release"),
        )  # fmt: skip
        self._certify(correlation)
        for sample, detail in rejected:
            out_of_specification(world, self.analyst, sample, detail)
        day = world.workday_after(world.today(), world.random.randint(25, 45))
        world.later(world.at(day, world.work_hour(13, 16.5)), self.dispose)

    def _certify(self, correlation: str) -> None:
        """The certificate for the client, whose portal fetches it within days, at any hour."""
        world = self.world
        name = f"COA-{self.entity[1]}.pdf"
        content = {
            "size": world.random.randint(90_000, 240_000), "media_type": "application/pdf",
            "sha256": hashlib.sha256(f"{world.lab.id}/{name}".encode()).hexdigest(), "signed_by": self.reviewer.name,
        }  # fmt: skip
        certificate = ("file", name)
        world.act(
            self.reviewer, "create", certificate, name=f"Certificate of analysis, {self.entity[1]}", new=content,
            related=[self.entity], correlation=correlation, request=("POST", "/v1/certificates"),
        )  # fmt: skip
        portal = world.lab.api_keys[-1]
        fetch = ("GET", f"/v1/files/{name}")
        world.soon(
            lambda: world.act(portal, "download", certificate, request=fetch), minutes=world.random.uniform(20, 3000)
        )

    def dispose(self) -> None:
        world = self.world
        correlation = world.new_id("op")
        person = world.anyone("analyst", world.today())
        reason = world.random.choices(DISPOSAL_REASONS, (8, 2, 1))[0]
        for sample in self.samples:
            if world.state(sample) is None or world.random.random() < 0.45:
                continue
            world.now += timedelta(seconds=world.random.randint(5, 25))
            world.act(
                person, "delete", sample, gone=True, reason=reason, correlation=correlation,
                request=("DELETE", f"/v1/samples/{sample[1]}"),
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
        if world.state(("freezer", freezer)) is not None and world.random.random() < 0.004:
            excursion(world, freezer, target)
            return
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
