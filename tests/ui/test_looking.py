"""What a signed-in person views and searches on pages, and where they are turned away, is on record."""

from __future__ import annotations

import orjson
import pytest

from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.ui import signin
from flasktrack.ui.looking import looks
from tests.ui.app import OpenApp

SMALL = "small-lab"


def test_views_searches_and_what_was_denied_are_on_record(
    open_app: OpenApp, small_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = frozenset({Role.COMPLIANCE_REVIEWER})
    member = Principal("user:anna", "Anna Berg", {SMALL: roles}, "a test", {"ip": "192.0.2.7"})
    monkeypatch.setenv("FLASKTRACK_SIGN_IN", "local")
    monkeypatch.setattr(signin, "current_principal", lambda *_: member)
    monkeypatch.setattr(signin, "draw_account", lambda *_: None)
    app = open_app(small_url, "entities", entity="sample:S-100")
    app.run()
    app.go("actors", actor="user:u-17")
    app.go("actors", find="anna")
    app.go("entities", related="batch B-1")
    app.go("records", action="update", record="3")
    app.go("integrity")
    assert "not open to you" in app.errors[0]
    looks().flush(everything=True)
    engine = open_engine(small_url)
    told = [one for one in Ledger(engine, machine_scope(SMALL)).stream(first=11) if one.record.entity_type == "page"]
    engine.dispose()
    found = {
        (record.action, record.outcome, record.entity_id, *(":".join(one) for one in record.related))
        for record in (one.record for one in told)
    }
    assert found == {
        ("view", "success", "entities", "sample:S-100"),
        ("view", "success", "actors", "user:u-17"),
        ("view", "success", "records", "record:3"),
        ("search", "success", "actors"),
        ("search", "success", "entities"),
        ("search", "success", "records"),
        ("view", "denied", "integrity"),
    }
    assert len(told) == len(found) + 1  # actors were searched twice: by an entity, and by words
    assert {one.record.actor_id for one in told} == {"anna"}
    for one in told:
        assert one.context is not None
        assert orjson.loads(one.context.body)["ip"] == "192.0.2.7"
