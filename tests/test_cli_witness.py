"""`witness`: two parties that share text only, through pipes or files; what is refused, with which exit status."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from flasktrack.cli import main
from flasktrack.core.note import parse_signatures

ROOT = Path(__file__).resolve().parent.parent
NAME = "witness.example.net/w1"
EVENT = {
    "actor": {"type": "user", "id": "u-1"},
    "action": "create",
    "entity": {"type": "sample", "id": "s-1"},
    "occurred_at": "2026-11-24T05:06:07Z",
}


class Lab:
    """A log and a witness on the command line."""

    def __init__(self, url: str, folder: Path, environment: pytest.MonkeyPatch, output: Any) -> None:
        self.url, self.folder, self._environment, self._output = url, folder, environment, output
        environment.setenv("FLASKTRACK_KEY_DIR", str(folder / "keys"))
        environment.setenv("FLASKTRACK_DEPLOYMENT", "lab.example.org")

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """(exit status, standard output, standard error)."""
        self._environment.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = main([*arguments, "--database", self.url])
        return status, *self._output.readouterr()

    def witness(self, action: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        return self("witness", action, *arguments, "--state", str(self.folder / "witness"), stdin=stdin)

    def seal(self, count: int, organization: str = "acme") -> None:
        file = self.folder / "events.jsonl"
        file.write_text(f"{json.dumps(EVENT)}\n" * count, encoding="utf-8")
        assert self("import", str(file), "--organization", organization)[0] == 0
        assert self("checkpoint", "--organization", organization)[0] == 0

    def request(self, *arguments: str) -> str:
        status, out, err = self("witness", "request", "--organization", "acme", *arguments)
        assert (status, err) == (0, "")
        return out


@pytest.fixture
def lab(
    engine: Engine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Lab:
    """Three sealed records, and a witness; each trusts the other's keys."""
    lab = Lab(database_url, tmp_path, monkeypatch, capsys)
    assert lab("init")[0] == 0
    lab.seal(3)
    status, out, _ = lab.witness("init", "--name", NAME)
    assert (status, out.count(NAME)) == (0, 3)
    for show, trust, file in [
        (lambda: lab("keys", "show"), lambda path: lab.witness("trust", path), "lab.vkeys"),
        (lambda: lab.witness("show"), lambda path: lab("keys", "trust", path), "witness.vkeys"),
    ]:
        status, out, _ = show()
        assert status == 0
        (tmp_path / file).write_text(out)
        assert trust(str(tmp_path / file))[0] == 0
    return lab


def test_through_pipes_each_checkpoint_is_cosigned(lab: Lab) -> None:
    for size in (3, 5, 7):
        status, answer, err = lab.witness("cosign", stdin=lab.request())
        assert (status, err, len(parse_signatures(answer))) == (0, "", 2)
        status, out, err = lab("witness", "add", stdin=answer)
        assert (status, err) == (0, "")
        assert out == f"acme: 2 signatures were added to the checkpoint over {size} records.\n"
        assert lab("witness", "add", stdin=answer)[1].startswith("acme: nothing is new")
        lab.seal(2)
    assert lab("verify")[0] == 0


def test_through_files_and_as_json(lab: Lab) -> None:
    request, answer = str(lab.folder / "request"), str(lab.folder / "answer")
    status, out, _ = lab("witness", "request", "--organization", "acme", "--output", request, "--json")
    assert (status, json.loads(out)["old"]) == (0, 0)
    assert json.loads(out)["request"] == Path(request).read_text(encoding="utf-8")
    assert lab.witness("cosign", request, "--output", answer)[:2] == (0, f"Cosigned; the answer is in {answer}.\n")
    status, out, _ = lab("witness", "add", answer, "--json")
    assert (status, json.loads(out)) == (0, {"organization_id": "acme", "size": 3, "added": 2})
    status, out, _ = lab.witness("show", "--json")
    shown = json.loads(out)
    assert shown["logs"] == [{"origin": "lab.example.org/acme", "size": 3}]
    assert [vkey.partition("+")[0] for vkey in shown["vkeys"]] == [NAME, NAME]


def test_an_older_checkpoint_is_not_sound_and_a_stale_request_says_how_to_ask(lab: Lab) -> None:
    first = lab.request()
    assert lab.witness("cosign", stdin=first)[0] == 0
    lab.seal(2)
    status, out, err = lab.witness("cosign", stdin=lab.request())  # its answer never came
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--old 3" in err
    assert lab.witness("cosign", stdin=lab.request("--old", "3"))[0] == 0
    status, out, err = lab.witness("cosign", stdin=first)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "covers 3 records, and one over 5 was cosigned before" in err


def test_another_history_under_the_same_keys_is_not_sound(lab: Lab, tmp_path: Path) -> None:
    assert lab.witness("cosign", stdin=lab.request())[0] == 0
    lab.url = f"sqlite:///{tmp_path / 'other.db'}"
    assert lab("init")[0] == 0
    lab.seal(4)
    status, out, err = lab.witness("cosign", stdin=lab.request("--old", "3"))
    assert (status, out) == (1, "")
    assert "It is not proved that the 4 records" in err
    assert str(tmp_path / "witness" / "refused") in err


def test_what_a_failed_command_leaves_in_a_pipe_is_refused(lab: Lab) -> None:
    for command in (lab("witness", "add"), lab.witness("cosign")):
        assert command[0] == 2
        assert "is empty" in command[2]
    assert lab("witness", "add", stdin="\x00\xff")[0] == 2
    assert lab.witness("cosign", str(lab.folder / "absent"))[0] == 2
    assert lab("witness", "add", str(lab.folder))[0] == 2


def test_an_organization_that_is_not_there_is_refused(lab: Lab) -> None:
    for arguments in (["request", "--organization", "nobody"], ["add", "--organization", "nobody"]):
        status, out, err = lab("witness", *arguments, stdin="\u2014 w AAAAAAAA\n")
        assert (status, out) == (2, "")
        assert "nobody" in err


def test_the_witness_needs_no_database_and_says_what_it_lacks(tmp_path: Path) -> None:
    absent = f"sqlite:///{tmp_path / 'absent' / 'none.db'}"
    state = str(tmp_path / "w")

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flasktrack", "witness", *arguments, "--state", state, "--database", absent]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=stdin, timeout=60)

    assert "witness init" in run("show").stderr
    assert run("init", "--name", NAME).returncode == 0
    assert run("show").stdout.count("\n") == 2
    assert run("cosign", stdin="old 0\n\nlab\n").returncode == 2


def test_over_http_a_checkpoint_is_cosigned_and_taken_in_by_one_command(lab: Lab) -> None:
    state = str(lab.folder / "witness")
    command = [sys.executable, "-m", "flasktrack", "witness", "serve", "--state", state, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serving:
        try:
            assert serving.stdout is not None
            line = serving.stdout.readline()
            assert NAME in line
            arguments = ["witness", "submit", "--organization", "acme", "--url", line.split()[-1]]
            assert lab(*arguments)[:2] == (0, "acme: 2 signatures were added to the checkpoint over 3 records.\n")
            lab.seal(2)
            assert lab(*arguments, "--json")[1].startswith('{\n  "organization_id": "acme",\n  "size": 5')
        finally:
            serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
    status, _, err = lab(*arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert "did not answer" in err


def test_a_witness_without_keys_does_not_start_serving(lab: Lab, tmp_path: Path) -> None:
    status, _, err = lab("witness", "serve", "--port", "0", "--state", str(tmp_path / "absent"))
    assert status == 2
    assert "witness init" in err
