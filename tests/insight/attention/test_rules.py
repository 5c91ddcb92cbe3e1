"""Each rule finds what reaches its threshold and leaves alone what does not, in DuckDB and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, Engine

from flasktrack.insight import copy_tables
from flasktrack.insight.attention.look import MOST_LINKED
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.copy_tables import UNRELIABLE
from flasktrack.store.engine import open_engine
from tests.insight.attention.rows import NOON, act, ask, in_memory, series

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
INSTANT = timedelta(microseconds=1)
MACHINE: dict[str, Any] = {"actor_type": "api_key", "actor_id": "key_lims"}
Acts = list[dict[str, Any]]


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty copy, in each engine."""
    if request.param == "duckdb":
        yield in_memory()
        return
    server: URL = request.getfixturevalue("postgres_server")
    uri = server.set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(uri, autocommit=True) as console:
        console.execute("CREATE DATABASE attention")
        engine = open_engine(server.set(database="attention").render_as_string(False))
        copy_tables.metadata.create_all(engine)
        yield engine
        engine.dispose()
        console.execute("DROP DATABASE attention WITH (FORCE)")


def known(number: int, **who: Any) -> Acts:
    """Earlier acts, by which an actor is known."""
    return series(number, SECOND, **who)


def states(*pairs: tuple[int | None, int | None], **changes: Any) -> Acts:
    return [
        act(NOON + place * HOUR, before_print=before, after_print=after, **changes)
        for place, (before, after) in enumerate(pairs)
    ]


def approval(**changes: Any) -> dict[str, Any]:
    return act(NOON + 9 * HOUR, action="approve", before_print=2, after_print=3, **changes)


def night(hour: float, number: int = 3, **changes: Any) -> Acts:
    """Acts from an hour of Wednesday, 2026-11-25, in Berlin."""
    start = NOON + timedelta(hours=hour + 12)
    return [act(start + place * SECOND, **changes) for place in range(number)]


