"""Whatever an insider puts into a row in place of what belongs there is shown with its finding; no page fails.

SQLite takes any value in any column; what it would refuse (a null), an insider gets past by altering the schema.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.schema import audit_payload, audit_record, chain_head, verification
from flasktrack.store.writer import append
from flasktrack.ui.registry import PAGES
from flasktrack.verify.runner import verify_organization
from tests.store.samples import event
from tests.ui.app import OpenApp

LAB, RECORDS = "altered-lab", 30
VALUES: dict[str, Any] = {
    "bytes": b"d\xff\x00", "text": "x\u202ey\x00", "whole": 7, "real": 1.5, "huge": 2**63 - 1, "null": None,
}  # fmt: skip
WORST = ["bytes", "text", "null"]  # what has to be kept from every page; the other kinds are drawn like these
OWN = {"organization_id"}
RECORD_COLUMNS = [column.name for column in audit_record.columns if column.name not in OWN]
PAYLOAD_COLUMNS = [column.name for column in audit_payload.columns if column.name not in OWN]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lab, verified once; the tables of its records take nulls, and have no triggers."""
    file = tmp_path_factory.mktemp("altered") / "sound.db"
    engine = open_engine(f"sqlite:///{file}")
    initialize(engine)
    with writing(engine) as connection:
        create_organization(connection, LAB, time_zone="Europe/Berlin")
        related, reason = [("batch", "B-1")], "as planned"
        events = [event(n, related=related, reason=reason, context={"ip": "::1"}) for n in range(1, RECORDS + 1)]
        append(connection, LAB, events)
    verify_organization(engine, LAB, started_by="user:u-1")
    engine.dispose()
    with closing(sqlite3.connect(file)) as insider, insider:
        for (name,) in insider.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            insider.execute(f'DROP TRIGGER "{name}"')
        for table in (audit_record.name, audit_payload.name, chain_head.name, verification.name):
            _let_nulls_in(insider, table)
    return file


def _let_nulls_in(connection: sqlite3.Connection, table: str) -> None:
    """Make the table anew, with the same rows, and without what keeps nulls out."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    (sql,) = connection.execute(query, (table,)).fetchone()
    loose = re.sub(r",\s*(CONSTRAINT \w+ )?(PRIMARY KEY|UNIQUE) \([^)]*\)", "", sql.replace(" NOT NULL", ""))
    loose = loose.replace("WITHOUT ROWID", "")
    connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    connection.execute(loose)
    connection.execute(f"INSERT INTO {table} SELECT * FROM old_{table}")
    connection.execute(f"DROP TABLE old_{table}")


@pytest.fixture
def altered(sound: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy for one test to alter."""
    with closing(sqlite3.connect(sound)) as original, closing(sqlite3.connect(tmp_path / "altered.db")) as copy:
        original.backup(copy)
        yield copy


def failing(open_app: OpenApp, url: str, pages: Collection[str] = PAGES, **params: str) -> list[tuple[str, list[str]]]:
    """The pages that do not open, with what they say."""
    opened = {page: open_app(url, page, org=LAB, **params) for page in pages}
    return [
        (page, app.errors)
        for page, app in opened.items()
        if app.headers != [PAGES[page].title] or any("failed where it should not" in error for error in app.errors)
    ]


@pytest.mark.parametrize("value", WORST)
def test_altered_records_are_shown_with_their_findings(
    value: str, open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    """Each record has another column altered: all of them are listed, counted and drawn, and each opens."""
    url = f"sqlite:///{tmp_path / 'altered.db'}"
    with altered:
        for seq, column in enumerate(RECORD_COLUMNS, start=1):
            altered.execute(f'UPDATE audit_record SET "{column}" = ? WHERE seq = ?', (VALUES[value], seq))
    assert failing(open_app, url) == []
    app = open_app(url, "records", org=LAB)
    listed = dict(zip(app.table("records_")["seq"], app.table("records_")["check"], strict=True))
    for seq, column in enumerate(RECORD_COLUMNS, start=1):
        assert failing(open_app, url, ["records"], record=str(seq)) == [], column
        assert "✕" in listed.get(seq, "✕") or VALUES[value] is None, column
    assert failing(open_app, url, ["entities"], entity="sample:S-100", record="1") == []


@pytest.mark.parametrize("value", VALUES)
def test_altered_sections_are_shown_with_their_findings(
    value: str, open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'altered.db'}"
    with altered:
        for seq, column in enumerate(PAYLOAD_COLUMNS, start=1):
            altered.execute(f'UPDATE audit_payload SET "{column}" = ? WHERE seq = ?', (VALUES[value], seq))
    app = open_app(url, "records", org=LAB)
    checks = dict(zip(app.table("records_")["seq"], app.table("records_")["check"], strict=True))
    for seq, column in enumerate(PAYLOAD_COLUMNS, start=1):
        assert failing(open_app, url, ["records"], record=str(seq)) == [], column
        assert "payload" in checks[seq], column
    assert failing(open_app, url, ["entities"], entity="sample:S-100", record="3") == []


@pytest.mark.parametrize("value", WORST)
def test_an_altered_head_stops_no_page(
    value: str, open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    with altered:
        altered.execute("UPDATE chain_head SET size = ?, hash = ?", (VALUES[value], VALUES[value]))
    assert failing(open_app, f"sqlite:///{tmp_path / 'altered.db'}", record="3") == []


BODIES = ["[" * 1000 + "]" * 1000, '{"a":' * 900 + "1" + "}" * 900, "{", "5", '"text"', "[1, 2]", "\x00"]


def test_bodies_that_are_no_state_of_an_entity_are_shown(
    open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'altered.db'}"
    with altered:
        for seq, body in enumerate(BODIES, start=1):
            for section in ("before", "after", "context"):
                altered.execute(f'UPDATE audit_payload SET "{section}" = ? WHERE seq = ?', (body, seq))
    for seq, body in enumerate(BODIES, start=1):
        assert failing(open_app, url, ["records"], record=str(seq)) == [], body[:20]
    assert failing(open_app, url, ["entities"], entity="sample:S-100") == []


VERIFICATION_COLUMNS = [column.name for column in verification.columns if column.name not in OWN]


@pytest.mark.parametrize("value", WORST)
def test_a_verification_that_somebody_altered_stops_no_page_and_proves_nothing(
    value: str, open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'altered.db'}"
    (row,) = altered.execute("SELECT * FROM verification").fetchall()
    for column in VERIFICATION_COLUMNS:
        with altered:
            altered.execute(f'UPDATE verification SET "{column}" = ?', (VALUES[value],))
        assert failing(open_app, url, ["records", "integrity"]) == [], column
        if column == "findings":  # the overview says of the verdict what every page does, in the same words
            assert failing(open_app, url, ["overview"]) == []
        with altered:
            altered.execute("DELETE FROM verification")
            altered.execute(f"INSERT INTO verification VALUES ({', '.join('?' * len(row))})", row)


def test_a_verification_of_the_future_is_shown_as_such(
    open_app: OpenApp, altered: sqlite3.Connection, tmp_path: Path
) -> None:
    with altered:
        altered.execute("UPDATE verification SET started_at = '2999-01-01T00:00:00.000000Z'")
    app = open_app(f"sqlite:///{tmp_path / 'altered.db'}", "integrity", org=LAB)
    assert any("still to come" in error for error in app.errors)
    assert "The recorded history is intact" not in app.text
