"""What pages ask, measured: `python -m benchmarks.insight [--records N] [--folder FOLDER] [--postgresql URL]`.

Prints one Markdown table: the first build of the columnar copy, catching up on a thousand records, and the questions of
each page altogether, beside the same put to the SQL database directly and to pandas after loading every record. A
database of so many records is made in the folder unless it is there (`--records 10000000`: about 11 GB).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Engine, func, select

from benchmarks.events import make_events
from benchmarks.generate import ORGANIZATION, fast_engine, fill
from flasktrack.insight.clock import clock
from flasktrack.insight.copy import Copy
from flasktrack.insight.copy_place import default_place, open_copy
from flasktrack.insight.filter import RecordFilter
from flasktrack.insight.quarter_hours import quarter_hour
from flasktrack.insight.questions import Questions
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope, machine_scoped
from flasktrack.store.writer import append

ALL = RecordFilter()
DENIED = RecordFilter(outcomes=("denied",))
ZONE = ZoneInfo("Europe/Berlin")
_NEW = 1000
_ROUNDS = 3

# A page's questions to the copy, and what has to be grouped to answer them otherwise.
PAGES: dict[str, tuple[list[Callable[[Questions], Any]], list[tuple[str, ...]]]] = {
    "Overview": (
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
    "Actors": (
        [lambda ask: ask.totals(ALL), lambda ask: ask.actors(ALL), lambda ask: clock(ask, ALL, ZONE)],
        [("actor_type", "actor_id"), ("entity_type", "entity_id"), ("quarter", "actor_type")],
    ),
    "Entities": (
        [lambda ask: ask.totals(ALL), lambda ask: ask.entities(ALL)],
        [("actor_type", "actor_id"), ("entity_type", "entity_id")],
    ),
}  # fmt: skip


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
        with writing(engine) as connection:
            append(connection, ORGANIZATION, make_events(copy.state(ORGANIZATION).last_seq, _NEW))
        times.append(_seconds(lambda: copy.take_in(ORGANIZATION)))
    return median(times)


def _questions(name: str, copy: Copy) -> Iterator[tuple[str, str]]:
    ask = Questions(copy, machine_scope(ORGANIZATION))
    for page, (questions, _) in PAGES.items():

        def put(questions: list[Callable[[Questions], Any]] = questions) -> None:
            for question in questions:
                question(ask)

        yield f"{page}, its questions: {name}", _milliseconds(_rounds(put))
    yield (
        f"Overview, narrowed to what was denied: {name}",
        _milliseconds(_rounds(lambda: [ask.totals(DENIED), clock(ask, DENIED, ZONE), ask.actors(DENIED)])),
    )


def _directly(name: str, engine: Engine) -> Iterator[tuple[str, str]]:
    column = audit_record.c
    for page, (_, groups) in PAGES.items():

        def put(groups: list[tuple[str, ...]] = groups) -> None:
            with engine.connect() as connection:
                for group in groups:
                    key = [quarter_hour(column.occurred_at) if one == "quarter" else column[one] for one in group]
                    counted = machine_scoped(ORGANIZATION, *key, func.count().label("records")).group_by(*key)
                    if "entity_id" in group:
                        counted = select(func.count()).select_from(counted.subquery())
                    connection.execute(counted).all()

        yield f"{page}, its questions: {name} directly", _milliseconds(_seconds(put))


def _pandas(engine: Engine) -> Iterator[tuple[str, str]]:
    names = ["occurred_at", "actor_type", "actor_id", "action", "outcome", "entity_type", "entity_id"]
    start = time.perf_counter()
    with engine.connect() as connection:
        loaded = pd.read_sql(machine_scoped(ORGANIZATION, *(audit_record.c[name] for name in names)), connection)
    loaded["quarter"] = pd.to_datetime(loaded["occurred_at"], format="ISO8601").dt.floor("15min")
    yield "pandas: loading every record", f"{time.perf_counter() - start:,.1f} s, then {_peak():,.0f} MB"
    for page, (_, groups) in PAGES.items():

        def group_all(groups: list[tuple[str, ...]] = groups) -> None:
            for group in groups:
                loaded.groupby(list(group)).size()

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
