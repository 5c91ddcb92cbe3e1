"""What FlaskTrack says of itself, it alone can say, and it believes nobody else's word."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from flasktrack.insight.attention import thresholds
from flasktrack.store import own_acts, profile
from flasktrack.store.profile import SETTING, change_profile, read_profile
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, event, record


def test_each_setting_of_flasktracks_own_is_reserved() -> None:
    assert {profile.SETTING, thresholds.SETTING} == own_acts.SETTINGS


def test_a_record_that_came_through_a_key_neither_sets_nor_hides_a_setting(lab: Engine) -> None:
    scope = machine_scope(NORTHWIND)
    found = read_profile(lab, scope)
    change_profile(lab, scope, found, replace(found.profile, views_gathered_minutes=5), reason="SOP-4")
    forged = event(1, entity_type="organization_setting", entity_id=SETTING, after={}, credential_id="ftk_0")
    record(lab, forged)
    found = read_profile(lab, scope)
    assert (found.profile.views_gathered_minutes, found.problem) == (5, None)
    change_profile(lab, scope, found, replace(found.profile, views_gathered_minutes=6), reason="SOP-4")
    assert read_profile(lab, scope).profile.views_gathered_minutes == 6
