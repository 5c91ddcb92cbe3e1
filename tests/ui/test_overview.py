"""Overview: its figures are counts of records, and a click on any of them shows exactly these records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flasktrack.insight.copy_place import open_copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.questions import Questions
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.ui.registry import PAGES
from tests.adversary import alter_record
from tests.ui.app import App, OpenApp
from tests.ui.nasty import NASTY

HERE, BERLIN = "alpenrand-bioanalytik", ZoneInfo("Europe/Berlin")


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, machine_scope(HERE))
    engine.dispose()


def selected(app: App, ledger: Ledger) -> int:
    """How many records the app's address selects, counted apart from the app."""
    return ledger.count(*RecordFilter.from_params(app.params).conditions())


def asked(ledger: Ledger) -> Questions:
    """Questions to a copy apart from the app's."""
    copy = open_copy(ledger.engine, "duckdb:///:memory:")
    copy.take_in(HERE)
    return Questions(copy, machine_scope(HERE))


def figure_button(app: App, words: str) -> str:
    return next(label for label in app.buttons if words in label)


@pytest.mark.parametrize(("words", "figure"), [("people", "people"), ("machines", "machines")])
def test_a_figure_leads_to_its_records(
    words: str, figure: str, open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    totals = asked(ledger).totals(RecordFilter())
    app = open_app(lab_url, org=HERE)
    label = figure_button(app, words)
    assert f"{getattr(totals, figure):,}" in label
    app.click(label)
    assert app.params["actor_type"] == (
        ["user"] if words == "people" else ["api_key", "service_account", "automation", "system"]
    )
    assert app.counted == selected(app, ledger)


def test_what_failed_or_was_denied_leads_to_its_records(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    app = open_app(lab_url, org=HERE)
    label = figure_button(app, "failed or denied")
    app.click(label)
    assert app.params == {"org": [HERE], "outcome": ["failure", "denied"]}
    assert f"{selected(app, ledger):,}" in label
    assert set(app.table("records_")["outcome"]) <= {"failure", "denied"}


def test_the_entities_figure_lists_them_with_the_filter(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, org=HERE, action="delete")
    app.click(figure_button(app, "entities touched"))
    assert app.page == "entities"
    assert app.params == {"org": [HERE], "action": ["delete"]}


def test_a_figure_of_nothing_leads_nowhere(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, org=HERE, actor_type="user", outcome="success")
    assert app.button(figure_button(app, "failed or denied")).disabled


@pytest.mark.parametrize(
    ("key", "parameter"), [("actors", "actor"), ("action", "action"), ("entity_type", "entity_type")]
)
def test_a_bar_of_a_ranking_leads_to_its_records(
    key: str, parameter: str, open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, org=HERE, outcome="success")
    bars = app.figure(key)["data"][0]
    for place in (0, 2):
        app = open_app(lab_url, org=HERE, outcome="success")
        app.click_point(key, bars["customdata"][place])
        assert app.params == {"org": [HERE], "outcome": ["success"], parameter: bars["customdata"][place]}
        assert selected(app, ledger) == app.counted == bars["x"][place]


@pytest.mark.parametrize(
    ("days", "actor_type"),
    [(None, []), (2, []), (30.4, ["api_key", "user"])],
    ids=["days", "hours", "two types, from within a day"],
)
def test_every_bar_over_time_counts_what_a_click_on_it_selects(
    days: float | None, actor_type: list[str], open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    last = asked(ledger).totals(RecordFilter()).last_occurred
    assert last is not None
    given = {"actor_type": actor_type} if days is None else {
        "actor_type": actor_type, "from": [(last - timedelta(days=days)).isoformat()],
    }  # fmt: skip
    app = open_app(lab_url, org=HERE, **given)
    drawn = app.figure("over_time")["data"]
    assert sum(sum(trace["y"]) for trace in drawn) == selected(app, ledger)
    for trace in drawn:
        for place in (0, len(trace["y"]) // 2):
            app.go("overview", org=HERE, **given)
            app.click_point("over_time", trace["customdata"][place])
            assert selected(app, ledger) == trace["y"][place]
            assert app.errors == []


def test_after_a_click_the_old_selection_does_not_act_again(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, org=HERE)
    app.click_point("action", ["delete"])
    app.click("Clear")
    app.run()
    assert app.params == {"org": [HERE]}


def test_the_first_line_says_what_happened_lately_and_whether_the_chain_is_intact(
    open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    last = asked(ledger).totals(RecordFilter()).last_occurred
    assert last is not None
    midnight = last.astimezone(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0)
    week = RecordFilter(occurred_from=midnight - timedelta(days=6), occurred_to=midnight + timedelta(days=1))
    former = RecordFilter(occurred_from=midnight - timedelta(days=13), occurred_to=midnight - timedelta(days=6))
    now, before = (ledger.count(*chosen.conditions()) for chosen in (week, former))
    line = next(line for line in open_app(lab_url, org=HERE).text.splitlines() if "acted" in line)
    assert f"acted {ledger.count():,} times, {now:,} of them in the " in line
    assert f"({now / before - 1:+.0%} against the 7 days before)" in line
    assert line.endswith("The recorded history is intact.")


def test_a_broken_chain_is_said_in_the_first_line(open_app: OpenApp, tampered_url: str) -> None:
    texts = [open_app(tampered_url, org=org).text for org in (HERE, "cascade-assays")]
    assert any("The recorded history is not intact" in text for text in texts)


@pytest.mark.parametrize("given", [{}, {"from": "2026-10-01", "to": "2026-10-11", "outcome": "success"}], ids=str)
def test_every_change_against_the_period_before_leads_to_its_records(
    given: dict[str, str], open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, org=HERE, **given)
    lines = app.table("changes")
    assert any(lines["what"] == "Failed or denied") == ("outcome" not in given)
    for row, (what, now, before) in enumerate(zip(lines["what"], lines["now"], lines["before"], strict=True)):
        if not now or "acted" in what:
            continue
        app.go("overview", org=HERE, **given)
        app.click_cell("changes", row, "what")
        chosen = RecordFilter.from_params(app.params)
        if what == "Entities touched":
            found = {(r.record.entity_type, r.record.entity_id) for r in ledger.stream(*chosen.conditions())}
            assert len(found) == now
        else:
            assert ledger.count(*chosen.conditions()) == now, what
        assert chosen.occurred_from is not None
        assert chosen.occurred_to is not None
        length = chosen.occurred_to - chosen.occurred_from
        earlier = replace(chosen, occurred_from=chosen.occurred_from - length, occurred_to=chosen.occurred_from)
        if what != "Entities touched":
            assert ledger.count(*earlier.conditions()) == before, what


def test_behind_a_figure_there_is_a_table_whose_rows_lead_where_its_points_do(
    open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    app = open_app(lab_url, org=HERE, table=["actions", "over_time"])
    assert not app.has_figure("action")
    numbers = app.table("numbers_actions")
    app.click_cell("numbers_actions", 1, "Records")
    assert app.params["action"] == [numbers["Most frequent actions"][1]]
    assert app.params["table"] == ["actions", "over_time"]
    assert selected(app, ledger) == numbers["Records"][1]
    over_time = app.table("numbers_over_time")
    assert over_time["Records"].sum() == selected(app, ledger)
    app.click_cell("numbers_over_time", 3, "Records")
    assert selected(app, ledger) == over_time["Records"][3]


def test_nothing_selected_is_said_with_a_way_out(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, action="levitate")
    assert "No record meets the filter" in app.text
    assert not app.has_figure("over_time")
    app.click("Clear")
    assert app.has_figure("over_time")


def test_a_bar_with_any_name_can_be_clicked(open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url)
    bars: dict[str, Any] = app.figure("actors")["data"][0]
    assert "<b>" not in str(bars["hovertext"])
    app.click_point("actors", bars["customdata"][0])
    assert app.params["actor"] == bars["customdata"][0]
    assert NASTY in app.params["actor"][0]
    assert app.counted == bars["x"][0]


@pytest.mark.parametrize("page", ["overview", "actors", "records", "entities"])
def test_a_record_whose_time_was_made_none_is_counted_and_shown(
    page: str, open_app: OpenApp, sample_lab_url: str
) -> None:
    engine = open_engine(sample_lab_url)
    alter_record(engine, HERE, 4000, occurred_at="last tuesday")
    engine.dispose()
    app = open_app(sample_lab_url, page, org=HERE, seq="4000")
    assert app.errors == []
    assert app.headers == [PAGES[page].title]
    if page != "entities":
        assert app.counted == 1
        assert list(app.table("records_")["time"]) == ["last tuesday"]
        assert "record_modified" in app.table("records_")["check"][0]
