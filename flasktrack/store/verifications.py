"""Verifications: each run is a row, so that a verdict has a time, a scope and somebody who asked for it.

Rows are append-only and numbered as they are stored. Whoever has the database can forge one all the same: a row is what
somebody wrote down, and the verdict to rely on is that of the verification that one has just run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Row, case, func, insert, select, text

from flasktrack.core.finding import ERROR, SEVERITY, Finding
from flasktrack.core.times import format_time, parse_time, utc_now
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import verification
from flasktrack.store.scope import Permission, Scope

VERIFIED, BROKEN, NOT_CHECKED = "verified", "broken", "not_checked"
FULL, INCREMENTAL, RANGE = "full", "incremental", "range"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)  # of this machine's clock: what was stored by a machine whose clock differs
_MAX_NUMBER = 2**53  # a larger one was not counted up to
_LOCK = 0x766572696679  # "verify": the advisory lock under which PostgreSQL's writers take the next number
_OWN = ("status", "findings", "remarks", "number")  # columns that are not a Verification's attributes as they are
_TRIED = 100  # rows read in search of one that can be believed


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found. `started_at` is the spec's time text; positions are inclusive; `seconds` is how long
    it took; `sealed` is the size of the newest checkpoint that was checked (0: none), `anchored` that of the newest
    anchor. `mode` says which records were checked: all of them, those since the last verified checkpoint, or a range.

    `remarks` are sentences on the database itself: what makes its tables other than what FlaskTrack's schema says.
    `kept` is false for one that could not be stored, since the database user may only read.
    Where a stored row can't be believed, `believed` is false, everything but its id is empty, and a remark says why.
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
    remarks: tuple[str, ...] = ()
    believed: bool = True
    kept: bool = True

    @property
    def status(self) -> str:
        """`broken` with an error or remark, `verified` where records were checked and there is none (section 5)."""
        if not self.believed:
            return NOT_CHECKED
        if self.worst:
            return BROKEN
        return VERIFIED if self.records else NOT_CHECKED

    @property
    def speaks_for_chain(self) -> bool:
        """Whether its status is the chain's: a range's is only where it found an error."""
        return self.mode != RANGE or self.status == BROKEN

    @property
    def worst(self) -> str:
        """The sentence of the first error, or else the first remark; empty where there is neither."""
        errors = (finding.detail for finding in self.findings if finding.severity == ERROR)
        return next(errors, self.remarks[0] if self.remarks else "")

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
            "remarks": list(self.remarks),
        }


def store_verification(connection: Connection, done: Verification) -> None:
    """Keep a verification as the newest one, in the caller's write transaction."""
    if connection.dialect.name == "postgresql":  # SQLite's write lock is the caller's already
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    numbers = verification.c.number
    newest = select(func.coalesce(func.max(numbers), 0)).where(
        verification.c.organization_id == done.organization_id, numbers.between(0, _MAX_NUMBER)
    )
    names = [column.name for column in verification.columns if column.name not in _OWN]
    connection.execute(
        insert(verification).values(
            **{name: getattr(done, name) for name in names},
            status=done.status,
            findings=orjson.dumps([finding.as_json() for finding in done.findings]).decode(),
            remarks=orjson.dumps(done.remarks).decode(),
            number=connection.execute(newest).scalar_one() + 1,
        )
    )


def list_verifications(engine: Engine, scope: Scope, limit: int = 100) -> list[Verification]:
    """An organization's verifications, the newest first; those whose number makes no sense last.

    Never raises for what a row holds (see `Verification.believed`); NotPermitted.
    """
    scope.check(Permission.SEE_INTEGRITY)
    with of_organization(engine, scope.organization_id).connect() as connection:
        return _read(connection, scope.organization_id, limit)


def latest_verification(engine: Engine, organization_id: str) -> Verification | None:
    """The newest one, or None where none was ever run."""
    with of_organization(engine, organization_id).connect() as connection:
        return next(iter(_read(connection, organization_id, 1)), None)


