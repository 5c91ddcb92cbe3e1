"""Spans that workers read side by side, put together in their order as if one had read them all.

Workers read the database themselves, each in a snapshot of its own that may be newer than the verification's. So
they are given positions, and what lies beyond the last one, or was erased meanwhile, is not for them to judge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import NamedTuple

from sqlalchemy import Connection, func

from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scoped
from flasktrack.verify.chain import unrecorded_link
from flasktrack.verify.continuity import Tape
from flasktrack.verify.rows import Streams
from flasktrack.verify.span import Scan, scan_elsewhere, spans

_AHEAD = 16  # spans in work or waiting to be put together: what they hold is what memory they take


class Shared(NamedTuple):
    """Positions from `first` to `last`, the newest one, shared out in spans of about `span` records."""

    connection: Connection
    organization_id: str
    first: int
    last: int
    wanted: frozenset[int]
    span: int
    altered: bool = False

    def scan(self, workers: Executor, tape: Tape, progress: Callable[[int], None] | None) -> Scan:
        """As `span.scan`, by the workers. An error in `progress` cancels what they have not begun."""
        found: Scan | None = None
        for part in self._parts(workers, tape.seed):
            tape.add(part.tape)
            part.tape = b""
            if found is None:
                found = part
            else:
                found.extend(part)
            if progress is not None:
                progress(found.records)
        assert found is not None  # noqa: S101 (whoever shares has more than one span)
        beyond = Streams(self.connection, self.organization_id, self.last + 1, self.last, open_end=True)
        found.problems += [unrecorded_link(seq) for seq, _, _ in beyond.links()]
        return found

    def _parts(self, workers: Executor, seed: bytes) -> Iterator[Scan]:
        """What the workers found, in order; not many spans ahead of what was taken."""
        url = self.connection.engine.url.render_as_string(hide_password=False)
        running: deque[Future[Scan]] = deque()
        waiting = spans(self.first, self.last, self.span, self._next_row)
        try:
            while True:
                for first, last in waiting:
                    sizes = tuple(size for size in self.wanted if first <= size <= last)
                    joined = first > self.first
                    arguments = (url, self.organization_id, first, last, sizes, joined, self.altered, seed)
                    running.append(workers.submit(scan_elsewhere, *arguments))
                    if len(running) == _AHEAD:
                        break
                if not running:
                    return
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def _next_row(self, position: int) -> int:
        seq = audit_record.c.seq
        nearest = machine_scoped(self.organization_id, func.min(seq)).where(seq >= position, seq <= self.last)
        return int(self.connection.execute(nearest).scalar_one() or self.last)
