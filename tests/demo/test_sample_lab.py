"""The sample lab is deterministic, human where people act, whole, and holds what docs/sample-lab.md says is planted."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func

from flasktrack.demo import load_sample_lab, make_tampered_copy
from flasktrack.demo.lab import Lab, read_labs
from flasktrack.demo.plant import DELETED_IN_BULK, DENIED_SIGN_INS, FIRST, LATE_ENTRIES
from flasktrack.demo.simulate import simulate
from flasktrack.demo.world import Act
from flasktrack.errors import DatabaseError
from flasktrack.settings import HOME
from flasktrack.store.engine import open_engine
from flasktrack.store.organizations import list_organizations
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.runner import verify_organization
from tests.conftest import PAST_DAY

LABS = read_labs()


@pytest.fixture(scope="module")
def half_years() -> dict[str, list[Act]]:
    return {lab.id: simulate(lab, PAST_DAY) for lab in LABS}


def test_the_same_last_day_gives_the_same_acts(half_years: dict[str, list[Act]]) -> None:
    assert simulate(LABS[0], PAST_DAY) == half_years[LABS[0].id]


def test_there_are_about_25_000_records_in_two_time_zones(half_years: dict[str, list[Act]]) -> None:
    assert 22_000 <= sum(map(len, half_years.values())) <= 30_000
    assert len({str(lab.zone) for lab in LABS}) == 2


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
def test_people_work_by_day_and_machines_around_the_clock(lab: Lab, half_years: dict[str, list[Act]]) -> None:
    local = [
        (act.event.actor_type, act.event.occurred_at.astimezone(lab.zone))
        for act in half_years[lab.id]
        if act.recorded_at - act.event.occurred_at < timedelta(hours=1)
    ]
    people = [moment for kind, moment in local if kind == "user"]
    by_day = [moment for moment in people if 6 <= moment.hour < 20 and moment.weekday() < 5]
    assert len(by_day) / len(people) > 0.98
    assert {moment.hour for kind, moment in local if kind != "user"} == set(range(24))


def test_every_before_is_the_last_after_but_for_the_planted_change(half_years: dict[str, list[Act]]) -> None:
    gaps = []
    for name, acts in half_years.items():
        states: dict[tuple[str, str], object] = {}
        for act in acts:
            entity = (act.event.entity_type, act.event.entity_id)
            if act.event.before is not None and states.get(entity, act.event.before) != act.event.before:
                gaps.append(name)
            if act.event.after is not None:
                states[entity] = act.event.after
    assert gaps == [FIRST]


def test_related_entities_were_recorded_before(half_years: dict[str, list[Act]]) -> None:
    for acts in half_years.values():
        seen: set[tuple[str, str]] = set()
        for act in acts:
            assert set(act.event.related) <= seen
            seen.add((act.event.entity_type, act.event.entity_id))


def test_people_act_in_a_session_that_they_signed_in_to(half_years: dict[str, list[Act]]) -> None:
    for acts in half_years.values():
        opened = set()
        for event in (act.event for act in acts if act.event.actor_type == "user"):
            if event.action == "sign_in" and event.outcome == "success":
                opened.add((event.actor_id, event.context["session"]))
            elif event.action != "sign_in":
                assert (event.actor_id, event.context["session"]) in opened


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.id)
def test_everybody_takes_leave_and_nobody_works_on_holidays(lab: Lab, half_years: dict[str, list[Act]]) -> None:
    days: dict[str, set[date]] = {person.id: set() for person in lab.people}
    for act in half_years[lab.id]:
        if act.event.actor_type == "user" and act.event.action == "sign_out":
            days[act.event.actor_id].add(act.recorded_at.astimezone(lab.zone).date())
    everybody = set().union(*days.values())
    assert not {day for day in everybody if (day.month, day.day) in lab.holidays}
    monday = PAST_DAY - timedelta(weeks=25, days=PAST_DAY.weekday())
    weeks = [{monday + timedelta(weeks=week, days=day) for day in range(5)} for week in range(24)]
    for person in lab.people:
        assert sum(not (week & days[person.id]) for week in weeks) >= 2


def test_only_the_planted_approval_is_by_whoever_wrote_it(half_years: dict[str, list[Act]]) -> None:
    alone = []
    for acts in half_years.values():
        author: dict[str, str] = {}
        for event in (act.event for act in acts):
            if event.entity_type == "protocol" and event.action in ("create", "update"):
                author[event.entity_id] = event.actor_id
            elif event.entity_type == "protocol" and author[event.entity_id] == event.actor_id:
                alone.append((event.actor_id, event.entity_id))
    assert alone == [("u-17", "SOP-114")]


def test_a_rejected_sample_leads_to_a_deviation(half_years: dict[str, list[Act]]) -> None:
    for acts in half_years.values():
        settled = acts[-1].recorded_at - timedelta(days=40)
        rejected = {a.event.entity_id for a in acts if a.event.action == "reject" and a.recorded_at < settled}
        reported = {
            entity_id for a in acts if a.event.entity_type == "compliance_event" and a.event.action == "create"
            for kind, entity_id in a.event.related if kind == "sample"
        }  # fmt: skip
        assert rejected
        assert rejected <= reported


def test_what_the_docs_list_is_planted(half_years: dict[str, list[Act]]) -> None:
    first, second = ([act.event for act in half_years[lab.id]] for lab in LABS)
    assert sum(e.action == "delete" and e.reason == "cleanup" for e in first) == DELETED_IN_BULK
    late = [a for a in half_years[FIRST] if a.recorded_at - a.event.occurred_at > timedelta(days=7)]
    assert len(late) == LATE_ENTRIES
    author = [e.actor_id for e in first if e.reason == "Limit widened"]
    assert author == [e.actor_id for e in first if e.entity_type == "protocol" and e.reason == "Approved"]
    night = [e.occurred_at.astimezone(LABS[1].zone).hour for e in second if e.reason == "Reintegrated"]
    assert night == [3, 3, 3, 3]
    assert sum(e.action == "sign_in" and e.outcome == "denied" for e in second) == DENIED_SIGN_INS
    silent = [e for e in second if e.action == "delete" and not e.reason]
    assert [e.entity_type for e in silent] == ["file"] * 3
    assert not [e for e in first if e.action == "delete" and not e.reason]
    page = (HOME / "docs" / "sample-lab.md").read_text(encoding="utf-8")
    planted_by = {e.actor_name for e in second if e.reason == "Reintegrated"} | {silent[0].actor_name}
    assert all(name in page for name in planted_by if name)


def test_it_verifies_with_one_warning(past_sample_lab: Engine) -> None:
    done = [
        verify_organization(past_sample_lab, org.id, started_by="system:test")
        for org in list_organizations(past_sample_lab)
    ]
    assert [verification.status for verification in done] == ["verified", "verified"]
    assert [finding.code for verification in done for finding in verification.findings] == ["state_gap"]


def test_recorded_times_are_the_simulated_ones(past_sample_lab: Engine, half_years: dict[str, list[Act]]) -> None:
    with past_sample_lab.connect() as connection:
        newest = connection.scalar(machine_scoped(FIRST, func.max(audit_record.c.recorded_at)))
    assert newest == half_years[FIRST][-1].recorded_at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def test_a_database_that_is_not_empty_is_left_alone(past_sample_lab: Engine) -> None:
    with pytest.raises(DatabaseError, match="not empty"):
        load_sample_lab(past_sample_lab, PAST_DAY)


def test_the_tampered_copy_is_broken_in_every_way_it_says_and_the_original_is_not(
    past_sample_lab: Engine, tmp_path: Path
) -> None:
    target = tmp_path / "tampered.db"
    changes = make_tampered_copy(past_sample_lab, target)
    engine = open_engine(f"sqlite:///{target}")
    found = verify_organization(engine, FIRST, started_by="system:test")
    engine.dispose()
    codes = {finding.code for finding in found.findings if finding.severity == "error"}
    assert codes == {
        "record_modified", "record_missing", "record_reordered", "payload_modified", "link_mismatch",
        "chain_broken", "head_mismatch",
    }  # fmt: skip
    assert len(changes) == len(codes)
    assert verify_organization(past_sample_lab, FIRST, started_by="system:test").status == "verified"
