"""Verifications: each run is a row, so that a verdict has a time, a scope and somebody who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, insert, select

from flasktrack.core.finding import ERROR, Finding
from flasktrack.store.schema import verification

VERIFIED, BROKEN, NOT_CHECKED = "verified", "broken", "not_checked"
FULL, INCREMENTAL, RANGE = "full", "incremental", "range"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found. `started_at` is the spec's time text; positions are inclusive; `seconds` is how long
    it took; `sealed` is the size of the newest checkpoint that was checked (0: none), `anchored` that of the newest
    anchor. `mode` says which records were checked: all of them, those since the last verified checkpoint, or a range.
    """

    id: str
    organization_id: str
    started_at: str
    seconds: float
    started_by: str
    first_seq: int
    last_seq: int
    records: int
    sealed: int
    findings: tuple[Finding, ...]
    mode: str = FULL
    anchored: int = 0

    @property
    def status(self) -> str:
        """`broken` with an error, `verified` where records were checked and there is none (spec section 5)."""
        if any(finding.severity == ERROR for finding in self.findings):
            return BROKEN
        return VERIFIED if self.records else NOT_CHECKED

    def as_json(self) -> dict[str, object]:
        """The object of spec section 6, `verify --json`."""
        return {
            "organization_id": self.organization_id,
            "status": self.status,
            "records": self.records,
            "sealed": self.sealed,
            "findings": [finding.as_json() for finding in self.findings],
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "started_at": self.started_at,
            "seconds": round(self.seconds, 3),
            "started_by": self.started_by,
            "mode": self.mode,
            "anchored": self.anchored,
        }


def store_verification(connection: Connection, done: Verification) -> None:
    """Keep a verification, in the caller's transaction."""
    names = [column.name for column in verification.columns if column.name not in ("status", "findings")]
    connection.execute(
        insert(verification).values(
            **{name: getattr(done, name) for name in names},
            status=done.status,
            findings=orjson.dumps([finding.as_json() for finding in done.findings]).decode(),
        )
    )


def list_verifications(engine: Engine, organization_id: str, limit: int = 100) -> list[Verification]:
    """An organization's verifications, the newest first."""
    statement = (
        select(verification)
        .where(verification.c.organization_id == organization_id)
        .order_by(verification.c.started_at.desc(), verification.c.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return [_verification(row) for row in connection.execute(statement)]


def latest_verification(engine: Engine, organization_id: str) -> Verification | None:
    """The newest one, or None where none was ever run."""
    return next(iter(list_verifications(engine, organization_id, limit=1)), None)


def _verification(row: Row[Any]) -> Verification:
    stored = row._asdict()
    found = [
        Finding(f["code"], f["organization_id"], f["seq"], f["seq_end"], f["detail"], f["section"])
        for f in orjson.loads(stored["findings"])
    ]
    del stored["status"]  # it follows from the findings
    return Verification(**{**stored, "findings": tuple(found)})
