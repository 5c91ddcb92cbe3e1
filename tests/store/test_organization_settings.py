"""A setting and the record of its change are one; whoever changes one past the other is found out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.errors import InvalidRecord, SettingRefused
from flasktrack.store.engine import writing
from flasktrack.store.organization_settings import Setting, change_setting, read_setting
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import Permission, machine_scope
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, everything, organizations, somebody, tamper

DEFAULTS = {"hours": 24, "types": ["protocol"]}
WHO = somebody("user:u-17")


def change(
    lab: Engine, before: dict[str, Any], after: dict[str, Any], reason: str = "SOP-7", since: int | None = None
) -> int:
    since = read_setting(lab, machine_scope(NORTHWIND), "attention").seq if since is None else since
    with writing(lab) as connection:
        done = change_setting(
            connection, WHO, "attention", before, after, since=since, permission=Permission.SET_THRESHOLDS,
            reason=reason,
        )  # fmt: skip
    return done.seq


def test_a_change_is_a_record_with_before_after_reason_and_actor(lab: Engine) -> None:
    assert read_setting(lab, machine_scope(NORTHWIND), "attention") == Setting(None, 0)
    first = change(lab, DEFAULTS, DEFAULTS | {"hours": 12})
    second = change(lab, DEFAULTS | {"hours": 12}, DEFAULTS | {"hours": 6}, "  SOP-8 ")
    assert read_setting(lab, machine_scope(NORTHWIND), "attention") == Setting(DEFAULTS | {"hours": 6}, second)
    told = [Ledger(lab, machine_scope(NORTHWIND)).get(seq) for seq in (first, second)]
    sections = [
        (orjson.loads(one.before.body)["hours"], orjson.loads(one.after.body)["hours"])
        for one in told
        if one is not None and one.before is not None and one.after is not None
    ]
    assert sections == [(24, 12), (12, 6)]
    assert [(one.record.actor_id, one.record.reason) for one in told if one] == [("u-17", "SOP-7"), ("u-17", "SOP-8")]
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def test_settings_belong_to_one_organization_and_one_name(lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    change(lab, {}, {"hours": 1})
    assert read_setting(lab, machine_scope(SOUTHPORT), "attention") == Setting(None, 0)
    assert read_setting(lab, machine_scope(NORTHWIND), "retention") == Setting(None, 0)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (DEFAULTS, DEFAULTS, "no change"),
        (DEFAULTS, {"hours": 1}, " "),
        (DEFAULTS, {"hours": 1}, "meanwhile somebody set another"),
        ({"hours": 2}, {"hours": float("nan")}, "no number"),
    ],
)
def test_what_is_refused_leaves_nothing(
    lab: Engine, before: dict[str, Any], after: dict[str, Any], reason: str
) -> None:
    change(lab, DEFAULTS, {"hours": 2})
    stored = everything(lab)
    with pytest.raises((SettingRefused, InvalidRecord)):
        change(lab, before, after, reason, since=0 if "meanwhile" in reason else None)
    assert everything(lab) == stored


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organization_setting SET value = '{\"hours\":999}'",
        "UPDATE organization_setting SET seq = 1",
        "DELETE FROM organization_setting",
        "UPDATE audit_payload SET after = '{\"hours\":4}' WHERE seq = 2",
    ],
)
def test_a_setting_that_was_changed_past_its_record_is_not_relied_on(lab: Engine, statement: str) -> None:
    change(lab, DEFAULTS, {"hours": 2})
    change(lab, {"hours": 2}, {"hours": 3})
    tamper(lab, statement)
    found = read_setting(lab, machine_scope(NORTHWIND), "attention")
    assert found.value is None
    assert found.problem is not None
    assert "changed past FlaskTrack" in found.problem
    change(lab, DEFAULTS, {"hours": 5})
    assert read_setting(lab, machine_scope(NORTHWIND), "attention") == Setting({"hours": 5}, 3)


def test_a_setting_without_any_record_is_not_relied_on(lab: Engine) -> None:
    tamper(lab, f"INSERT INTO organization_setting VALUES ('{NORTHWIND}', 'attention', '{{}}', 1)")
    assert read_setting(lab, machine_scope(NORTHWIND), "attention").problem is not None
