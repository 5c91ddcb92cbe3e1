"""Who reads a lot keeps nobody else from reading."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from flasktrack.http_api import app, limits
from flasktrack.http_api.limits import Readers
from flasktrack.http_api.problems import Problem
from tests.http_api.service import Client, event, problem
from tests.store.samples import stored

SECONDS = 30


def test_one_organization_has_half_of_the_threads_and_a_bounded_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READS_WAITING", 1)
    may_end, begun = threading.Event(), threading.Semaphore(0)

    def search() -> str:
        begun.release()
        assert may_end.wait(SECONDS)
        return "found"

    async def ask() -> list[str]:
        readers = Readers(threads, 4)
        greedy = [asyncio.create_task(readers.read("a", search)) for _ in range(3)]
        for _ in range(2):
            assert await asyncio.to_thread(begun.acquire, timeout=SECONDS)
        assert await readers.read("b", lambda: "at once") == "at once"
        assert not begun.acquire(blocking=False)  # the third waits
        with pytest.raises(Problem, match="Too many"):
            await readers.read("a", search)
        may_end.set()
        return [*(await asyncio.gather(*greedy)), await readers.read("a", search)]

    with ThreadPoolExecutor(4) as threads:
        assert asyncio.run(ask()) == ["found"] * 4


def test_a_search_whose_time_is_over_is_a_problem_and_recording_goes_on(
    client: Client, lab: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "READ_SECONDS", -1)
    answer = client.request("GET", "/v1/records")
    assert problem(answer) == (400, "search-too-long")
    assert "Ask for less" in answer.json()["detail"]
    assert client.record(event(1)).status == 200
    assert len(stored(lab)) == 2
    monkeypatch.undo()
    assert len(client.get("/v1/records")["records"]) == 2