CASES: dict[str, tuple[str, Acts, int, dict[str, Any]]] = {
    # rule, acts, records of the hit (0: none), thresholds
    "20 deletions in 10 minutes": (
        "bulk_deletion", series(20, timedelta(seconds=600) / 19, action="delete"), 20, {}
    ),
    "19 deletions": ("bulk_deletion", series(19, SECOND, action="delete"), 0, {}),
    "20 deletions in more than 10 minutes": (
        "bulk_deletion", series(20, timedelta(seconds=600) / 19 + INSTANT, action="delete"), 0, {}
    ),
    "20 deletions that were denied": ("bulk_deletion", series(20, SECOND, action="delete", outcome="denied"), 0, {}),
    "20 deletions by two": (
        "bulk_deletion",
        series(10, SECOND, action="delete") + series(10, SECOND, action="delete", actor_id="u-2"), 0, {},
    ),
    "a series that goes on for hours": ("bulk_deletion", series(500, timedelta(seconds=30), action="delete"), 500, {}),
    "a word of the laboratory's own": (
        "bulk_deletion", series(3, SECOND, action="discard"), 3, {"acts": 3, "actions": ("discard",)}
    ),
    "5 denied or failed": (
        "failed_series", series(3, SECOND, outcome="denied") + series(2, SECOND, outcome="failure"), 5, {}
    ),
    "4 denied": ("failed_series", series(4, SECOND, outcome="denied"), 0, {}),
    "recorded 24 hours late": ("late_entry", [act(recorded_at=NOON + DAY)], 0, {}),
    "recorded later than that": ("late_entry", [act(recorded_at=NOON + DAY + INSTANT)], 1, {}),
    "5 minutes ahead": ("future_time", [act(NOON + timedelta(minutes=5), recorded_at=NOON)], 0, {}),
    "farther ahead": ("future_time", [act(NOON + timedelta(minutes=5) + INSTANT, recorded_at=NOON)], 1, {}),
    "a deletion without a reason": ("no_reason", [act(action="delete", reason=None)], 1, {}),
    "a deletion with a blank for a reason": ("no_reason", [act(action="delete", reason="  ")], 1, {}),
    "a deletion with a reason": ("no_reason", [act(action="delete")], 0, {}),
    "a denied deletion without a reason": ("no_reason", [act(action="delete", reason=None, outcome="denied")], 0, {}),
    "a protocol changed without a reason": (
        "no_reason", states((1, 2), entity_type="protocol", reason=None), 1, {}
    ),
    "a protocol read without a reason": ("no_reason", states((1, 1), entity_type="protocol", reason=None), 0, {}),
    "a new protocol needs no reason": ("no_reason", states((None, 1), entity_type="protocol", reason=None), 0, {}),
    "a sample changed without a reason": ("no_reason", states((1, 2), reason=None), 0, {}),
    "approved by its author": ("self_approval", [*states((None, 1), (1, 2)), approval()], 1, {}),
    "approved by another": ("self_approval", [*states((None, 1), (1, 2)), approval(actor_id="u-2")], 0, {}),
    "approved by one of its authors": (
        "self_approval",
        [*states((None, 1), actor_id="u-2"), act(NOON + HOUR, before_print=1, after_print=2), approval()], 0, {},
    ),
    "approved by the author of all since its last approval": (
        "self_approval",
        [*states((None, 1), actor_id="u-2"), *states((1, 5), action="approve", actor_id="u-3"),
         act(NOON + HOUR, before_print=5, after_print=2), approval()], 1, {},
    ),
    "approved again": ("self_approval", [*states((None, 1), (1, 2)), approval(actor_id="u-2"), approval()], 0, {}),
    "an approval that was denied": ("self_approval", [*states((None, 1)), approval(outcome="denied")], 0, {}),
    "approved after reading it": (
        "self_approval", [*states((None, 1), actor_id="u-2"), *states((2, 2)), approval()], 0, {}
    ),
    "another entity of the same id": (
        "self_approval",
        [*states((None, 1), entity_type="batch"), *states((None, 1), actor_id="u-2"), approval()], 0, {},
    ),
    "a state that nobody recorded": ("state_gap", states((None, 1), (1, 2), (7, 8)), 1, {}),
    "states that fit": ("state_gap", states((None, 1), (1, 2), (2, 3)), 0, {}),
    "an act without states between": ("state_gap", states((None, 1), (None, None), (7, 8)), 1, {}),
    "the first state that is known": ("state_gap", states((7, 8)), 0, {}),
    "a state that can't be told": ("state_gap", states((None, UNRELIABLE), (7, 8)), 0, {}),
    "a record that failed its check": (
        "state_gap", [*states((None, 1), failed="record_modified"), *states((7, 8))], 0, {}
    ),
    "10 acts at one instant": ("same_instant", series(10, timedelta()), 10, {}),
    "9 acts at one instant": ("same_instant", series(9, timedelta()), 0, {}),
    "10 acts at one instant, of two": (
        "same_instant", series(5, timedelta()) + series(5, timedelta(), actor_id="u-2"), 0, {}
    ),
    "machines act at one instant": ("same_instant", series(10, timedelta(), **MACHINE), 0, {}),
    "at three in the morning": ("off_hours", night(3), 3, {}),
    "two acts at three in the morning": ("off_hours", night(3, 2), 0, {}),
    "when work begins": ("off_hours", night(6), 0, {}),
    "just before work begins": ("off_hours", night(6 - 3 / 3600), 3, {}),
    "when work ends": ("off_hours", night(20), 3, {}),
    "on a Saturday": ("off_hours", night(3 * 24 + 12), 3, {}),
    "on a Saturday, where they work then": ("off_hours", night(3 * 24 + 12), 0, {"days": ("sat",)}),
    "a machine at night": ("off_hours", night(3, **MACHINE), 0, {}),
    "a reader at night": ("off_hours", night(3, 49, action="view"), 0, {}),
    "a reader of much at night": (
        "off_hours", [*night(3, 49, action="view"), *night(4, 1, action="search"), *night(4, 2)], 50, {}
    ),
    "acts at night beside some reading": (
        "off_hours", [*night(3), *night(4, 1, action="sign"), *night(3, 9, action="view")], 4, {}
    ),
    "views at one instant": (
        "same_instant", [*series(9, timedelta()), *series(9, timedelta(), action="view")], 0, {}
    ),
    "10 acts at one instant, and views": (
        "same_instant", [*series(10, timedelta()), *series(9, timedelta(), action="view")], 10, {}
    ),
    "a view that was gathered": ("late_entry", [act(action="view", recorded_at=NOON + 2 * DAY)], 0, {}),
    "a first view": ("first_action", [*known(200), act(NOON + HOUR, action="view")], 0, {}),
    "an action never used before": ("first_action", [*known(200), act(NOON + HOUR, action="sign")], 1, {}),
    "too new to tell": ("first_action", [*known(199), act(NOON + HOUR, action="sign")], 0, {}),
    "an address never used before": (
        "first_address", [*known(50, ip="10.0.0.1"), *(act(NOON + HOUR, ip="203.0.113.77") for _ in range(3))], 3, {}
    ),
    "no address at all": ("first_address", [*known(50, ip="10.0.0.1"), act(NOON + HOUR, ip=None)], 0, {}),
    "a machine's new address": (
        "machine_pattern", [*known(100, ip="10.0.0.1", **MACHINE), act(NOON + HOUR, ip="10.9.9.9", **MACHINE)], 1, {}
    ),
    "a machine's new credential": (
        "machine_pattern", [*known(100, **MACHINE), act(NOON + HOUR, credential_id="tok", **MACHINE)], 1, {}
    ),
    "a machine's new action": (
        "machine_pattern", [*known(100, **MACHINE), act(NOON + HOUR, action="delete", **MACHINE)], 1, {}
    ),
    "a machine's busy day": (
        "machine_pattern",
        [*(act(NOON + day * DAY, **MACHINE) for day in range(5)),
         *(act(NOON + 6 * DAY + place * SECOND, **MACHINE) for place in range(100))], 100, {},
    ),
    "a machine's usual days": (
        "machine_pattern",
        [act(NOON + day * DAY + place * SECOND, **MACHINE) for day in range(3) for place in range(150)], 0, {},
    ),
    "a member's roles changed": ("role_change", states((1, 2), entity_type="member"), 1, {}),
    "a member looked at": ("role_change", states((1, 1), entity_type="member"), 0, {}),
    "in a role never had before": (
        "role_change", [*known(3, actor_role="analyst"), act(NOON + HOUR, actor_role="reviewer")], 1, {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_rule_finds_what_reaches_its_threshold_and_nothing_else(engine: Engine, case: str) -> None:
    rule, acts, records, set_ = CASES[case]
    first = next((seq for seq, given in enumerate(acts, 1) if rule in HISTORY and HISTORY[rule](given)), 1)
    found = ask(engine, rule, acts, first=first, **set_)
    assert [hit.records for hit in found.hits] == ([records] if records else [])
    assert found.total == len(found.hits)
    assert all(hit.rule == rule and hit.why.endswith(".") for hit in found.hits)


# What lies before the period tells what is usual: these rules' cases begin their period after it.
HISTORY: dict[str, Callable[[dict[str, Any]], bool]] = dict.fromkeys(
    ("first_action", "first_address", "machine_pattern"), lambda given: given["occurred_at"] >= NOON + HOUR
)


def test_every_rule_has_a_case_that_it_finds_and_one_that_it_leaves_alone() -> None:
    assert {rule for rule, _, records, _ in CASES.values() if records} == set(RULES)
    assert {rule for rule, _, records, _ in CASES.values() if not records} == set(RULES)


def test_what_was_found_before_the_period_is_not_found_again(engine: Engine) -> None:
    acts = [*known(200), *series(3, HOUR, action="sign")]
    assert ask(engine, "first_action", acts, first=201).total == 1
    assert ask(engine, "first_action", acts, first=202).total == 0


def test_a_first_use_is_one_in_the_whole_history(engine: Engine) -> None:
    """However long ago the one before was; and all are counted, where more were found than are given."""
    acts = [act(action="sign"), *known(210)]
    assert ask(engine, "first_action", [*acts, act(NOON + HOUR, action="sign")], first=211, back=205).total == 0
    many = [act(NOON + HOUR, action=f"do-{number}") for number in range(60)]
    found = ask(engine, "first_action", [*acts, *many], first=212)
    assert (found.total, len(found.hits), found.severities) == (60, 50, {"low": 60})
    assert found.hits[0].why == "u-1 used do-59 for the first time on record, after 270 earlier acts."


def test_two_series_are_two_hits_and_a_success_after_one_makes_it_grave(engine: Engine) -> None:
    later = NOON + HOUR
    first, second = (
        [act(start + place * SECOND, outcome="denied", action="sign_in") for place in range(6)]
        for start in (NOON, later)
    )
    found = ask(engine, "failed_series", [*first, *second, act(later + 9 * SECOND, action="sign_in")])
    assert [(hit.severity, hit.records) for hit in found.hits] == [("high", 6), ("medium", 6)]
    assert "then sign_in succeeded (record 13)" in found.hits[0].why
    other = ask(engine, "failed_series", [*second, act(later + 9 * SECOND, action="view")])
    assert [hit.severity for hit in other.hits] == ["medium"]
    pages = [act(NOON + place * SECOND, outcome="denied", action="view") for place in range(6)]
    reader = ask(engine, "failed_series", [*pages, act(NOON + 9 * SECOND, action="view")])
    assert [(hit.severity, hit.records) for hit in reader.hits] == [("medium", 6)]


def test_who_only_reads_at_night_is_a_hint_beside_who_alters(engine: Engine) -> None:
    reader = night(2, 60, action="view", actor_id="u-2")
    found = ask(engine, "off_hours", [*reader, *night(3, 4), *night(3, 60, action="search")])
    assert [(hit.severity, hit.records) for hit in found.hits] == [("medium", 4), ("low", 60), ("low", 60)]
    assert (found.total, found.severities) == (3, {"medium": 1, "low": 2})
    assert "acted 4 times" in found.hits[0].why
    assert "viewed or searched 60 times" in found.hits[1].why


@pytest.mark.parametrize("very_newest", [10_000, 1_050, 500])
def test_what_is_too_much_is_cut_short_and_said(
    engine: Engine, very_newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the newest are found among the very newest records, or farther back."""
    monkeypatch.setattr("flasktrack.insight.attention.look._VERY_NEWEST", very_newest)
    many = [act(recorded_at=NOON + 2 * DAY) for _ in range(MOST_LINKED + 5)]
    (hit,) = ask(engine, "late_entry", many).hits
    assert (hit.records, hit.linked) == (MOST_LINKED + 5, MOST_LINKED)
    crowd = [act(recorded_at=NOON + 2 * DAY, actor_id=f"u-{n % 60}") for n in range(1100)]
    found = ask(engine, "late_entry", crowd)
    assert (found.total, len(found.hits)) == (60, 50)
    assert found.note == "Of 1,100 such records, the newest 1,000 are put together here."


def test_actors_that_no_filter_can_ask_for_are_left_to_the_verification(engine: Engine) -> None:
    altered = series(20, SECOND, action="delete", actor_type="nobody")
    assert ask(engine, "bulk_deletion", altered).hits == ()


def test_nothing_is_found_where_there_is_nothing(engine: Engine) -> None:
    for rule in RULES:
        assert ask(engine, rule, []).total == 0


def test_values_that_no_filter_can_ask_for_hide_no_hit(engine: Engine) -> None:
    """Each leads to its record, and an address that is empty is none."""
    noise = (f"{number:0600}" for number in range(45))
    acts = [*known(50, ip="10.0.0.1"), *(act(NOON + HOUR, ip=ip) for ip in ("203.0.113.77", *noise, ""))]
    found = ask(engine, "first_address", acts, first=51)
    assert (found.total, len(found.hits), found.severities) == (46, 46, {"medium": 46})
    assert [hit.records for hit in found.hits] == [1] * 46
    assert any("203.0.113.77" in hit.why for hit in found.hits)


def test_another_record_at_the_same_position_is_no_first_use(engine: Engine) -> None:
    """Somebody may have got round the primary key."""
    acts = [*known(60, ip="10.0.0.1"), act(NOON + HOUR, ip="203.0.113.9"), act(NOON + HOUR, ip="203.0.113.9")]
    mallory = act(NOON + HOUR, seq=61, actor_id="mallory", actor_seq=100, ip=None, failed="chain_broken")
    found = ask(engine, "first_address", [*acts, mallory], first=61)
    assert [(hit.records, hit.why.split()[0]) for hit in found.hits] == [(2, "u-1")]


def test_what_an_altered_record_says_makes_nothing_known(engine: Engine) -> None:
    altered = act(ip="203.0.113.9", failed="record_modified")
    acts = [altered, *known(60, ip="10.0.0.1"), act(NOON + HOUR, ip="203.0.113.9")]
    assert ask(engine, "first_address", acts, first=62).total == 1
