"""An organization's profile: each change is a record, and whoever changes it past that is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.errors import FlaskTrackError, InvalidOrganization, SettingRefused
from flasktrack.store.organizations import get_organization
from flasktrack.store.profile import Profile, change_profile, read_profile
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, everything, somebody, stored, tamper

WHO = somebody("user:anna")


def change(lab: Engine, reason: str = "We moved", **changes: Any) -> None:
    found = read_profile(lab, WHO)
    change_profile(lab, WHO, found, replace(found.profile, **changes), reason=reason)


def test_a_change_is_a_record_and_counts_everywhere(lab: Engine) -> None:
    assert read_profile(lab, WHO) == (Profile(NORTHWIND, "UTC"), 0, None)
    change(lab, name="Northwind", time_zone="Europe/Zurich", exports_kept_days=3)
    found = read_profile(lab, machine_scope(NORTHWIND))
    assert found == (Profile("Northwind", "Europe/Zurich", exports_kept_days=3), 1, None)
    row = get_organization(lab, NORTHWIND)
    assert (row.name, row.time_zone) == ("Northwind", "Europe/Zurich")
    (told,) = stored(lab)
    assert (told.record.actor_id, told.record.reason, told.record.entity_id) == ("anna", "We moved", "profile")
    assert told.before is not None
    assert orjson.loads(told.before.body)["time_zone"] == "UTC"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a\x00"},
        {"time_zone": "Mars/Olympus"},
        {"exports_kept_days": 0},
        {"views_gathered_minutes": 1.5},
        {"record_views": "yes"},
        {"reason": " ", "name": "Northwind"},
        {},
    ],
)
def test_what_is_refused_leaves_nothing(lab: Engine, changes: dict[str, Any]) -> None:
    before = everything(lab)
    with pytest.raises((SettingRefused, InvalidOrganization)):
        change(lab, **changes)
    assert everything(lab) == before


def test_who_saw_an_older_profile_changes_nothing(lab: Engine) -> None:
    seen = read_profile(lab, WHO)
    change(lab, name="Northwind")
    before = everything(lab)
    with pytest.raises(SettingRefused, match="meanwhile"):
        change_profile(lab, WHO, seen, replace(seen.profile, time_zone="Europe/Zurich"), reason="We moved")
    assert everything(lab) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organization SET time_zone = 'Asia/Tokyo'",
        "UPDATE organization SET name = 'Southwind'",
        "UPDATE organization_setting SET value = '{}'",
    ],
)
def test_a_profile_that_was_changed_past_its_record_says_so(lab: Engine, statement: str) -> None:
    change(lab, name="Northwind", record_views=False)
    tamper(lab, statement)
    found = read_profile(lab, WHO)
    assert found.problem is not None
    assert "changed past FlaskTrack" in found.problem
    try:
        change(lab, name="Northwind", time_zone="Europe/Berlin", reason="Set anew")
    except FlaskTrackError as problem:
        pytest.fail(str(problem))
    assert read_profile(lab, WHO).problem is None
