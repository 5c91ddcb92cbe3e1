"""Asynchronous sessions: the same records, and each task's own actor, however they interleave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from flasktrack.capture.context import Actor, acting
from flasktrack.capture.recorder import Recorder, capture
from tests.capture.lab import ZOE, Lab, Sample, Tag, prepare_sqlite, sections


@asynccontextmanager
async def async_engine(lab: Lab) -> AsyncIterator[tuple[AsyncEngine, Recorder]]:
    """An asynchronous engine over the lab's database, captured into the same organization."""
    url = lab.engine.url
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"))
        event.listen(engine.sync_engine, "connect", prepare_sqlite)
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        engine = create_async_engine(url)
    recorder = capture(engine, lambda: lab.organization)
    try:
        yield engine, recorder
    finally:
        await engine.dispose()


def test_flushes_statements_and_acts_are_captured(lab: Lab) -> None:
    async def work() -> None:
        async with async_engine(lab) as (engine, recorder):
            session = AsyncSession(engine, expire_on_commit=False)
            with acting(ZOE):
                sample = Sample(code="S-1", tags=[Tag(word="red")])
                session.add(sample)
                await session.commit()
                await session.execute(update(Tag).values(word="blue"))
                await session.commit()
                sample.volume = 2.0
                async with session.begin_nested() as savepoint:
                    session.add(Tag(word="undone"))
                    await session.flush()
                    await savepoint.rollback()
                recorder.act(await session.connection(), "approve", "sample", "S-1")
                await session.commit()
            await session.close()
            async with engine.begin() as connection:
                with acting(ZOE):
                    await connection.execute(insert(Tag).values(word="green"))

    asyncio.run(work())
    acts = [act[:2] for act in lab.acts()]
    assert [*sorted(acts[:2]), *acts[2:]] == [  # a unit of work orders what does not depend on each other as it likes
        ("create", "sample"),
        ("create", "tag"),
        ("create", "sample_tag"),
        ("update", "tag"),
        ("update", "sample"),
        ("approve", "sample"),
        ("create", "tag"),
    ]
    assert [state and state["word"] for state in sections(lab.records()[3])] == ["red", "blue"]


def test_interleaved_tasks_each_record_their_own_actor(lab: Lab) -> None:
    async def request(engine: AsyncEngine, number: int) -> None:
        with acting(Actor("user", f"u-{number}"), context={"request_id": f"r-{number}"}):
            for part in range(3):
                async with AsyncSession(engine) as session:
                    await asyncio.sleep(0)
                    session.add(Tag(word=f"{number}-{part}"))
                    await session.flush()
                    await asyncio.sleep(0)
                    await session.commit()

    async def all_at_once() -> None:
        async with async_engine(lab) as (engine, _):
            await asyncio.gather(*(request(engine, number) for number in range(5)))

    asyncio.run(all_at_once())
    told = [(one.record.actor_id, sections(one)[1]["word"][:1]) for one in lab.records()]
    assert len(told) == 15
    assert all(actor == f"u-{number}" for actor, number in told)
