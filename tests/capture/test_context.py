"""Who acts: scopes, what they take from each other, and where they hold."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flasktrack.capture.context import Actor, Attribution, acting, carry, current, give_reason, identify, resume
from flasktrack.errors import InvalidRecord, NoScope

ZOE = Actor("user", "u-17", name="Zoë", role="analyst")
ROBOT = Actor("automation", "nightly")


def test_outside_every_scope_nobody_acts() -> None:
    assert current() == Attribution()


def test_a_scope_ends_where_it_ends_even_by_an_error() -> None:
    @acting(ZOE)
    def fail() -> None:
        assert current().actor == ZOE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert current().actor is None


def test_a_scope_in_a_scope_takes_what_it_does_not_say() -> None:
    with acting(ZOE, credential_id="session-9", correlation_id="c-1", context={"workflow": "W-1"}):
        with acting(reason="typing error", context={"step": 2}):
            inner = current()
        assert current().reason is None
    assert inner == Attribution(
        actor=ZOE,
        credential_id="session-9",
        correlation_id="c-1",
        reason="typing error",
        context={"workflow": "W-1", "step": 2},
    )


def test_another_actor_has_not_the_credential_of_the_one_around() -> None:
    zoe = acting(ZOE, credential_id="session-9", on_behalf_of="user:u-3", correlation_id="c-1")
    with zoe, acting(ROBOT, on_behalf_of="user:u-17"):
        inner = current()
    assert (inner.actor, inner.credential_id, inner.on_behalf_of) == (ROBOT, None, "user:u-17")
    assert inner.correlation_id == "c-1"


def test_each_run_of_a_job_has_a_correlation_id_of_its_own() -> None:
    @acting(ROBOT)
    def job() -> str | None:
        return current().correlation_id

    assert len({job(), job(), None}) == 3


def test_a_decorated_coroutine_keeps_its_actor_across_awaits() -> None:
    async def work(actor: Actor, steps: int) -> list[Actor | None]:
        seen = []
        for _ in range(steps):
            await asyncio.sleep(0)
            seen.append(current().actor)
        return seen

    as_zoe, as_robot = acting(ZOE)(work), acting(ROBOT)(work)

    async def both() -> list[list[Actor | None]]:
        return list(await asyncio.gather(as_zoe(ZOE, 5), as_robot(ROBOT, 5), as_zoe(ZOE, 5)))

    assert asyncio.run(both()) == [[ZOE] * 5, [ROBOT] * 5, [ZOE] * 5]


def test_a_generator_is_not_decorated_since_it_would_not_hold() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="inside"):
        acting(ROBOT)(numbers)


def test_what_one_task_says_of_the_actor_holds_for_the_whole_scope_and_no_other() -> None:
    async def request(actor: Actor, turn: asyncio.Event, done: asyncio.Event) -> Actor | None:
        with acting():
            await turn.wait()
            await asyncio.create_task(_identify(actor))
            done.set()
            await asyncio.sleep(0)
            return current().actor

    async def _identify(actor: Actor) -> None:
        identify(actor)

    async def interleaved() -> list[Actor | None]:
        first, second, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        requests = asyncio.gather(request(ROBOT, second, end), request(ZOE, first, second))
        first.set()
        return list(await requests)

    assert asyncio.run(interleaved()) == [ROBOT, ZOE]


def test_a_thread_begins_without_an_actor_and_carries_one_when_told_to() -> None:
    seen: list[Any] = []

    def look() -> None:
        seen.append(current().actor)

    with acting(ZOE):
        for target in (look, carry(look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [None, ZOE]


def test_what_is_carried_may_run_in_several_threads_at_once() -> None:
    together = threading.Barrier(2, timeout=10)

    def look(_: int) -> Actor | None:
        together.wait()
        return current().actor

    with acting(ZOE), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(carry(look), range(2))) == [ZOE, ZOE]


def test_a_worker_in_another_process_goes_on_with_what_its_message_says() -> None:
    with acting(ROBOT, on_behalf_of="user:u-17", reason="recount", context={"request_id": "r-1"}):
        here = current()
        message = here.as_dict()
    with resume(Attribution.from_dict({**message, "of a later version": 1})):
        assert current() == here


def test_an_actor_or_reason_without_a_scope_is_an_error() -> None:
    for say in (lambda: identify(ZOE), lambda: give_reason("why")):
        with pytest.raises(NoScope, match="acting"):
            say()


@pytest.mark.parametrize(("type_", "id_"), [("person", "u-1"), ("user", ""), ("user", 17)])
def test_an_actor_that_no_record_takes_is_refused_where_it_is_named(type_: str, id_: Any) -> None:
    with pytest.raises(InvalidRecord, match="actor"):
        Actor(type_, id_)
