"""Records: a page at a time, one in full with what is wrong with it, and text from records is never markup."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from flasktrack.core.header import header_hash, record_header
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification
from flasktrack.ui.record_table import PAGE_RECORDS, record_frame
from flasktrack.ui.text import literal
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS
from tests.ui.app import App, OpenApp
from tests.ui.nasty import NASTY

HERE = "alpenrand-bioanalytik"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def ledger(lab_url: str) -> Iterator[Ledger]:
    engine = open_engine(lab_url)
    yield Ledger(engine, machine_scope(HERE))
    engine.dispose()


@pytest.fixture
def altered(tampered_url: str) -> Iterator[Ledger]:
    engine = open_engine(tampered_url)
    yield Ledger(engine, machine_scope(HERE))
    engine.dispose()


def positions(app: App) -> list[int]:
    return [int(seq) for seq in app.table("records_")["seq"]]


# Pages of records


def test_pages_follow_each_other_without_a_gap_or_a_repetition(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    chosen = RecordFilter(actions=("sign_in",))
    wanted = [found.record.seq for found in ledger.stream(*chosen.conditions(), descending=True)]
    assert len(wanted) > 2 * PAGE_RECORDS
    app = open_app(lab_url, "records", org=HERE, action="sign_in")
    seen = [positions(app)]
    assert f"1 to {PAGE_RECORDS:,} of {len(wanted):,} records" in app.text
    assert {"Newest", "Newer"}.isdisjoint(app.buttons)
    while "Older" in app.buttons:
        app.click("Older")
        seen.append(positions(app))
        assert f"{sum(map(len, seen[:-1])) + 1:,} to {sum(map(len, seen)):,} of {len(wanted):,} records" in app.text
    assert [seq for page in seen for seq in page] == wanted
    for page in reversed(seen[:-1]):
        app.click("Newer")
        assert positions(app) == page
    assert "before" not in app.params  # back where records are the newest
    app.click("Older")
    app.click("Older")
    app.click("Newest")
    assert positions(app) == seen[0]
    assert app.params == {"org": [HERE], "action": ["sign_in"]}


def test_a_page_has_at_most_a_thousand_rows(open_app: OpenApp, lab_url: str) -> None:
    assert len(open_app(lab_url, "records").table("records_")) == PAGE_RECORDS <= 1000


def test_a_place_below_the_first_record_leads_back(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", before="1")
    assert "no such records at lower positions" in app.text
    app.click("Newest")
    assert max(positions(app)) > PAGE_RECORDS


def test_the_last_position_of_a_filter_can_be_a_pages_first(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", seq="100-200", before="201")
    assert positions(app) == list(range(200, 99, -1))
    assert app.errors == []


def test_a_table_shows_times_in_the_organizations_zone(ledger: Ledger) -> None:
    checked = ledger.get(5000)
    assert checked is not None
    (row,) = record_frame([checked], BERLIN).to_dict("records")
    occurred = checked.record.occurred_at
    assert row["time"] != occurred
    assert row["time"][13:16] == occurred[13:16]  # minutes are the same
    assert row["check"] == "✓"


def test_what_was_recorded_late_says_by_how_much(ledger: Ledger) -> None:
    """Five volumes from a paper worksheet, written down more than a week later (docs/sample-lab.md)."""
    chosen = RecordFilter(text="paper worksheet").conditions()
    late = record_frame(list(ledger.stream(*chosen)), BERLIN)["delay"]
    assert list(late) == ["+9 d", "+11 d", "+13 d", "+15 d", "+17 d"]
    assert set(record_frame(list(ledger.stream(first=1, last=200)), BERLIN)["delay"]) == {""}


def test_a_table_says_actors_and_entities_in_words(ledger: Ledger) -> None:
    found = list(ledger.stream(*RecordFilter(entities=("protocol:SOP-114",)).conditions(), limit=1))
    (row,) = record_frame(found, BERLIN).to_dict("records")
    assert row["actor_type"] in ACTOR_TYPE_WORDS.values()
    assert row["entity"] == f"SOP-114, {found[0].record.entity_name}"


def test_a_click_opens_a_record_and_close_closes_it(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", action="delete")
    first, second, third = positions(app)[:3]
    app.click_cell("records_", 1, "actor")
    assert app.params == {"action": ["delete"], "record": [str(second)]}
    assert f"Record {second:,}" in app.text
    app.click("Previous")
    assert app.params["record"] == [str(first)]
    app.click("Next")
    app.click("Next")
    assert f"Record {third:,}" in app.text
    app.click("Close")
    assert app.params == {"action": ["delete"]}


def test_steps_follow_the_list_and_end_with_it(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "records", seq="100-102", record="102")
    assert app.button("Previous").disabled
    for position in (101, 100):
        app.click("Next")
        assert app.params["record"] == [str(position)]
    assert app.button("Next").disabled
    assert not app.button("Previous").disabled


def test_a_record_that_is_not_listed_has_its_neighbours_in_the_chain(
    open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    newest = ledger.newest()
    app = open_app(lab_url, "records", org=HERE, seq="100-102", record="1")
    assert app.button("Position 0").disabled
    app.click("Position 2")
    assert "Record 2" in app.text
    assert {"Previous", "Next"}.isdisjoint(app.buttons)
    app.go("records", org=HERE, seq="100-102", record=str(newest))
    assert app.button(f"Position {newest + 1:,}").disabled
    app.click(f"Position {newest - 1:,}")
    assert app.params["record"] == [str(newest - 1)]


# One record in full


def test_a_record_is_shown_whole(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    """Every field of spec section 1 that it has, its hash and its link."""
    chosen = RecordFilter(actions=("update",), entity_types=("sample",)).conditions()
    checked = next(found for found in ledger.stream(*chosen, descending=True) if found.record.reason)
    record = checked.record
    app = open_app(lab_url, "records", org=HERE, record=str(record.seq))
    facts = dict(app.plain_tables()[0].itertuples(index=False, name=None))
    assert record.reason is not None
    for text in (record.actor_type, record.actor_id, str(record.actor_name)):
        assert text in facts["Actor"]
    assert (facts["Action"], facts["Reason"], facts["Record id"]) == (record.action, record.reason, record.record_id)
    assert f"{record.entity_type}:{record.entity_id}" in facts["Entity"]
    assert facts["Of this actor"] == f"record {record.actor_seq:,}"
    assert facts["Of this entity"] == f"record {record.entity_seq:,}"
    assert facts["Occurred"].endswith("(Europe/Berlin)")
    assert record.hash.hex() in app.text
    assert record.prev_hash.hex() in app.text
    changed = app.plain_tables()[1]
    assert list(changed.columns) == ["Field", "Before", "After", "Change"]
    assert len(changed) > 0


def test_the_hash_that_is_shown_is_the_headers(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    checked = ledger.get(4321)
    assert checked is not None
    app = open_app(lab_url, "records", org=HERE, record="4321")
    assert header_hash(record_header(checked.record)).hex() in app.text


def test_links_lead_to_the_histories_and_drop_the_filter(open_app: OpenApp, lab_url: str, ledger: Ledger) -> None:
    checked = next(found for found in ledger.stream(first=8000) if found.record.related)
    record = checked.record
    given = {"org": HERE, "role": "qa-lead", "seq": f"{record.seq}", "record": f"{record.seq}"}
    app = open_app(lab_url, "records", **given)
    app.click_link(f"This entity: {record.entity_type}:{record.entity_id}")
    assert app.page == "entities"
    assert app.params == {
        "org": [HERE], "role": ["qa-lead"], "entity": [f"{record.entity_type}:{record.entity_id}"],
    }  # fmt: skip
    app = open_app(lab_url, "records", **given)
    related = f"{record.related[0].type}:{record.related[0].id}"
    app.click_link(f"Related: {related}")
    assert app.params["entity"] == [related]
    app = open_app(lab_url, "records", **given)
    actor = f"{record.actor_type}:{record.actor_id}"
    app.click_link(f"All by this actor: {actor}")
    assert app.page == "records"
    assert app.params == {"org": [HERE], "role": ["qa-lead"], "actor": [actor]}


def test_a_lab_manager_gets_no_link_to_a_page_that_is_not_open_to_them(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "overview", role="lab-manager", record="5000")
    assert any(link.startswith("This entity") for link in app.links)
    assert not any(link.startswith("All by this actor") for link in app.links)
    assert "All by this actor" in app.text


# Altered records


def test_an_altered_record_is_shown_and_says_what_is_wrong(
    open_app: OpenApp, tampered_url: str, altered: Ledger
) -> None:
    verification = latest_verification(altered.engine, HERE)
    assert verification is not None
    found = {finding.code: finding for finding in verification.findings}
    for code in ("record_modified", "payload_modified", "chain_broken"):
        app = open_app(tampered_url, "records", org=HERE, record=str(found[code].seq), seq=str(found[code].seq))
        assert any(code in error for error in app.errors), code
        assert not app.test.exception
        if code != "chain_broken":  # which a record can show only beside its neighbour
            assert code in app.table("records_")["check"][0]


def test_where_records_were_deleted_the_place_says_so(open_app: OpenApp, tampered_url: str, altered: Ledger) -> None:
    verification = latest_verification(altered.engine, HERE)
    assert verification is not None
    missing = next(finding.seq for finding in verification.findings if finding.code == "record_missing")
    app = open_app(tampered_url, "records", org=HERE, record=str(missing))
    assert any("no record at this position" in warning.value for warning in app.test.warning)
    app.click(f"Position {missing - 1:,}")
    assert f"Record {missing - 1:,}" in app.text
    assert not any("no record at this position" in warning.value for warning in app.test.warning)


def test_what_changed_past_the_recorder_is_shown_with_the_next_record(
    open_app: OpenApp, lab_url: str, ledger: Ledger
) -> None:
    """A result that was changed past the application (docs/sample-lab.md)."""
    verification = latest_verification(ledger.engine, HERE)
    assert verification is not None
    (gap,) = (finding for finding in verification.findings if finding.code == "state_gap")
    app = open_app(lab_url, "records", org=HERE, record=str(gap.seq))
    assert "Changed unrecorded before this act" in app.text
    _, unrecorded, recorded = app.plain_tables()[:3]
    assert list(unrecorded["Field"]) == ["result.value"]
    assert float(unrecorded["Before"][0]) > float(unrecorded["After"][0])
    assert list(recorded["Field"]) == ["labels"]
    app.go("records", org=HERE, record=str(gap.seq - 1))
    assert "Changed unrecorded" not in app.text


# Text from records


def test_text_from_records_is_never_markup(open_app: OpenApp, nasty_url: str) -> None:
    """Where Streamlit reads markdown the text is escaped, character by character, so that it shows as it is."""
    app = open_app(nasty_url, "records", record="2", text="bold")
    shown = literal(NASTY)
    drawn = [str(cell) for table in app.test.table for cell in table.value.to_numpy().ravel()]
    drawn += [link.proto.label for link in app.test.get("page_link")]
    drawn += [button.label for button in app.test.button]
    drawn += [element.value for element in (*app.test.markdown, *app.test.caption, *app.test.subheader)]
    assert sum(shown in text for text in drawn) >= 10
    assert not any(NASTY in text for text in drawn)
    facts = dict(app.plain_tables()[0].itertuples(index=False, name=None))
    assert facts["Reason"] == NASTY
    assert facts["Credential"] == NASTY


def test_text_from_records_survives_in_a_link(open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url, "records", record="2")
    app.click_link(f"Related: batch:{NASTY}")
    assert app.params["entity"] == [f"batch:{NASTY}"]
    assert app.errors == []


@pytest.mark.parametrize("page", ["overview", "actors", "entities", "records", "exports"])
def test_no_page_reads_text_from_records_as_markdown(page: str, open_app: OpenApp, nasty_url: str) -> None:
    app = open_app(nasty_url, page)
    for element in (*app.test.markdown, *app.test.caption, *app.test.subheader, *app.test.button, *app.test.info):
        assert NASTY not in str(getattr(element, "label", "")) + str(element.value)
    assert app.errors == []
