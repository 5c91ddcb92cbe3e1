"""Rows of exports: they say how far one is and how it ended, once, and to its own organization alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, update

from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ExportFailed
from flasktrack.store import exports
from flasktrack.store.engine import writing
from flasktrack.store.exports import Export, begin_export, cancel_export, find_export, list_exports, report_written
from flasktrack.store.schema import export
from flasktrack.store.scope import machine_scope
from tests.store.samples import NORTHWIND, SOUTHPORT


def asked(**changes: Any) -> Export:
    now = format_time(utc_now())
    return replace(
        Export(
            "e-1",
            NORTHWIND,
            now,
            "user:u-1",
            "csv",
            {"action": ["delete"]},
            {"columns": []},
            7,
            "running",
            0,
            now,
            "/x",
        ),
        **changes,
    )


def settle(engine: Engine, status: str, **values: Any) -> None:
    with writing(engine) as connection:
        exports.settle_export(connection, "e-1", status, **values)


def test_an_export_is_followed_and_settled_once(engine: Engine) -> None:
    begin_export(engine, asked())
    assert report_written(engine, "e-1", 3)
    found = find_export(engine, machine_scope(NORTHWIND), "e-1")
    assert found is not None
    assert (found.written, found.status, dict(found.params)) == (3, "running", {"action": ["delete"]})
    later = format_time(utc_now().replace(year=2999))
    settle(engine, "done", written=7, sha256="ab", bytes=10, seq=8, expires_at=later)
    settle(engine, "failed", problem="too late")
    assert not report_written(engine, "e-1", 4)
    found = find_export(engine, machine_scope(NORTHWIND), "e-1")
    assert found is not None
    assert (found.written, found.status, found.problem, found.downloadable) == (7, "done", None, True)


def test_who_cancels_ends_it(engine: Engine) -> None:
    begin_export(engine, asked())
    cancel_export(engine, machine_scope(SOUTHPORT), "e-1")
    assert report_written(engine, "e-1", 1)
    cancel_export(engine, machine_scope(NORTHWIND), "e-1")
    assert not report_written(engine, "e-1", 2)


def test_exports_are_their_organizations_own_and_the_newest_first(engine: Engine) -> None:
    times = [f"2026-11-2{day}T00:00:00.000000Z" for day in range(1, 4)]
    with writing(engine) as connection:
        for number, time in enumerate(times):
            exports.keep_export(connection, asked(id=f"e-{number}", requested_at=time, status="done"))
        exports.keep_export(connection, asked(id="other", organization_id=SOUTHPORT))
    assert [one.id for one in list_exports(engine, machine_scope(NORTHWIND))] == ["e-2", "e-1", "e-0"]
    assert [one.id for one in list_exports(engine, machine_scope(NORTHWIND), limit=1)] == ["e-2"]
    assert find_export(engine, machine_scope(NORTHWIND), "other") is None


def test_so_many_at_once_and_no_more(engine: Engine) -> None:
    silent = "2026-01-01T00:00:00.000000Z"
    begin_export(engine, asked(id="dead", updated_at=silent))
    for number in range(exports.MOST_AT_ONCE):
        begin_export(engine, asked(id=f"e-{number}"))
    with pytest.raises(ExportFailed, match="try again"):
        begin_export(engine, asked(id="one more"))
    dead = find_export(engine, machine_scope(NORTHWIND), "dead")
    assert dead is not None
    assert dead.status == "failed"
    assert "without a word" in str(dead.problem)


@pytest.mark.parametrize(
    "altered",
    [
        {"filter": "no JSON"},
        {"filter": "[]"},
        {"filter": '{"seq": 5}'},
        {"filter": '{"text": [{}]}'},
        {"options": "7"},
        {"options": '{"columns": 5}'},
    ],
)
def test_an_altered_row_says_so(engine: Engine, altered: dict[str, str]) -> None:
    begin_export(engine, asked())
    with writing(engine) as connection:
        connection.execute(update(export).values(**altered))
    (found,) = list_exports(engine, machine_scope(NORTHWIND))
    assert found.status == "failed"
    assert "altered" in str(found.problem)
