"""Compiled code reads what a database holds, from SQLite and from PostgreSQL, and steps aside where it can't."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.header import ZERO_HASH
from flasktrack.core.times import format_time
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.row_security import of_organization
from flasktrack.store.writer import append
from flasktrack.verify.compiled import blocks, open_blocks, postgresql
from flasktrack.verify.compiled.cells import ROWS, Unreadable
from flasktrack.verify.rows import Streams
from tests.verify.chains import event, new_organization

ORDINARY = 3 * ROWS + 7


@pytest.fixture(scope="module")
def much(engine: Engine) -> str:
    """An organization with more than one block of records."""
    lab = new_organization(engine, "lab-with-much")
    with writing(engine) as connection:
        append(connection, lab, [event(number) for number in range(1, ORDINARY + 1)])
    return lab


def taken(engine: Engine, lab: str, first: int = 1, last: int = ORDINARY) -> list[bytes]:
    """The hashes of the records that compiled code takes."""
    with of_organization(engine, lab).connect() as connection:
        streams = Streams(connection, lab, first, last)
        previous, time = (ZERO_HASH, "") if first == 1 else streams.neighbour() or (b"", "")
        found = open_blocks(streams, bytes(32))
        assert found is not None, "the libraries that Python's modules are linked with are at hand"
        hashes: list[bytes] = []
        with closing(found):
            while (sound := found.next_sound(first + len(hashes), previous, time)) is not None:
                hashes += [sound.hashes[place : place + 32] for place in range(0, len(sound.hashes), 32)]
                previous, time = hashes[-1], sound.last_time
        return hashes


def stored(engine: Engine, lab: str) -> list[bytes]:
    with of_organization(engine, lab).connect() as connection:
        return [hash_ for _, hash_ in Streams(connection, lab, 1, ORDINARY).hashes()]


def test_every_record_of_a_chain_in_order_is_taken(engine: Engine, much: str) -> None:
    hashes = stored(engine, much)
    assert taken(engine, much) == hashes
    assert taken(engine, much, first=ROWS) == hashes[ROWS - 1 :]
    assert taken(engine, much, last=ROWS + 1) == hashes[: ROWS + 1]


def test_blocks_end_where_the_arena_does(engine: Engine, much: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ARENA", 20_000)
    assert taken(engine, much) == stored(engine, much)


@pytest.mark.parametrize(("name", "size"), [("ARENA", 100), ("LINK_ARENA", 100)])
def test_what_does_not_fit_is_left_to_the_driver(
    engine: Engine, much: str, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:

    monkeypatch.setattr(blocks, name, size)
    with pytest.raises(Unreadable):
        taken(engine, much)


def test_nothing_is_opened_for_a_database_in_memory() -> None:
    engine = open_engine("sqlite://")
    initialize(engine)
    with engine.connect() as connection:
        assert open_blocks(Streams(connection, "lab", 1, 10), bytes(32)) is None
    engine.dispose()


def test_files_are_closed_again(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'lab.db'}")
    initialize(engine)
    lab = new_organization(engine, "lab")
    with writing(engine) as connection:
        append(connection, lab, [event(1)])
    taken(engine, lab, last=1)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        taken(engine, lab, last=1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    engine.dispose()


def test_several_threads_read_side_by_side(engine: Engine, much: str) -> None:
    found: list[list[bytes]] = []
    run: Callable[[], None] = lambda: found.append(taken(engine, much))  # noqa: E731
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [stored(engine, much)] * 3


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)))  # noqa: DTZ001
def test_times_of_postgresql_are_written_as_the_recorder_writes_them(moment: datetime) -> None:
    since_2000 = (moment - datetime(2000, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    out = np.zeros(27, dtype=np.uint8)
    postgresql._write_time(since_2000, out, 0)
    assert out.tobytes().decode() == format_time(moment.replace(tzinfo=UTC))


def test_the_first_and_last_times_are_those_that_a_text_can_have() -> None:
    microsecond = timedelta(microseconds=1)
    assert (datetime.min - datetime(2000, 1, 1)) // microsecond == postgresql._FIRST  # noqa: DTZ001, DTZ901
    assert (datetime.max - datetime(2000, 1, 1)) // microsecond == postgresql._LAST  # noqa: DTZ001, DTZ901
