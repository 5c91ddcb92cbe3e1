"""Long work beside the app: a command of FlaskTrack in a process of its own, with its progress and its answer.

Verifying keeps a processor busy, and every session's pages run in the app's one process: there it would make all of
them wait (docs/architecture of Streamlit: reruns share the interpreter).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from flasktrack.errors import FlaskTrackError
from flasktrack.settings import HOME
from flasktrack.ui.session import Context
from flasktrack.verify.keeping import REQUEST


class Job:
    """A running or finished command. `checked` of `total` records are done; `total` is 0 until it is known.

    `context` is the request that asks for it.
    """

    def __init__(self, engine: Engine, *arguments: str, context: Mapping[str, Any] | None = None) -> None:
        self.checked = 0
        self.total = 0
        self.cancelled = False
        self.answer: dict[str, Any] | None = None
        self.problem: str | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process writes)
        self._process: subprocess.Popen[str] | None = None
        self._follower = threading.Thread(target=self._follow, daemon=True)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flasktrack", *arguments, "--json", "--progress"],
                env=_environment(engine, context), stdin=subprocess.DEVNULL, stdout=self._output,
                stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
        except OSError as problem:  # no memory, too many processes, more arguments than the system takes
            self._output.close()
            self.problem = f"It could not be started: {problem.strerror or problem}."
        else:
            self._follower.start()

    @property
    def running(self) -> bool:
        return self._follower.is_alive()

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.checked / self.total) if self.total else 0.0

    def cancel(self) -> None:
        """Ask it to stop; it leaves nothing half-written."""
        self.cancelled = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        if self._process is not None:
            self._follower.join(seconds)

    def _follow(self) -> None:
        said = ""
        assert self._process is not None  # noqa: S101 (this thread is started with it)
        assert self._process.stderr is not None  # noqa: S101 (it was asked for above)
        with self._process.stderr as lines:
            for line in lines:
                try:
                    report = json.loads(line)
                    self.checked, self.total = int(report["checked"]), int(report["of"])
                except (ValueError, TypeError, KeyError):
                    said = line.strip() or said
        status = self._process.wait()
        with self._output:
            self._output.seek(0)
            written = self._output.read()
        if status in (0, 1):  # done; sound or not (spec section 6)
            self.answer = _object(written)
        if self.answer is None:
            silent = f"It ended without {'an answer' if written else 'a word'} (exit status {status})."
            self.problem = said.removeprefix("flasktrack: ") or silent


def asked_in(context: Context) -> str:
    """The argument that tells a command in which request it was asked for."""
    return f"--request={json.dumps(dict(context.scope.context))}"


def run_beside(engine: Engine, ended: Callable[[str], None], *arguments: str) -> None:
    """Run a command that outlives this app, should it end, and tells nobody but the database how it fares.

    Where it fails, or can't be started, `ended` is told in a sentence, from a thread.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "flasktrack", *arguments], env=_environment(engine), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as problem:
        ended(f"It could not be started: {problem.strerror or problem}.")
        return

    def wait() -> None:
        if (status := process.wait()) != 0:
            with suppress(FlaskTrackError):  # the database is gone, and with it who would be told
                ended(f"It ended without a word (exit status {status}). Nothing was kept.")

    threading.Thread(target=wait, daemon=True).start()


def _environment(engine: Engine, context: Mapping[str, Any] | None = None) -> dict[str, str]:
    paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        # Not an argument: whoever lists this machine's processes would read the password.
        "FLASKTRACK_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "PYTHONPATH": os.pathsep.join(paths),
        REQUEST: json.dumps(dict(context) if context else None),
    }


def _object(written: bytes) -> dict[str, Any] | None:
    """The JSON object that a command wrote; None for anything else."""
    try:
        answer = json.loads(written)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
