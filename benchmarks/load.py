"""Many people at once: `python -m benchmarks.load [--sessions 50] [--seconds 120] [--records N | --database URL]`.

Each session clicks from page to page, on the next one as soon as the last is drawn (or after `--pause` seconds), as
one of the organizations' people. Every page that comes is looked at: it must say nothing of an error, name the
session's own organization, and hold no word of another one's names and ids. Prints a Markdown table; the exit status is
1 where anything of that failed. A browser beside them tells when a page is ready to be read.

Without `--database` one with two organizations is made in `--folder`, unless it is there. With it, take one whose
organizations' ids and names do not occur in each other's records, and that nobody needs: accounts are added to it
(visitor-1 and so on), members, and records of what they looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from benchmarks.app import RunningApp, free_port, running_app
from benchmarks.crowd import PASSWORD, Person, crossed, gather
from benchmarks.generate import fast_engine, fill
from benchmarks.visitor import PATIENCE, Visitor, sign_in
from flasktrack.insight.copy_place import open_copy
from flasktrack.store.engine import open_database, open_engine
from flasktrack.store.organizations import list_organizations
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope

MADE = {"aurora-bioworks": "Aurora Bioworks", "tidewater-assays": "Tidewater Assays"}
"""Organizations of a database that is made here; the ids end every name in their records."""
_BROWSED = ("", "actors", "entities", "records")
_ROUNDS = 3
_DRAWN = "() => document.querySelectorAll('[data-testid=stSkeleton], [data-stale=true]').length === 0"
_WARM_UP = 0.25  # of the time: memory is compared from there on


SignedIn = tuple[Person, dict[str, str]]
"""Somebody, and the cookies that the app gave them."""


class Load:
    """What came of the clicks."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.problems: Counter[str] = Counter()
        self.memory: list[tuple[float, int]] = []
        self.processor = 0.0

    @property
    def pages(self) -> list[float]:
        return [one for times in self.seconds.values() for one in times]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause", type=float, default=0, help="seconds from a page that is drawn to the next click")
    parser.add_argument("--records", type=int, default=1_000_000, help="of both organizations, in a database made here")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/flasktrack-load"))  # noqa: S108
    parser.add_argument("--database", metavar="URL", help="a database to use in place of one that is made")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    engine = open_database(options.database) if options.database else _database(options.folder, options.records)
    people = gather(engine, options.sessions)
    _fill_copy(engine)
    port = free_port()
    environment = {
        "FLASKTRACK_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "FLASKTRACK_KEY_DIR": str(options.folder / "keys"),
        "FLASKTRACK_SIGN_IN": "local",
        "FLASKTRACK_URL": f"http://127.0.0.1:{port}",
    }
    load = Load()
    with running_app(environment, port) as app:
        cookies = [sign_in(app.address, person.id, PASSWORD) for person in people]
        alone = _browser_times(app, people[0])
        with _watching_memory(app, load), _browsing(app, people[0], load) as beside:
            begun, start = app.processor(), time.monotonic()
            asyncio.run(_click(app, list(zip(people, cookies, strict=True)), options.seconds, options.pause, load))
            load.processor = (app.processor() - begun) / (time.monotonic() - start)
        for line in app.complaints()[:5]:
            load.problems[f"the app's log: {line[:200]}"] += 1
    records = sum(Ledger(engine, machine_scope(one.id)).newest() for one in list_organizations(engine))
    _print(load, len(people), records, options.seconds, alone, beside)
    engine.dispose()
    for problem, times in load.problems.most_common(20):
        print(f"{times} x {problem}", file=sys.stderr)
    return 1 if load.problems or not load.pages else 0


# What is measured


