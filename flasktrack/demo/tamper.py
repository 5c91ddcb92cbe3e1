"""A copy of an SQLite database that an insider has altered, for looking at a broken chain.

The insider owns the file: drops the append-only triggers, changes what is inconvenient, recomputes a hash where they
know how, and puts the triggers back. The original stays as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from flasktrack.core.header import header_hash, record_header
from flasktrack.demo.load import STARTED_BY
from flasktrack.errors import DatabaseError
from flasktrack.store.engine import open_engine, sqlite_file
from flasktrack.store.organizations import list_chains
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.verify.runner import verify_organization

_SMALLEST = 500  # records; below that the alterations would run into each other


def make_tampered_copy(engine: Engine, target: Path) -> list[str]:
    """Copy the engine's database to `target` (an older copy there is replaced), alter it, verify it, and say
    what was done.

    Raises DatabaseError where the database is not an SQLite file or is `target`, or its largest organization has under
    500 records.
    """
    source = sqlite_file(engine)
    if source is None:
        raise DatabaseError("Only an SQLite database can be copied for tampering.", "Give --database sqlite:///...")
    if target.exists() and source.exists() and source.samefile(target):  # it would be deleted before it is copied
        raise DatabaseError(
            f"{target} is the tampered copy itself.", "Give --database of the database that is to be copied."
        )
    with closing(sqlite3.connect(source)) as original:
        row = original.execute(
            "SELECT organization_id, max(seq) FROM audit_record GROUP BY organization_id ORDER BY 2 DESC"
        ).fetchone()
        if row is None or row[1] < _SMALLEST:
            raise DatabaseError("There is too little to tamper with.", "Load the sample lab first: demo")
        for leftover in (target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")):
            leftover.unlink(missing_ok=True)
        with closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            triggers = copy.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                copy.execute(f'DROP TRIGGER "{name}"')
            done = list(_alter(copy, target, *row))
            for _, sql in triggers:
                copy.execute(sql)
            copy.commit()
    altered = open_engine(f"sqlite:///{target}")
    try:
        for organization in list_chains(altered):
            verify_organization(altered, organization, started_by=STARTED_BY)
    finally:
        altered.dispose()
    return done


def _alter(copy: sqlite3.Connection, target: Path, organization: str, size: int) -> Iterator[str]:
    def run(sql: str, **values: Any) -> None:
        copy.execute(sql, {"organization": organization, **values})

    here = "organization_id = :organization AND seq"
    places = [size * share // 100 for share in (12, 27, 41, 55, 68, 79, 90)]

    run(f"UPDATE audit_record SET actor_id = 'u-99', actor_name = 'N. N.' WHERE {here} = :seq", seq=places[0])
    yield f"{organization}, record {places[0]}: another person was put in as the actor."

    run(f"DELETE FROM audit_record WHERE {here} BETWEEN :seq AND :seq + 2", seq=places[1])
    run(f"DELETE FROM audit_payload WHERE {here} BETWEEN :seq AND :seq + 2", seq=places[1])
    yield f"{organization}, records {places[1]} to {places[1] + 2}: deleted."

    for table in ("audit_record", "audit_payload"):
        for old, new in ((places[2], -1), (places[2] + 6, places[2]), (-1, places[2] + 6)):
            run(f"UPDATE {table} SET seq = :new WHERE {here} = :old", old=old, new=new)
    yield f"{organization}, records {places[2]} and {places[2] + 6}: swapped."

    seq = _first(
        copy, f"SELECT seq FROM audit_payload WHERE {here} >= :seq AND after IS NOT NULL", organization, places[3]
    )
    run(
        f'UPDATE audit_payload SET after = replace(after, \'"status":"\', \'"status":"re\') WHERE {here} = :seq',
        seq=seq,
    )
    run(f"UPDATE audit_payload SET after = after || ' ' WHERE {here} = :seq", seq=seq)
    yield f"{organization}, record {seq}: what it says about the state after the act was edited."

    seq = _first(copy, f"SELECT seq FROM record_link WHERE {here} >= :seq", organization, places[4])
    run(f"DELETE FROM record_link WHERE {here} = :seq", seq=seq)
    yield f"{organization}, record {seq}: no longer found from the entities that it relates to."

    copy.commit()
    engine = open_engine(f"sqlite:///{target}")
    record = Ledger(engine, machine_scope(organization)).get(places[5])
    engine.dispose()
    assert record is not None  # noqa: S101 (nothing was deleted there)
    forged = record.record._replace(reason="Approved by telephone")
    new_hash = header_hash(record_header(forged))
    run(f"UPDATE audit_record SET reason = :reason, hash = :hash WHERE {here} = :seq",
        reason=forged.reason, hash=new_hash, seq=places[5])  # fmt: skip
    yield f"{organization}, record {places[5]}: a reason was put in, and the record's hash made anew."

    run(f"DELETE FROM audit_record WHERE {here} > :seq", seq=size - 4)
    run(f"DELETE FROM audit_payload WHERE {here} > :seq", seq=size - 4)
    yield f"{organization}, records {size - 3} to {size}: cut off."


def _first(copy: sqlite3.Connection, sql: str, organization: str, seq: int) -> int:
    found = copy.execute(f"{sql} ORDER BY seq LIMIT 1", {"organization": organization, "seq": seq}).fetchone()
    return int(found[0]) if found is not None else seq
