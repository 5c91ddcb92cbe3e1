"""What is planted for a reviewer to find; docs/sample-lab.md says where, and a test keeps the two in step."""

from __future__ import annotations

from datetime import date, timedelta

from flasktrack.demo.world import World

FIRST, SECOND = "alpenrand-bioanalytik", "cascade-assays"
DELETED_IN_BULK = 34
DENIED_SIGN_INS = 7
LATE_ENTRIES = 5


def plant(world: World) -> None:
    """Schedule the planted acts of one organization."""
    if world.lab.id == FIRST:
        world.later(world.at(_workday(world, 58), 15.2), lambda: _self_approval(world))
        world.later(world.at(_workday(world, 41), 16.9), lambda: _bulk_deletion(world))
        world.later(world.at(_workday(world, 30), 11.1), lambda: _unrecorded_change(world))
        world.later(world.at(_workday(world, 23), 9.4), lambda: _late_entries(world))
    else:
        world.later(world.at(_workday(world, 17), 3.15), lambda: _at_three_in_the_morning(world))
        world.later(world.at(_workday(world, 12), 6.4), lambda: _denied_sign_ins(world))
        world.later(world.at(_workday(world, 9), 14.6), lambda: _deletions_without_reason(world))


def _workday(world: World, days_before_the_end: int) -> date:
    day = world.until - timedelta(days=days_before_the_end)
    while not world.is_workday(day):
        day -= timedelta(days=1)
    return day


def _samples(world: World, *statuses: str) -> list[tuple[str, str]]:
    """Samples in one of the statuses, the oldest first."""
    return [e for e, state in world.states.items() if e[0] == "sample" and state["status"] in statuses]


def _bulk_deletion(world: World) -> None:
    """One analyst deletes 34 released samples within two minutes."""
    person = world.lab.with_role("analyst")[2]
    operation = world.new_id("op")
    for sample in _samples(world, "approved")[-DELETED_IN_BULK:]:
        world.now += timedelta(seconds=3)
        world.act(
            person, "delete", sample, gone=True, reason="cleanup", correlation=operation,
            request=("DELETE", f"/v1/samples/{sample[1]}"),
        )  # fmt: skip


def _late_entries(world: World) -> None:
    """Volumes of five samples, measured more than a week before they were written down."""
    person = world.lab.with_role("analyst")[1]
    for place, sample in enumerate(_samples(world, "approved")[-LATE_ENTRIES:]):
        state = world.states[sample]
        world.act(
            person, "update", sample, change={"volume_ml": round(state["volume_ml"] - 0.05, 2)},
            occurred_at=world.now - timedelta(days=9 + 2 * place, hours=place), reason="Entered from paper worksheet",
            request=("PATCH", f"/v1/samples/{sample[1]}"),
        )  # fmt: skip
        world.now += timedelta(minutes=2)


def _unrecorded_change(world: World) -> None:
    """A result was changed past the application; the next recorded act of the sample shows it as its `before`."""
    reviewer = world.lab.with_role("reviewer")[0]
    sample = _samples(world, "approved", "rejected")[-1]
    state = world.states[sample]
    result = {**state["result"], "value": round(state["result"]["value"] * 0.71, 3)}
    world.states[sample] = {**state, "result": result}
    world.act(
        reviewer, "update", sample, change={"labels": [*state["labels"], "reported"]}, reason="Report issued",
        request=("PATCH", f"/v1/samples/{sample[1]}"),
    )  # fmt: skip


def _self_approval(world: World) -> None:
    """Somebody who may write and review approves the protocol version that they wrote themselves."""
    workflow = world.lab.workflows[0]
    author = world.lab.with_role("reviewer")[1]
    protocol = ("protocol", workflow.protocol)
    state = world.states[protocol]
    change = {"version": state["version"] + 1, "status": "draft", "limit": round(workflow.limit * 1.25, 3)}
    change["approvals"] = []
    world.act(author, "update", protocol, change=change, reason="Limit widened", request=("PUT", "/v1/protocols"))
    world.now += timedelta(minutes=4)
    approval = {"by": author.name, "role": author.role, "meaning": "Approved", "on": str(world.today())}
    world.act(
        author, "approve", protocol, change={"status": "effective", "approvals": [approval]}, reason="Approved",
        request=("POST", f"/v1/protocols/{workflow.protocol}/approve"),
    )  # fmt: skip


def _at_three_in_the_morning(world: World) -> None:
    """A person changes results long before anybody comes to work."""
    person = world.lab.with_role("analyst")[0]
    world.sessions[person.id] = world.new_id("ses")
    world.act(person, "sign_in", ("session", person.id), request=("POST", "/login"))
    for sample in _samples(world, "measured", "approved", "rejected")[-4:]:
        world.now += timedelta(minutes=3)
        result = dict(world.states[sample]["result"])
        result["value"] = round(result["value"] * 0.94, 3)
        world.act(
            person, "update", sample, change={"result": result}, reason="Reintegrated",
            request=("PUT", f"/v1/results/{sample[1]}"),
        )  # fmt: skip
    world.act(person, "sign_out", ("session", person.id), request=("POST", "/logout"))
    del world.sessions[person.id]


def _denied_sign_ins(world: World) -> None:
    """Sign-ins refused in series from an address outside the lab, then one that succeeds."""
    person = world.lab.with_role("lab_manager")[0]
    for _ in range(DENIED_SIGN_INS):
        world.act(
            person, "sign_in", ("session", person.id), outcome="denied", reason="Wrong password",
            request=("POST", "/login"), ip="203.0.113.77",
        )  # fmt: skip
        world.now += timedelta(seconds=11)
    world.sessions[person.id] = world.new_id("ses")
    world.act(person, "sign_in", ("session", person.id), request=("POST", "/login"), ip="203.0.113.77")
    del world.sessions[person.id]


def _deletions_without_reason(world: World) -> None:
    """Three raw data files deleted, though the organization asks for a reason."""
    person = world.lab.with_role("analyst")[2]
    files = [entity for entity in world.states if entity[0] == "file" and entity[1].endswith(".raw")]
    for file in files[-3:]:
        world.act(person, "delete", file, gone=True, request=("DELETE", f"/v1/files/{file[1]}"))
        world.now += timedelta(seconds=40)
