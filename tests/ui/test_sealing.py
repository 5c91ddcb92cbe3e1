"""Sealing from the page, and that no part of a history is said to be the whole of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from flasktrack.core.times import format_time, utc_now
from flasktrack.seal.sealing import seal
from flasktrack.settings import Settings
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import Verification, latest_verification, list_verifications, store_verification
from flasktrack.trust.checkpoints import list_checkpoints
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.roots import CHUNK
from flasktrack.verify.runner import Trust, verify_organization
from tests.store.samples import event, record
from tests.ui.app import OpenApp

HERE = "small-lab"


@pytest.fixture
def engine(small_url: str) -> Iterator[Engine]:
    engine = open_engine(small_url)
    yield engine
    engine.dispose()


def sealed_and_verified(engine: Engine) -> None:
    trust = Trust(Keyring.from_settings(Settings.from_environment()))
    seal(engine, HERE, trust, started_by="command line")
    verify_organization(engine, HERE, started_by="command line", trust=trust)


def keep(engine: Engine, done: Verification, **changes: object) -> None:
    with writing(engine) as connection:
        store_verification(connection, replace(done, **changes))  # type: ignore[arg-type]


def test_seal_now_signs_a_checkpoint_and_the_next_verification_says_how_far(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    verify_organization(engine, HERE, started_by="command line")
    app = open_app(small_url, "integrity", org=HERE)
    assert "none sealed" in app.text
    assert "nobody has signed this chain" in app.text
    app.click("Seal now")
    app.wait_for("Seal now")
    assert app.errors == []
    with engine.connect() as connection:
        (checkpoint,) = list_checkpoints(connection, machine_scope(HERE))
    assert checkpoint.size == 10
    (table,) = (shown.value for shown in app.test.dataframe if "root" in shown.value)
    assert list(table["size"]) == [10]
    assert table["signed"][0].startswith("\N{CHECK MARK} ")
    assert (table["root"][0], table["anchored"][0]) == (checkpoint.root.hex()[:12], "no")
    assert "sealed through 10 since then, the seal not yet checked" in app.text  # what was sealed is not yet verified
    assert "nobody has signed this chain" not in app.text
    app.click("Verify now")
    app.wait_for("Verify now")
    assert "all 11 records checked" in app.text
    assert "sealed through 10, not anchored" in app.text
    newest = latest_verification(engine, HERE)
    assert newest is not None
    assert newest.sealed == 10


def test_what_is_new_is_verified_alone_and_never_said_to_be_all(
    open_app: OpenApp, small_url: str, engine: Engine
) -> None:
    record(engine, *(event(number) for number in range(11, 2 * CHUNK + 1)), organization=HERE)
    sealed_and_verified(engine)
    record(engine, event(2 * CHUNK + 1), organization=HERE)
    app = open_app(small_url, "integrity", org=HERE)
    app.click("Verify what is new")
    app.wait_for("Verify what is new")
    newest = latest_verification(engine, HERE)
    assert newest is not None
    first, last = CHUNK + 1, 2 * CHUNK + 1  # a checkpoint is built on from whole chunks
    assert (newest.mode, newest.first_seq, newest.last_seq) == ("incremental", first, last)
    for page in ("integrity", "overview"):
        app = open_app(small_url, page, org=HERE)
        assert f":material/verified: Verified since {first:,}]" in app.text
        assert f"only the {last - first + 1:,} records from {first:,} to {last:,} checked" in app.text
        assert "The recorded history is intact" not in app.text
        assert "all " not in app.text.partition("Times in")[0]
    app = open_app(small_url, "integrity", org=HERE)
    assert "What is new is intact" in app.text
    assert list(app.table("runs_")["scope"]) == [f"since {first:,}", "all", "all"]


def test_an_older_verification_of_all_is_asked_for_again(open_app: OpenApp, small_url: str, engine: Engine) -> None:
    done = verify_organization(engine, HERE, started_by="command line")
    app = open_app(small_url, "integrity", org=HERE)
    assert not app.test.warning
    keep(engine, done, id="later", mode="incremental", first_seq=6, records=5)
    app.run()
    assert not app.test.warning  # the one of all is as new
    old = format_time(utc_now() - timedelta(days=8, hours=1))
    keep(engine, done, id="old", started_at=old)
    assert list_verifications(engine, machine_scope(HERE))[0].id == "old"
    app.run()
    (warning,) = app.test.warning
    assert warning.value == "The last full verification was 8 days ago. Verify now."


def test_records_that_wait_for_a_seal_too_long_are_said_to(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed_and_verified(engine)
    app = open_app(small_url, "integrity", org=HERE)
    monkeypatch.setenv("FLASKTRACK_SEAL_WITHIN", "1s")
    time.sleep(1.1)
    app.run()
    assert "The last seal was" not in "".join(warning.value for warning in app.test.warning)
    record(engine, event(12), organization=HERE)
    app.run()
    assert "The last seal was just now. Seal now." in [warning.value for warning in app.test.warning]
