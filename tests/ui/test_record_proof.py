"""A record's page offers its own proof and a package of it, once a checkpoint covers it, to those who may export."""

from __future__ import annotations

import io
import time

import pytest
from sqlalchemy import Engine

from flasktrack.export import verify_package
from flasktrack.seal.sealing import seal
from flasktrack.settings import Settings
from flasktrack.store.engine import open_engine
from flasktrack.store.exports import UNDER_WAY, list_exports
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust
from tests.store.samples import event, record
from tests.ui.app import SECONDS, App, OpenApp
from tests.ui.fetch import fetch

HERE = "small-lab"


@pytest.fixture
def engine(small_url: str) -> Engine:
    """The database, sealed, with one record after the seal."""
    engine = open_engine(small_url)
    keyring = Keyring.from_settings(Settings.from_environment())
    seal(engine, HERE, Trust(keyring), started_by="command line")
    record(engine, event(11), organization=HERE)
    return engine


def opened(open_app: OpenApp, url: str, seq: int, role: str = "compliance-reviewer") -> App:
    return open_app(url, "records", org=HERE, role=role, record=str(seq))


def test_a_sealed_records_proof_and_package_can_be_taken_away(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    app = opened(open_app, small_url, 3)
    assert "a checkpoint signed over records 1 to 10 covers it" in app.text
    app.click("Make its proof")
    assert app.errors == []
    (link,) = app.test.get("link_button")
    proof = fetch(link.proto.url)
    assert proof.headers["content-disposition"] == 'attachment; filename="small-lab-record-3.tlog-proof"'
    assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")
    (told,) = Ledger(engine, machine_scope(HERE)).stream(first=12)
    assert (told.record.action, told.record.entity_type, told.record.entity_id) == ("download", "record", "3")
    app.click("Make a package of it")
    app.click_link("The package is on the page Exports, with its download")
    deadline = time.monotonic() + SECONDS
    while list_exports(engine, machine_scope(HERE))[0].status in UNDER_WAY:
        assert time.monotonic() < deadline, "it did not end"
        time.sleep(0.1)
    app.run()
    (link,) = app.test.get("link_button")
    answer = fetch(link.proto.url)
    keys = verify_package.read_keys(Keyring.from_settings(Settings.from_environment()).vkeys([HERE]))
    result = verify_package.check_package(io.BytesIO(answer.content), keys)
    assert (result.status, result.records) == ("verified", 1)
    assert result.manifest is not None
    assert result.manifest["filter"] == {"seq": ["3"]}
    engine.dispose()


def test_a_record_that_is_not_sealed_says_to_seal_first(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    app = opened(open_app, small_url, 11)
    assert "no signed checkpoint covers this record" in app.text
    assert "Make its proof" not in app.buttons
    assert "Seal now, on the page Integrity" not in app.links
    assert "Seal now, on the page Integrity" in opened(open_app, small_url, 11, "qa-lead").links
    engine.dispose()
