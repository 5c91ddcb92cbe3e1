"""Events are what the published OCSF schema of the stated version says, whatever a record holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from sqlalchemy import Engine

from flasktrack.export.ocsf import ACTIVITIES, CLASS_UID, VERSION, ocsf_event
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests import adversary
from tests.export.samples import export_as
from tests.insight.lab import HERE, ROWS
from tests.store.samples import NORTHWIND, event, organizations, record

SCHEMA = get_ocsf_schema(version=VERSION)
NAME = "entity_management"


@cache
def validator() -> Draft202012Validator:
    embedded = OcsfJsonSchemaEmbedded(SCHEMA)
    assert embedded.lookup_class_name_from_uid(CLASS_UID) == NAME
    return Draft202012Validator(embedded.get_class_schema(NAME, profiles=["datetime"]))


def problems(found: Any) -> list[str]:
    return [f"{list(problem.path)}: {problem.message}" for problem in validator().iter_errors(found)]


def events(engine: Engine, path: Path) -> list[dict[str, Any]]:
    export_as("ocsf", engine, path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_validator_finds_what_is_wrong(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, event(1))
    found = ocsf_event(next(Ledger(sqlite_engine, machine_scope(NORTHWIND)).stream()))
    found = json.loads(json.dumps(found, default=str))
    assert problems(found) == []
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda one: one.pop("time"),
        lambda one: one.update(activity_id=77),
        lambda one: one.update(invented=1),
        lambda one: one["metadata"].pop("product"),
        lambda one: one["actor"]["user"].update(uid=7),
    ]
    for change in changes:
        wrong = json.loads(json.dumps(found))
        change(wrong)
        assert problems(wrong)


def test_every_record_of_a_lab_is_an_event_of_the_published_schema(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    rows = ROWS[HERE]
    record(sqlite_engine, *(row.event for row in rows))
    record(
        sqlite_engine,
        event(999, context={"ip": "10.1.2.3", "user_agent": "curl/8", "method": "POST", "deep": [{"a": None}]}),
        event(1000, context={"ip": "not an address", "user_agent": 7}, before=1, after=[1], reason=""),
        event(1001, context="text", action="archive", outcome="denied"),
    )
    found = events(sqlite_engine, tmp_path / "all.jsonl")
    assert [one["metadata"]["sequence"] for one in found] == list(range(1, len(rows) + 4))
    assert [problem for one in found for problem in problems(one)] == []
    assert found[-3]["src_endpoint"] == {"ip": "10.1.2.3"}
    assert found[-3]["http_request"] == {"user_agent": "curl/8", "http_method": "POST"}
    assert "src_endpoint" not in found[-2]
    assert (found[-2]["entity"]["data"], found[-2]["entity_result"]["data"]) == (1, [1])
    denied = found[-1]
    assert (denied["activity_id"], denied["activity_name"], denied["type_uid"]) == (99, "archive", 300499)
    assert (denied["status_id"], denied["status_detail"]) == (2, "denied")
    assert denied["metadata"]["version"] == VERSION
    assert {one["metadata"]["tenant_uid"] for one in found} == {NORTHWIND}


def test_what_was_altered_is_an_event_too_and_is_said_to_be(sqlite_engine: Engine, tmp_path: Path) -> None:
    organizations(sqlite_engine)
    record(sqlite_engine, *(event(number, after={"x": 1}) for number in range(1, 9)))
    for seq, name in enumerate(("occurred_at", "actor_name", "entity_id", "action", "outcome", "related"), 2):
        adversary.run_sql(sqlite_engine, f"UPDATE audit_record SET {name} = x'ff41' WHERE seq = {seq}")
    adversary.run_sql(sqlite_engine, "UPDATE audit_payload SET after = 'no JSON' WHERE seq = 8")
    found = events(sqlite_engine, tmp_path / "all.jsonl")
    assert [problem for one in found for problem in problems(one)] == []
    assert [one["severity"] for one in found] == ["Informational", *["High"] * 7]
    assert found[7]["entity_result"]["data"] == "no JSON"
    assert all(one["unmapped"]["findings"] for one in found[1:])


@pytest.mark.parametrize(("action", "meant"), ACTIVITIES.items())
def test_activities_are_the_schemas(action: str, meant: tuple[int, str]) -> None:
    enum = SCHEMA["classes"][NAME]["attributes"]["activity_id"]["enum"]
    assert enum[str(meant[0])]["caption"] == meant[1]
