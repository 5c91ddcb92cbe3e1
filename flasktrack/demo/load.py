"""Filling an empty database with the sample lab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

from sqlalchemy import Engine

from flasktrack.core.times import utc_now
from flasktrack.demo.lab import read_labs
from flasktrack.demo.simulate import simulate
from flasktrack.demo.world import Act
from flasktrack.errors import DatabaseError
from flasktrack.store.engine import initialize, writing
from flasktrack.store.organizations import create_organization, list_chains
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization

STARTED_BY = "system:sample-lab"
_BATCH = 1000


class _Clock:
    """A recorder's clock that shows, one after the other, when the acts were recorded."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self._times = iter([act.recorded_at for act in acts])

    def __call__(self) -> datetime:
        return next(self._times)


def load_sample_lab(
    engine: Engine, until: date | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Make the schema where it is missing, append the sample lab, all in one transaction, and verify what was loaded.

    `until` is the day after the last simulated one (default: today). Returns the number of records by organization.
    Raises DatabaseError where the database holds an organization already.
    """
    initialize(engine)
    if list_chains(engine):
        raise DatabaseError("The database is not empty.", "Give the address of another one for the sample lab.")
    until = until or utc_now().date()
    work = [(lab, simulate(lab, until)) for lab in read_labs()]
    total = sum(len(acts) for _, acts in work)
    done = 0
    with writing(engine) as connection:
        for lab, acts in work:
            create_organization(connection, lab.id, lab.name, str(lab.zone))
            for start in range(0, len(acts), _BATCH):
                batch = acts[start : start + _BATCH]
                append(connection, lab.id, [act.event for act in batch], clock=_Clock(batch))
                done += len(batch)
                if progress is not None:
                    progress(done, total)
    for lab, _ in work:
        verify_organization(engine, lab.id, started_by=STARTED_BY)
    return {lab.id: len(acts) for lab, acts in work}
