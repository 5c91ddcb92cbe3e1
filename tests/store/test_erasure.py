"""An erasure removes what it names and nothing else, stays on record, and is told apart from what merely vanished."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from flasktrack.errors import ErasureRefused, FlaskTrackError, InvalidRecord, UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from tests.store.samples import NORTHWIND, event

WHO = ("user", "u-qa")


@pytest.fixture
def five(lab: Engine) -> Engine:
    """Five records that have an `after`, and the even ones a `before`."""
    with writing(lab) as connection:
        append(
            connection,
            NORTHWIND,
            [event(n, after={"n": n}, before={"n": -n} if n % 2 == 0 else None, context=None) for n in range(1, 6)],
        )
    return lab


def erased(engine: Engine, first: int, last: int, *sections: str, reason: str = "GDPR article 17, request 4") -> int:
    with writing(engine) as connection:
        return erase(connection, NORTHWIND, first, last, sections, actor=WHO, reason=reason).seq


def codes(checked: CheckedRecord) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.section) for finding in checked.findings]


def test_what_is_named_is_gone_and_the_rest_stays(five: Engine) -> None:
    before = {checked.record.seq: checked for checked in Ledger(five, machine_scope(NORTHWIND)).stream()}
    assert erased(five, 2, 3, "after") == 6
    for checked in Ledger(five, machine_scope(NORTHWIND)).stream(last=5):
        was = before[checked.record.seq]
        assert checked.record == was.record
        assert checked.before == was.before
        assert checked.after == (None if checked.record.seq in (2, 3) else was.after)
    with five.connect() as connection:
        left = connection.execute(text("SELECT after_salt FROM audit_payload WHERE seq IN (2, 3)")).scalars().all()
    assert left == [None, None]


def test_the_record_says_what_why_and_by_whom(five: Engine) -> None:
    checked = Ledger(five, machine_scope(NORTHWIND)).get(erased(five, 2, 3, "after", "before"))
    assert checked is not None
    record = checked.record
    assert (record.actor_type, record.actor_id) == WHO
    assert (record.action, record.entity_type, record.entity_id) == ("erase", "organization", NORTHWIND)
    assert record.reason == "GDPR article 17, request 4"
    assert checked.after is not None
    assert checked.after.body == '{"sections":["before","after"],"seq":2,"seq_end":3}'
    assert checked.findings == ()


def test_a_reader_names_the_erasure_and_still_reports_what_merely_vanished(five: Engine) -> None:
    erased(five, 2, 2, "after")
    with five.begin() as connection:  # the trigger lets anybody set a section to null; only a record explains it
        connection.execute(text("UPDATE audit_payload SET after = NULL, after_salt = NULL WHERE seq = 4"))
    ledger = Ledger(five, machine_scope(NORTHWIND))
    found = {checked.record.seq: codes(checked) for checked in ledger.stream()}
    assert found == {1: [], 2: [("payload_erased", "after")], 3: [], 4: [("payload_missing", "after")], 5: [], 6: []}
    second = ledger.get(2)
    assert second is not None
    assert second.findings[0].severity == "info"
    assert "record 6" in second.findings[0].detail


def test_an_erasure_does_not_explain_what_is_altered(five: Engine) -> None:
    erased(five, 2, 2, "after")
    with five.begin() as connection:
        if five.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit_payload DISABLE TRIGGER ALL"))
        else:
            connection.execute(text("DROP TRIGGER audit_payload_only_erase"))
        connection.execute(text("UPDATE audit_payload SET after = '{}' WHERE seq = 2"))
    second = Ledger(five, machine_scope(NORTHWIND)).get(2)
    assert second is not None
    assert codes(second) == [("payload_modified", "after")]


@pytest.mark.parametrize(
    ("first", "last", "sections"),
    [
        (0, 1, ["after"]),
        (3, 2, ["after"]),
        (5, 6, ["after"]),  # the sixth would be the erasure's own record
        (1, 1, ["before"]),  # it has none
        (1, 1, ["context", "nonsense"]),
        (1, 1, []),
    ],
)
def test_what_cannot_be_erased_is_refused_and_leaves_everything(
    five: Engine, first: int, last: int, sections: list[str]
) -> None:
    before = list(Ledger(five, machine_scope(NORTHWIND)).stream())
    with pytest.raises(ErasureRefused):
        erased(five, first, last, *sections)
    assert list(Ledger(five, machine_scope(NORTHWIND)).stream()) == before


def test_an_erasure_is_never_erased(five: Engine) -> None:
    erased(five, 2, 2, "after")
    with pytest.raises(ErasureRefused, match="Record 6"):
        erased(five, 1, 6, "after")


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_erasure_needs_a_reason(five: Engine, reason: str) -> None:
    with pytest.raises(ErasureRefused, match="reason"):
        erased(five, 2, 2, "after", reason=reason)


def test_nobody_erases_as_nobody_or_elsewhere(five: Engine) -> None:
    with pytest.raises(InvalidRecord), writing(five) as connection:
        erase(connection, NORTHWIND, 1, 1, ["after"], actor=("robot", "x"), reason="law")
    with pytest.raises(UnknownOrganization), writing(five) as connection:
        erase(connection, "elsewhere", 1, 1, ["after"], actor=WHO, reason="law")
    assert issubclass(ErasureRefused, FlaskTrackError)
