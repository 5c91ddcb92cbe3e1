"""Commands beside the app: they end with an answer or with a sentence, and can be stopped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.store.engine import open_engine
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.ui.jobs import Job
from tests.adversary import alter_record

SECONDS = 60
HERE = "small-lab"


@pytest.fixture
def engine(small_url: str) -> Iterator[Engine]:
    engine = open_engine(small_url)
    yield engine
    engine.dispose()


def ended(job: Job) -> Job:
    job.wait(SECONDS)
    assert not job.running
    return job


def test_a_job_ends_with_the_commands_answer_and_all_done(engine: Engine) -> None:
    job = ended(Job(engine, "verify", f"--organization={HERE}", "--by=user:u-1"))
    assert job.problem is None
    assert job.answer is not None
    (answer,) = job.answer["organizations"]
    assert answer["status"] == "verified"
    assert job.total == job.checked == answer["records"]
    assert job.share == 1


def test_the_record_of_a_verification_has_the_request_that_asked_for_it(engine: Engine) -> None:
    ended(Job(engine, "verify", f"--organization={HERE}", "--by=user:u-1", context={"ip": "192.0.2.7"}))
    newest = list(Ledger(engine, machine_scope(HERE)).stream())[-1]
    assert (newest.record.action, newest.record.actor_id) == ("verify", "u-1")
    assert newest.context is not None
    assert orjson.loads(newest.context.body) == {"ip": "192.0.2.7"}


def test_what_is_not_sound_is_an_answer_too(engine: Engine) -> None:
    """Exit status 1 is "checked and not sound" (spec section 6)."""
    alter_record(engine, HERE, 5, reason="nothing to see")
    answer = ended(Job(engine, "verify", f"--organization={HERE}")).answer
    assert answer is not None
    assert answer["organizations"][0]["status"] == "broken"


def test_a_command_that_fails_says_why(engine: Engine) -> None:
    job = ended(Job(engine, "verify", "--organization=nobody"))
    assert job.answer is None
    assert job.problem is not None
    assert job.problem.startswith("There is no organization 'nobody'")
    assert job.share == 0


def test_a_job_can_be_stopped(engine: Engine) -> None:
    job = Job(engine, "verify", f"--organization={HERE}")
    job.cancel()
    ended(job)
    assert job.cancelled
    assert job.answer is None
    job.cancel()  # once more does no harm


def test_a_process_that_dies_without_a_word_is_said_to_have(engine: Engine) -> None:
    job = Job(engine, "verify", f"--organization={HERE}")
    assert job._process is not None
    job._process.kill()
    ended(job)
    assert job.problem is not None
    assert "without a word" in job.problem


def test_a_command_that_cant_be_started_says_why(engine: Engine) -> None:
    """The system takes no argument as long as this."""
    job = Job(engine, "verify", "--organization=" + "x" * 4_000_000)
    assert not job.running
    assert job.answer is None
    assert job.problem is not None
    assert job.problem.startswith("It could not be started: ")
    job.cancel()
    job.wait(1)


@pytest.mark.parametrize("written", ["", "half an ans", "[]", "null"])
def test_an_answer_that_is_none_is_said_to_be(engine: Engine, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda arguments, **options: real(["printf", "%s", written], **options))
    job = ended(Job(engine, "verify"))
    assert job.answer is None
    assert job.problem == f"It ended without {'an answer' if written else 'a word'} (exit status 0)."


def test_the_address_of_the_database_is_not_among_the_arguments(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever lists the machine's processes would read the password in it."""
    started: list[Any] = []
    real = subprocess.Popen

    def popen(arguments: list[str], **options: Any) -> Any:
        started.append((arguments, options["env"]))
        return real(["true"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    secret = open_engine("postgresql://inspector:hunter2@127.0.0.1:9/flasktrack")
    ended(Job(secret, "verify"))
    ((arguments, environment),) = started
    assert not any("hunter2" in argument for argument in arguments)
    assert "hunter2" in environment["FLASKTRACK_DATABASE_URL"]


def test_a_job_finds_flasktrack_wherever_the_app_was_started(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)  # noqa: PTH109 (the process's own)
    assert ended(Job(engine, "verify", f"--organization={HERE}")).answer is not None
