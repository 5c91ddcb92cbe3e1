"""Attention: hits lead to exactly their records, a QA lead alone sets thresholds, and the address holds it all."""

from __future__ import annotations

import pytest

from flasktrack.access.roles import Role
from flasktrack.insight.attention.rules import RULES
from flasktrack.store.engine import open_engine
from flasktrack.store.organization_settings import read_setting
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.store.samples import tamper
from tests.ui.app import App, OpenApp
from tests.ui.nasty import NASTY

THERE = "cascade-assays"


def field(app: App, rule: str, threshold: str) -> object:
    """The widget in which a threshold is set."""
    kinds = ("number_input", "checkbox", "text_input", "multiselect")
    return next(w for kind in kinds for w in app.test.get(kind) if str(w.key).endswith(f"_{rule}_{threshold}"))


def settings_problem(url: str, organization: str) -> tuple[object, int]:
    engine = open_engine(url)
    found = read_setting(engine, machine_scope(organization), "attention")
    engine.dispose()
    return found.value, found.seq


def test_a_click_on_a_hit_shows_exactly_its_records_and_close_leaves_them(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "attention", org=THERE, days="90")
    table = app.table("hits_failed_series")
    app.click_cell("hits_failed_series", 0, "why")
    assert app.params["rule"] == ["failed_series"]
    assert app.params["actor"] == ["user:u-31"]
    assert app.counted == table["records"][0] == 7
    assert set(app.table("records_")["outcome"]) == {"denied"}
    reopened = open_app(lab_url, "attention", **app.params)
    assert reopened.counted == 7
    app.click("Close")
    assert app.params == {"org": [THERE], "days": ["90"]}


def test_a_hit_is_shown_with_its_reason_and_regulation(open_app: OpenApp, lab_url: str) -> None:
    said = open_app(lab_url, "attention", org=THERE, days="90").text
    for rule in ("failed_series", "no_reason", "off_hours", "first_address"):
        assert RULES[rule].title in said
        assert RULES[rule].why in said
        assert RULES[rule].citations[0].clause in said
    assert "§ 11.300(d)" in said
    assert "Nothing found: " in said


def test_a_severity_shows_its_hits_alone_and_all_again(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "attention", org=THERE, days="90")
    every = app.tables()
    label = next(label for label in app.buttons if label.endswith("** high"))
    app.click(label)
    assert app.params["severity"] == ["high"]
    assert {key.split("_cascade")[0] for key in app.tables()} == {"hits_failed_series", "hits_no_reason"}
    app.click(label)
    assert app.tables() == every


def test_the_overview_shows_the_gravest_and_leads_to_their_records(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, org=THERE)
    assert "Needs attention" in app.text
    link = next(link for link in app.links if "Grace Okonkwo were denied" in link)
    app.click_link(link)
    assert app.page == "attention"
    assert app.counted == 7


def test_the_period_is_one_of_recording(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "attention", org=THERE, days="7")
    assert "hits_failed_series" not in " ".join(app.tables())
    app.test.selectbox(key="attention_days").select("90").run()
    assert app.params["days"] == ["90"]
    assert "hits_failed_series" in " ".join(app.tables())
    other = open_app(lab_url, "attention", org=THERE, since="2020-01-01", until="2020-02-01")
    assert "Nothing was recorded in this period" in other.text


def test_a_qa_lead_sets_a_threshold_and_the_record_says_so(open_app: OpenApp, small_url: str) -> None:
    app = open_app(small_url, "attention", org="small-lab", view="rules", rule="late_entry")
    field(app, "late_entry", "hours").set_value(2)  # type: ignore[attr-defined]
    field(app, "late_entry", "reason").set_value("SOP-12")  # type: ignore[attr-defined]
    app.click("Change thresholds")
    assert "record 11 says so" in app.text
    assert field(app, "late_entry", "hours").value == 2  # type: ignore[attr-defined]
    assert "Set by record 11" in app.links
    value, seq = settings_problem(small_url, "small-lab")
    assert isinstance(value, dict)
    assert (value["late_entry"]["hours"], seq) == (2, 11)
    engine = open_engine(small_url)
    told = Ledger(engine, machine_scope("small-lab")).get(11)
    engine.dispose()
    assert told is not None
    assert (told.record.actor_id, told.record.reason) == ("demo-qa-lead", "SOP-12")


def test_without_a_reason_nothing_is_changed_and_it_is_said(open_app: OpenApp, small_url: str) -> None:
    app = open_app(small_url, "attention", org="small-lab", view="rules", rule="late_entry")
    field(app, "late_entry", "hours").set_value(2)  # type: ignore[attr-defined]
    app.click("Change thresholds")
    assert "Nothing was changed" in app.text
    assert "needs a reason" in app.text
    assert settings_problem(small_url, "small-lab") == (None, 0)


@pytest.mark.parametrize("role", [Role.LAB_MANAGER, Role.COMPLIANCE_REVIEWER])
def test_others_see_thresholds_and_can_not_change_them(role: Role, open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "attention", role=role, view="rules", rule="off_hours")
    assert "Work begins: 06:00" in app.text
    assert "Change thresholds" not in app.buttons
    assert list(app.table("rules_")["rule"]) == [rule.title for rule in RULES.values()]


def test_thresholds_that_were_altered_are_said_not_to_count(open_app: OpenApp, small_url: str) -> None:
    engine = open_engine(small_url)
    tamper(engine, "INSERT INTO organization_setting VALUES ('small-lab', 'attention', '{}', 3)")
    engine.dispose()
    app = open_app(small_url, "attention", org="small-lab")
    assert "changed past FlaskTrack" in app.errors[0]


def test_what_records_hold_stays_text(open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url, "attention", org="new-lab")
    assert any(NASTY[:50] in why for why in app.table("hits_state_gap")["why"])
    overview = open_app(nasty_url, org="new-lab")
    assert any(NASTY[:50] in link for link in overview.links)


@pytest.mark.parametrize("params", [{"rule": "no_such"}, {"days": "31"}, {"severity": "dire"}, {"since": "tomorrow"}])
def test_an_address_that_makes_no_sense_is_refused_in_a_sentence(
    params: dict[str, str], open_app: OpenApp, unfilled_url: str
) -> None:
    app = open_app(unfilled_url, "attention", **params)
    assert len(app.errors) == 1