def _database(folder: Path, records: int) -> Engine:
    """Two organizations with half of the records each, made where they are not there."""
    engine = open_engine(f"sqlite:///{folder / f'load-{records}.db'}")
    if not Path(str(engine.url.database)).exists():
        filled = fast_engine(engine.url.render_as_string(hide_password=False))
        for organization_id, name in MADE.items():
            for _ in fill(filled, organization_id, records // 2, name=name, mark=f"@{organization_id}"):
                pass
        with filled.connect().execution_options(flasktrack_begin="") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        filled.dispose()
    return engine


def _fill_copy(engine: Engine) -> None:
    """What pages count from is filled before anybody clicks: the first build is measured by benchmarks.insight."""
    copy = open_copy(engine)
    for organization in list_organizations(engine):
        copy.take_in(organization.id)
    copy.engine.dispose()


# The clicks


async def _click(app: RunningApp, people: list[SignedIn], seconds: float, pause: float, load: Load) -> None:
    end = time.monotonic() + seconds
    await asyncio.gather(*(_session(app, one, end, pause, load) for one in people))


async def _session(app: RunningApp, signed_in: SignedIn, end: float, pause: float, load: Load) -> None:
    person, cookies = signed_in
    draw = random.Random(person.id)
    try:
        async with Visitor(app.address, cookies) as visitor:
            while time.monotonic() < end:
                page, params = draw.choice(person.places)
                drawn = await visitor.open(page, {"org": [person.organization_id], **params})
                load.seconds[page or "overview"].append(drawn.seconds)
                for problem in (*drawn.problems, *crossed(drawn.sent, person)):
                    load.problems[f"{page or 'overview'}: {' '.join(problem.split())[:300]}"] += 1
                await asyncio.sleep(pause * draw.uniform(0.5, 1.5))
    except OSError as problem:
        load.problems[f"no connection: {problem}"] += 1


@contextmanager
def _watching_memory(app: RunningApp, load: Load) -> Iterator[None]:
    ended = threading.Event()
    start = time.monotonic()

    def look() -> None:
        while app.process.poll() is None:
            load.memory.append((time.monotonic() - start, app.memory()))
            if ended.wait(1):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join()


# The browser


def _browser_times(app: RunningApp, person: Person, ended: threading.Event | None = None) -> dict[str, list[float]]:
    """Seconds until a page is ready to be read in a browser, by page; the first visit, which fills caches, apart.

    A few rounds of the pages; or as many as are ready before something has `ended`.
    """
    chromium = shutil.which("chromium") or os.environ.get("CHROMIUM")
    if chromium is None:
        print("Chromium is not installed: nothing is said of when a page is ready in a browser.", file=sys.stderr)
        return {}
    from playwright.sync_api import sync_playwright

    idle = '[data-testid="stApp"][data-test-script-state="notRunning"]'
    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{app.address}/sign-in")
        page.get_by_label("Name").fill(person.id)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for visit, name in enumerate(cycle(_BROWSED)):
            if ended is None and visit == len(_BROWSED) * (1 + _ROUNDS):
                break
            start = time.perf_counter()
            page.goto(f"{app.address}/{name}?org={person.organization_id}")
            page.wait_for_selector('[data-testid="stSidebarContent"]')
            page.wait_for_selector('[data-testid="stMain"] h2')
            page.wait_for_selector(idle)
            page.wait_for_function(_DRAWN)
            if ended is not None and ended.is_set():
                break
            if visit >= (len(_BROWSED) if ended is None else 1):
                times.setdefault(name or "overview", []).append(time.perf_counter() - start)
        browser.close()
    return times


@contextmanager
def _browsing(app: RunningApp, person: Person, load: Load) -> Iterator[dict[str, list[float]]]:
    """The same beside the load."""
    from playwright.sync_api import Error

    found: dict[str, list[float]] = {}
    ended = threading.Event()

    def browse() -> None:
        try:
            found.update(_browser_times(app, person, ended))
        except Error as problem:
            load.problems[f"in a browser: {problem.message.splitlines()[0][:200]}"] += 1

    thread = threading.Thread(target=browse, daemon=True)
    thread.start()
    yield found
    ended.set()
    thread.join()


# What is printed


def _print(
    load: Load, sessions: int, records: int, seconds: float, alone: dict[str, list[float]],
    beside: dict[str, list[float]],
) -> None:  # fmt: skip
    print(f"{sessions} sessions for {seconds:.0f} s on {records:,} records:\n")
    print("| page | drawn | median | 95 % within | worst |\n| --- | ---: | ---: | ---: | ---: |")
    for name, times in [*sorted(load.seconds.items()), ("**all**", load.pages)]:
        print(f"| {name} | {len(times):,} | {_figures(times)} |")
    for name, taken in (("alone", alone), ("beside the sessions", beside)):
        for page, times in taken.items():
            print(f"| {page}, ready in a browser, {name} | {len(times)} | {_figures(times)} |")
    print(f"\nPages a second: {len(load.pages) / seconds:,.1f}. Errors: {sum(load.problems.values()):,}.")
    print(
        f"Processors that the app kept busy: {load.processor:,.2f} (pages are drawn by one process's one interpreter)."
    )
    later = [size for at, size in load.memory if at >= _WARM_UP * seconds]
    if load.memory and later:
        part = max(1, len(later) // 4)
        begun, ended = median(later[:part]), median(later[-part:])
        print(
            f"Memory of the app: {_mb(load.memory[0][1])} before, {_mb(begun)} after a quarter of the time, "
            f"{_mb(ended)} at the end, {_mb(max(size for _, size in load.memory))} at most."
        )


def _figures(times: list[float]) -> str:
    ordered = sorted(times)
    if not ordered:
        return "- | - | -"
    chosen = (median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], ordered[-1])
    return " | ".join(f"{one:,.2f} s" for one in chosen)


def _mb(size: float) -> str:
    return f"{size / 1024**2:,.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
