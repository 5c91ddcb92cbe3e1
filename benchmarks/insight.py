"""What pages ask, measured: `python -m benchmarks.insight [--records N] [--folder FOLDER] [--postgresql URL]`.

Prints one Markdown table: the first build of the columnar copy, catching up on a thousand records, and the questions of
each page altogether, beside the same put to the SQL database directly and to pandas after loading every record. A
database of so many records is made in the folder unless it is there (`--records 10000000`: about 11 GB).
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Engine, func, select

from benchmarks.events import make_events
from benchmarks.generate import DELAY, ORGANIZATION, fast_engine, fill
from flasktrack.core.record import Reference
from flasktrack.insight.attention.attention import find_attention
from flasktrack.insight.attention.look import LOOK_BACK, MOST_RECORDS
from flasktrack.insight.attention.thresholds import DEFAULTS
from flasktrack.insight.clock import clock
from flasktrack.insight.copy import Copy
from flasktrack.insight.copy_place import default_place, open_copy
from flasktrack.insight.entities import find_entities
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import quarter_hour
from flasktrack.insight.questions import Questions
from flasktrack.insight.relations import neighbours
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope, machine_scoped
from flasktrack.store.writer import append
from flasktrack.verify import compiled

ALL = RecordFilter()
DENIED = RecordFilter(outcomes=("denied",))
ZONE = ZoneInfo("Europe/Berlin")
WORD = "77"
_NEW = 1000
_PAGE = 501
_ROUNDS = 9


class Page(NamedTuple):
    """A page's questions to the copy, and what has to be grouped to answer them otherwise: of all records, or of as
    many of the newest. Without groups, nothing is compared."""

    questions: list[Callable[[Questions], Any]]
    groups: Sequence[tuple[str, ...]] = ()
    newest: int | None = None


PAGES = {
    "Overview": Page(
        [
            lambda ask: ask.totals(ALL),
            lambda ask: clock(ask, ALL, ZONE),
            lambda ask: ask.actors(ALL),
            lambda ask: ask.counts(ALL, "action", limit=7),
            lambda ask: ask.counts(ALL, "entity_type", limit=7),
        ],
        [("actor_type", "actor_id"), ("entity_type", "entity_id"), ("quarter", "actor_type"), ("action",),
         ("entity_type",)],
    ),
    "Actors": Page(
        [lambda ask: ask.totals(ALL), lambda ask: ask.actors(ALL), lambda ask: clock(ask, ALL, ZONE)],
        [("actor_type", "actor_id"), ("entity_type", "entity_id"), ("quarter", "actor_type")],
    ),
    "Entities": Page(
        [lambda ask: ask.totals(ALL), lambda ask: find_entities(ask, ALL)],
        [("actor_type", "actor_id"), ("entity_type", "entity_id")],
    ),
    "Entities found by a word": Page([lambda ask: find_entities(ask, ALL, WORD)]),
    "An entity's relations": Page([lambda ask: neighbours(ask, _touched_last(ask))]),
    "Attention, all rules": Page(
        [lambda ask: find_attention(ask, DEFAULTS)],
        [("actor_type", "actor_id", "action"), ("actor_type", "actor_id", "outcome"), ("recorded_at",),
         ("entity_type", "entity_id", "action")],
        MOST_RECORDS + LOOK_BACK,
    ),
}  # fmt: skip


def _touched_last(ask: Questions) -> Reference:
    entity = find_entities(ask, ALL, limit=1).iloc[0]
    return Reference(entity["entity_type"], entity["entity_id"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insight", description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/flasktrack-insight"))  # noqa: S108
    parser.add_argument("--postgresql", metavar="URL", help="an empty PostgreSQL database, to compare with")
    parser.add_argument("--no-pandas", action="store_true", help="where there is not enough memory to load everything")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| | records | |\n| --- | ---: | ---: |")
    for name, value in measure(options.folder, options.records, options.postgresql, pandas=not options.no_pandas):
        print(f"| {name} | {options.records:,} | {value} |", flush=True)


def measure(folder: Path, records: int, postgresql: str | None, *, pandas: bool) -> Iterator[tuple[str, str]]:
    """The rows of the table."""
    engine = _database(f"sqlite:///{folder / f'{records}.db'}", records)
    Path(str(default_place(engine).database)).unlink(missing_ok=True)
    copy = open_copy(engine)
    seconds = _seconds(lambda: copy.take_in(ORGANIZATION))
    compiled.load()
    gc.collect()
    gc.freeze()  # as the app does before it answers: see flasktrack/ui/ready.py
    taken = copy.state(ORGANIZATION)
    assert taken.failed == 0
    yield "First build of the copy, each record checked", f"{seconds:,.1f} s, {taken.records / seconds:,.0f} records/s"
    yield "Catching up on 1,000 records", _milliseconds(_catch_up(engine, copy))
    yield from _questions("DuckDB copy", copy)
    yield "Peak memory of the process until here", f"{_peak():,.0f} MB"
    copy.engine.dispose()
    yield from _directly("SQLite", engine)
    if postgresql is not None:
        server = _database(postgresql, records)
        yield from _directly("PostgreSQL", server)
    if pandas:
        yield from _pandas(engine)


def _database(url: str, records: int) -> Engine:
    """A database of so many records, made where there is none."""
    engine = open_engine(url)
    if engine.dialect.name == "sqlite" and Path(str(engine.url.database)).exists():
        return engine
    filled = fast_engine(url)
    for _ in fill(filled, ORGANIZATION, records):
        pass
    filled.dispose()
    return engine


def _catch_up(engine: Engine, copy: Copy) -> float:
    times = []
    for _ in range(_ROUNDS):
        events = list(make_events(copy.state(ORGANIZATION).last_seq, _NEW))
        recorded = iter([event.occurred_at + DELAY for event in events])  # as `generate` has them: they stay there
        with writing(engine) as connection:
            append(connection, ORGANIZATION, events, clock=recorded.__next__)
        times.append(_seconds(lambda: copy.take_in(ORGANIZATION)))
    return median(times)


def _questions(name: str, copy: Copy) -> Iterator[tuple[str, str]]:
    ask = Questions(copy, machine_scope(ORGANIZATION))
    for page, asked in PAGES.items():

        def put(questions: list[Callable[[Questions], Any]] = asked.questions) -> None:
            for question in questions:
                question(ask)

        yield f"{page}, its questions: {name}", _milliseconds(_rounds(put))
    yield (
        f"Overview, narrowed to what was denied: {name}",
        _milliseconds(_rounds(lambda: [ask.totals(DENIED), clock(ask, DENIED, ZONE), ask.actors(DENIED)])),
    )
    ledger = Ledger(copy.source, machine_scope(ORGANIZATION))
    yield (
        f"Records, a page of what was denied, read and checked: {name}",
        _milliseconds(_rounds(lambda: list(ledger.at(ask.positions(DENIED, limit=_PAGE))))),
    )


def _directly(name: str, engine: Engine) -> Iterator[tuple[str, str]]:
    column = audit_record.c
    ledger = Ledger(engine, machine_scope(ORGANIZATION))
    last = ledger.newest()
    for page, asked in PAGES.items():
        if not asked.groups:
            continue

        def put(asked: Page = asked) -> None:
            with engine.connect() as connection:
                for group in asked.groups:
                    key = [quarter_hour(column.occurred_at) if one == "quarter" else column[one] for one in group]
                    counted = machine_scoped(ORGANIZATION, *key, func.count().label("records")).group_by(*key)
                    counted = counted.where(column.seq > last - (asked.newest or last))
                    if "entity_id" in group:
                        counted = select(func.count()).select_from(counted.subquery())
                    connection.execute(counted).all()

        yield f"{page}, its questions: {name} directly", _milliseconds(_seconds(put))
    page_of_denied = DENIED.conditions()
    yield (
        f"Records, a page of what was denied, read and checked: {name} directly",
        _milliseconds(_rounds(lambda: list(ledger.stream(*page_of_denied, descending=True, limit=_PAGE)))),
    )


def _pandas(engine: Engine) -> Iterator[tuple[str, str]]:
    names = ["occurred_at", "recorded_at", "actor_type", "actor_id", "action", "outcome", "entity_type", "entity_id"]
    start = time.perf_counter()
    with engine.connect() as connection:
        loaded = pd.read_sql(machine_scoped(ORGANIZATION, *(audit_record.c[name] for name in names)), connection)
    loaded["quarter"] = pd.to_datetime(loaded["occurred_at"], format="ISO8601").dt.floor("15min")
    yield "pandas: loading every record", f"{time.perf_counter() - start:,.1f} s, then {_peak():,.0f} MB"
    for page, asked in PAGES.items():
        if not asked.groups:
            continue

        def group_all(asked: Page = asked) -> None:
            for group in asked.groups:
                loaded.tail(asked.newest or len(loaded)).groupby(list(group)).size()

        yield f"{page}, its questions: pandas, once loaded", _milliseconds(_rounds(group_all))


def _rounds(work: Callable[[], object]) -> float:
    return median(_seconds(work) for _ in range(_ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
