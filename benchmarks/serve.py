"""What recording over HTTP costs: `python -m benchmarks.serve [--records N] [--rounds N] [--write]` prints a table.

`flasktrack serve` runs in a process of its own over a new SQLite database; clients send it batches over real sockets,
each on a connection that it keeps, the next batch when the last is acknowledged. Beside it, in turn, the floor: the
writer alone with the same batches, a transaction for each. The best round counts; latencies are that round's.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from statistics import quantiles
from threading import Thread
from typing import Any, NamedTuple

from sqlalchemy import Engine

from benchmarks.__main__ import machine
from benchmarks.apart import ROOT
from benchmarks.events import make_events
from flasktrack.core.record import Event
from flasktrack.core.times import format_time
from flasktrack.store.api_keys import issue_api_key
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.scope import machine_scope
from flasktrack.store.writer import append
from flasktrack.verify.runner import verify_organization

ORGANIZATION = "northwind-labs"
DOCUMENT = ROOT / "docs" / "http-api.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
SHARE_SINGLE = 10  # a request for each record takes long: a tenth of them


class Way(NamedTuple):
    """A way of recording: without clients it is the writer alone."""

    name: str
    batch: int
    clients: int


WAYS = (
    Way("The writer alone, a transaction for each 100 records", 100, 0),
    Way("· over HTTP, 100 in each request, one client", 100, 1),
    Way("· over HTTP, 100 in each request, four clients", 100, 4),
    Way("The writer alone, a transaction for each record", 1, 0),
    Way("· over HTTP, one in each request, one client", 1, 1),
    Way("· over HTTP, one in each request, sixteen clients", 1, 16),
)


class Result(NamedTuple):
    """Seconds in all, the seconds that each batch took, and the service's peak memory in bytes (0 for the writer)."""

    seconds: float
    batches: list[float]
    peak: int = 0


def measure(way: Way, records: int) -> Result:
    """Record so many events in a new database, and see that all of them are there, and sound."""
    with tempfile.TemporaryDirectory(prefix="flasktrack-serve-") as folder:
        engine = open_engine(f"sqlite:///{folder}/flasktrack.db")
        initialize(engine)
        with writing(engine) as connection:
            create_organization(connection, ORGANIZATION)
        batches = list(_batches(records, way.batch))
        result = _over_http(engine, way.clients, batches) if way.clients else _alone(engine, batches)
        verified = verify_organization(engine, ORGANIZATION, started_by="system:benchmark")
        expected = records + (1 if way.clients else 0)  # the key's own
        errors = [finding for finding in verified.findings if finding.severity == "error"]
        assert (verified.records, errors) == (expected, [])
        engine.dispose()
    return result


def _batches(records: int, size: int) -> Iterator[list[Event]]:
    events = make_events(0, records)
    while batch := list(islice(events, size)):
        for event in batch:  # machines act as the key does
            event.credential_id = None
            if event.actor_type != "user":
                event.actor_type, event.actor_id, event.actor_name = "user", f"for-{event.actor_id}", None
        yield batch


def _alone(engine: Engine, batches: Sequence[list[Event]]) -> Result:
    times = []
    for batch in batches:
        start = time.perf_counter()
        with writing(engine) as connection:
            append(connection, ORGANIZATION, batch)
        times.append(time.perf_counter() - start)
    return Result(sum(times), times)


def _over_http(engine: Engine, clients: int, batches: Sequence[list[Event]]) -> Result:
    with writing(engine) as connection:
        issued = issue_api_key(
            connection,
            machine_scope(ORGANIZATION),
            name="benchmark",
            actions=["*"],
            may_name_users=True,
            reason="speed",
        )
    bodies = [json.dumps({"records": [_sent(event) for event in batch]}).encode() for batch in batches]
    url = engine.url.render_as_string(hide_password=False)
    with _service(url) as (process, port):
        times: list[float] = []
        waiting = iter(bodies)
        threads = [Thread(target=_client, args=(port, issued.token, waiting, times)) for _ in range(clients)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        peak = _peak(process.pid)
    assert len(times) == len(bodies), "a client failed"
    return Result(seconds, times, peak)


def _sent(event: Event) -> dict[str, Any]:
    """An event as a program sends it."""
    return {
        "actor": {"type": event.actor_type, "id": event.actor_id, "name": event.actor_name, "role": event.actor_role},
        "action": event.action,
        "outcome": event.outcome,
        "entity": {"type": event.entity_type, "id": event.entity_id, "name": event.entity_name},
        "occurred_at": format_time(event.occurred_at),
        "related": [{"type": type_, "id": id_} for type_, id_ in event.related],
        "reason": event.reason,
        "correlation_id": event.correlation_id,
        "before": event.before,
        "after": event.after,
        "context": event.context,
    }


@contextmanager
def _service(url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`flasktrack serve`, and its port."""
    command = [sys.executable, "-m", "flasktrack", "serve", "--port", "0", "--rate", "1e9", "--database", url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"://[^:]+:(\d+) ", process.stdout.readline())
        assert found is not None
        yield process, int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _client(port: int, token: str, bodies: Iterator[bytes], times: list[float]) -> None:
    """Send what is waiting, one body after the other, on one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for body in bodies:
        start = time.perf_counter()
        connection.request("POST", "/v1/records", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        times.append(time.perf_counter() - start)
        assert answer.status == 200, said
    connection.close()


def _peak(process: int) -> int:
    """A running process's peak memory, where the system tells it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _row(way: Way, records: int, result: Result) -> str:
    cuts = quantiles(result.batches, n=100, method="inclusive")
    memory = f"{result.peak / 1e6:,.0f} MB" if result.peak else ""
    return (
        f"| {way.name} | {records:,} | {records / result.seconds:,.0f} "
        f"| {cuts[49] * 1000:,.1f} | {cuts[98] * 1000:,.1f} "
        f"| {memory} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.relative_to(ROOT)} too")
    options = parser.parse_args()
    best: dict[Way, Result] = {}
    counts = {way: max(options.records // (SHARE_SINGLE if way.batch == 1 else 1), 2 * way.batch) for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            result = measure(way, counts[way])
            if way not in best or result.seconds < best[way].seconds:
                best[way] = result
    table = (
        f"Measured on {machine()}.\n\n| | records | records/s | p50 (ms) | p99 (ms) | peak memory of the service |\n"
    )
    table += "| --- | ---: | ---: | ---: | ---: | ---: |\n"
    table += "".join(_row(way, counts[way], result) for way, result in best.items())
    print(table, end="")
    if options.write:
        text = DOCUMENT.read_text()
        head, tail = text.partition(START)[0], text.partition(END)[2]
        DOCUMENT.write_text(f"{head}{START}\n{table}\n{END}{tail}")


if __name__ == "__main__":
    main()
