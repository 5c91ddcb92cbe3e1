"""What a load of sessions is told by: a page that fails, or knows of another organization, must not pass for drawn."""

from __future__ import annotations

import asyncio

from benchmarks.crowd import Person, crossed
from benchmarks.events import make_events
from benchmarks.visitor import Drawn, Visitor

HERE = "alpenrand-bioanalytik"


def opened(address: str, *pages: tuple[str, dict[str, list[str]]]) -> list[Drawn]:
    """Pages of one session, one after the other."""

    async def visit() -> list[Drawn]:
        async with Visitor(address) as visitor:
            return [await visitor.open(page, params) for page, params in pages]

    return asyncio.run(visit())


def test_a_session_is_sent_pages_and_what_is_wrong_with_them(app_server: str) -> None:
    here = {"org": [HERE]}
    overview, records, nowhere, role, missing = opened(
        app_server, ("", here), ("records", {**here, "record": ["5"]}), ("", {"org": ["nobody"]}),
        ("integrity", {**here, "role": ["lab-manager"]}), ("nothing", here),
    )  # fmt: skip
    for drawn in (overview, records):
        assert drawn.problems == ()
        assert drawn.seconds > 0
        assert b"Alpenrand" in drawn.sent
    assert b"Record 5" in records.sent
    assert any("no organization" in problem for problem in nowhere.problems)
    assert role.problems
    assert missing.problems


def test_a_word_of_another_organization_is_found() -> None:
    person = Person("visitor-1", "Visitor 1", "here", "Here Labs", ("there", "There Labs"), ())
    page = b"... Here Labs: 10 records ... SA-000001@here ... Signed in as **Visitor 1** ..."
    assert list(crossed(page, person)) == []
    assert len(list(crossed(page + b"SA-000001@there ...", person))) == 1
    assert len(list(crossed(page.replace(b"or 1**", b"or 2**"), person))) == 1
    assert len(list(crossed(page + page.replace(b"or 1**", b"or 2**"), person))) == 1
    assert len(list(crossed(b"... an empty page ...", person))) == 2


def test_marked_events_name_nothing_without_their_mark() -> None:
    for plain, marked in zip(make_events(0, 50), make_events(0, 50, "@there"), strict=True):
        assert plain.occurred_at == marked.occurred_at
        names = [marked.actor_id, marked.actor_name, marked.entity_id, marked.entity_name]
        assert all(str(name).endswith("@there") for name in [*names, *(id_ for _, id_ in marked.related)])
