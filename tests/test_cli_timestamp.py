"""`timestamp`: over HTTP and with files, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasktrack.cli import main
from tests.seal.authority import Authority, serving

EVENT = {
    "actor": {"type": "user", "id": "u-1"},
    "action": "create",
    "entity": {"type": "sample", "id": "s-1"},
    "occurred_at": "2026-11-24T05:06:07Z",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture
def run(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run a command over two organizations, `acme` and `other`, that are sealed: (status, output, errors)."""
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
    monkeypatch.setenv("FLASKTRACK_TSA_CERT", str(authority.ca))

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--database", f"sqlite:///{tmp_path / 'flasktrack.db'}"])
        out, err = capsys.readouterr()
        return status, out, err

    call("init")
    (tmp_path / "events.jsonl").write_text(json.dumps(EVENT))
    for name in ("acme", "other"):
        call("import", str(tmp_path / "events.jsonl"), "--organization", name)
    assert call("checkpoint")[0] == 0
    return call


def test_get_stamps_what_has_no_time_stamp_yet(run: Any, authority: Authority) -> None:
    with serving(authority) as url:
        status, out, err = run("timestamp", "get", "--url", url, "--organization", "acme", "--json")
        assert (status, err) == (0, "")
        [stamped] = json.loads(out)["timestamps"]
        assert (stamped["organization_id"], stamped["size"], stamped["added"]) == ("acme", 1, True)
        status, out, err = run("timestamp", "get", "--url", url)
        assert (status, err) == (0, "")
        assert out.startswith("other: the checkpoint over 1 records stamped at 20")
        assert run("timestamp", "get", "--url", url)[1].startswith("Nothing was stamped")
    assert run("verify")[0] == 0


def test_request_and_add_go_through_files(run: Any, authority: Authority, tmp_path: Path) -> None:
    query, response = tmp_path / "acme.tsq", tmp_path / "acme.tsr"
    status, out, _ = run("timestamp", "request", "--organization", "acme", "--output", str(query), "--json")
    assert (status, json.loads(out)) == (0, {"organization_id": "acme", "size": 1, "output": str(query)})
    response.write_bytes(authority.stamp(query.read_bytes()))
    assert run("timestamp", "add", str(response), "--organization", "other")[0] == 2
    assert "acme: the checkpoint over 1 records stamped at" in run("timestamp", "add", str(response))[1]
    assert "has a time stamp already" in run("timestamp", "add", str(response))[1]


def test_a_failure_is_one_line_and_changes_nothing(
    run: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    for arguments in (
        ["get", "--url", "nowhere"],
        ["add", str(tmp_path / "junk")],
        ["add", str(tmp_path / "absent")],
        ["request", "--organization", "nobody", "--output", str(tmp_path / "q")],
        ["request", "--organization", "acme", "--output", str(tmp_path / "absent" / "q")],
    ):
        status, out, err = run("timestamp", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
    monkeypatch.setenv("FLASKTRACK_TSA_CERT", str(tmp_path / "absent.pem"))
    status, _, err = run("verify")
    assert status == 2
    assert "FLASKTRACK_TSA_CERT" in err
