"""A record in words: nothing is left out unsaid, nothing is invisible, and changed values are marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.export.report import Closing
from flasktrack.export.report_record import LONGEST_VALUE, MOST_ROWS, Entry, entries, shortened
from flasktrack.export.selection import Selection
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.erasure import erase
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.export.report_samples import nasty_lab
from tests.export.samples import BERLIN
from tests.store.samples import NORTHWIND, event, organizations, record, tamper


@pytest.fixture
def lab(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'lab.db'}")
    initialize(engine)
    return engine


def printed(engine: Engine, chosen: RecordFilter | None = None) -> tuple[list[Entry], Closing]:
    closing = Closing()
    with Selection(Ledger(engine, machine_scope(NORTHWIND)), chosen or RecordFilter()) as selection:
        return list(entries(selection, BERLIN, closing)), closing


def test_a_change_is_told_field_by_field_and_marked(lab: Engine) -> None:
    organizations(lab)
    first, second = {"volume": 10, "unit": "mL"}, {"volume": 12, "unit": "mL", "by": {"name": "Zoë"}}
    record(lab, event(1, before=None, after=first), event(2, before=first, after=second, reason="Evaporation"))
    (made, changed), closing = printed(lab)
    assert made.columns == ("Field", "Value", "Since first entry")
    assert made.rows == (("unit", "mL", ""), ("volume", "10", "changed later, in record 2"))
    assert changed.rows == (
        ("by.name", "\u2013", "Zoë", ""),
        ("volume", "10", "12", "changed; first entered in record 1: 10"),
    )
    facts = dict(changed.facts)
    assert facts["Occurred"] == "2026-11-24 06:06:07.000002+01:00"
    assert (facts["By"], facts["Reason"], facts["Entity"]) == ("Zoë (user:u-17)", "Evaporation", "sample:S-100")
    assert (closing.records, closing.failed) == (2, 0)


def test_marks_rest_on_the_whole_history_and_not_on_what_is_asked_for(lab: Engine) -> None:
    organizations(lab)
    record(lab, *(event(number) for number in range(1, 4)))
    ((middle,), _) = printed(lab, RecordFilter(seq_first=2, seq_last=2))
    assert middle.rows == (("volume", "1", "2", "changed; first entered in record 1: 1; changed later, in record 3"),)


def test_what_failed_its_check_or_is_gone_is_said(lab: Engine) -> None:
    organizations(lab)
    record(lab, *(event(number) for number in range(1, 5)))
    tamper(
        lab,
        "UPDATE audit_record SET actor_name = x'FF00', occurred_at = 'whenever' WHERE seq = 2",
        "UPDATE audit_payload SET after = '{' WHERE seq = 3",
    )
    with writing(lab) as connection:
        erase(connection, NORTHWIND, 4, 4, ["after"], actor=("user", "dpo"), reason="By law")
    (_, second, third, fourth, _), closing = printed(lab)
    assert second.alerts
    assert ("By", "x'ff00' (user:u-17)") in second.facts
    assert ("Occurred", "whenever") in second.facts
    assert third.alerts
    assert third.rows == (("after, as stored", "{"),)
    assert any("erased" in alert for alert in fourth.alerts)
    assert "no longer stored" in fourth.notes[0]
    assert closing.failed == 2
    assert "at position 2, 3" in closing.sentences[1]


def test_what_is_too_much_for_paper_is_cut_and_said_to_be(lab: Engine) -> None:
    total = nasty_lab(lab)
    made, closing = printed(lab)
    assert closing.records == total
    assert closing.failed == 0
    by_seq = {one.seq: one for one in made}
    assert by_seq["4"].rows[0][1].endswith(" … [999,000 more characters are left out here]")
    assert len(by_seq["5"].rows) == MOST_ROWS
    assert "19,800 more values" in by_seq["5"].notes[0]
    assert "N" * 1000 in by_seq["7"].title
    assert "[U+202E]" in by_seq["3"].rows[0][2]
    for one in made:
        cells = [cell for row in one.rows for cell in row]
        assert max(map(len, cells), default=0) < LONGEST_VALUE + 100
        assert not any(char in cell for cell in cells for char in "\u202e\u200b\n")


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_says_how_much_is_gone(text: str, longest: int) -> None:
    short = shortened(text, longest)
    if len(text) <= longest:
        assert short == text
    else:
        assert short.startswith(text[:longest])
        assert f"[{len(text) - longest:,} more" in short