def latest_verdict(engine: Engine, scope: Scope) -> Verification | None:
    """The newest one that speaks for the whole chain, or None: what every page's numbers rest on."""
    latest = latest_verification(engine, scope.organization_id)
    if latest is None or latest.speaks_for_chain:
        return latest
    with of_organization(engine, scope.organization_id).connect() as connection:
        found = _read(connection, scope.organization_id, 100)
    return next((one for one in found if one.speaks_for_chain), None)


def verified_through(connection: Connection, organization_id: str) -> int:
    """Up to which position the newest sound verification reached, those of ranges left aside; 0 for none."""
    rows = verification.c
    found = _read(connection, organization_id, _TRIED, rows.status == VERIFIED, rows.mode != RANGE)
    return next((done.last_seq for done in found if done.believed), 0)


def _read(
    connection: Connection, organization_id: str, limit: int, *conditions: ColumnElement[bool]
) -> list[Verification]:
    rows = verification.c
    statement = (
        select(verification)
        .where(rows.organization_id == organization_id, *conditions)
        .order_by(case((rows.number.between(0, _MAX_NUMBER), 0), else_=1), rows.number.desc(), rows.id.desc())
        .limit(limit)
    )
    latest = format_time(utc_now() + _AHEAD)
    return [_verification(row, organization_id, latest) for row in connection.execute(statement)]


def _verification(row: Row[Any], organization_id: str, latest: str) -> Verification:
    """A row as a Verification; one that nobody can have stored is given back as not believed."""
    try:
        return _parsed(row._asdict(), latest)
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        return Verification(
            id=str(row.id)[:255],
            organization_id=organization_id,
            started_at=format_time(_EPOCH),
            seconds=0.0,
            started_by="unknown",
            first_seq=0,
            last_seq=0,
            records=0,
            sealed=0,
            findings=(),
            remarks=(f"This verification can't be read, so it proves nothing: {problem}.",),
            believed=False,
        )


def _parsed(stored: dict[str, Any], latest: str) -> Verification:
    """Raises ValueError, TypeError, KeyError or OverflowError, in words, for what `store_verification` never stored."""
    status, number = stored.pop("status"), stored.pop("number")
    for name in ("id", "organization_id", "started_by"):
        _expect(isinstance(stored[name], str), f"its {name} is no text")
    for name in ("first_seq", "last_seq"):
        _expect(type(stored[name]) is int, f"its {name} is no position")
    for name in ("records", "sealed", "anchored"):
        _expect(type(stored[name]) is int and stored[name] >= 0, f"its {name} is no count")
    _expect(type(number) is int and 0 <= number <= _MAX_NUMBER, "its number is none that is given")
    seconds, started_at = stored["seconds"], stored["started_at"]
    _expect(isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0, "its duration is none")
    _expect(isinstance(started_at, str) and format_time(parse_time(started_at)) == started_at, "its time is no time")
    _expect(started_at >= format_time(_EPOCH), "its time is none at which it can have been run")
    _expect(started_at <= latest, f"it bears the time {started_at}, which is still to come")
    _expect(stored["mode"] in (FULL, INCREMENTAL, RANGE), "its mode is unknown")
    remarks = orjson.loads(stored["remarks"])
    _expect(isinstance(remarks, list) and all(isinstance(one, str) for one in remarks), "its remarks are none")
    found = tuple(_finding(one) for one in orjson.loads(stored["findings"]))
    done = Verification(**{**stored, "findings": found, "remarks": tuple(remarks)})
    _expect(done.status == status, "its status is not what its findings say")
    return done


def _finding(stored: Any) -> Finding:
    _expect(isinstance(stored, dict) and stored.get("code") in SEVERITY, "it has a finding of no known kind")
    found = Finding(*(stored[name] for name in ("code", "organization_id", "seq", "seq_end", "detail", "section")))
    texts = found.organization_id, found.detail, found.section or ""
    _expect(all(isinstance(one, str) for one in texts), "it has a finding without words")
    _expect(type(found.seq) is int and type(found.seq_end) is int, "it has a finding without a position")
    return found


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
