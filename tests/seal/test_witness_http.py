"""C2SP tlog-witness over HTTP: each status that it names, and a log that finds its way back after a lost answer."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest

from flasktrack.core.add_checkpoint import AddCheckpoint, format_request, parse_request
from flasktrack.core.keys import parse_vkey
from flasktrack.core.note import parse_signatures
from flasktrack.errors import CosignRefused, WitnessError
from flasktrack.seal.witness import Witness
from flasktrack.seal.witness_http import server, submit
from flasktrack.trust.checkpoints import open_note
from flasktrack.trust.keyring import TrustedKey
from tests.seal.log import ORIGIN, Log, rewritten_from


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def witness(tmp_path: Path, log: Log) -> Witness:
    made = Witness(tmp_path / "witness")
    made.create("witness.example.net/w1")
    made.trust(log.vkeys)
    return made


@pytest.fixture
def port(witness: Witness) -> Iterator[int]:
    """The port at which the witness answers."""
    with server(witness, "127.0.0.1", 0) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def call(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str, str]:
    """(status, content type, body)."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, None if body is None else body.encode())
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def post(port: int, body: str) -> tuple[int, str, str]:
    return call(port, "POST", "/add-checkpoint", body)


def test_a_checkpoint_is_cosigned(port: int, witness: Witness, log: Log) -> None:
    for old, new in [(0, 5), (5, 9), (9, 9)]:
        status, _, lines = post(port, log.request(old, new))
        assert status == 200
        assert [line.key_id for line in parse_signatures(lines)] == [parse_vkey(key).key_id for key in witness.vkeys()]


def test_each_refusal_has_the_status_that_the_specification_names(port: int, log: Log) -> None:
    assert post(port, Log("stranger.example.org/acme").request(0, 5))[0] == 404
    assert post(port, Log().request(0, 5))[0] == 403
    assert post(port, log.request(0, 9))[0] == 200
    assert post(port, log.request(3, 12)) == (409, "text/x.tlog.size", "9\n")
    assert post(port, log.request(3, 5)) == (409, "text/x.tlog.size", "9\n")
    older = parse_request(log.request(0, 8))
    assert post(port, format_request(older._replace(old_size=9)))[0] == 400, "the old size is above the new one"
    assert post(port, log.request(9, 12, rewritten_from(4)))[0] == 422
    assert post(port, log.request(9, 9, rewritten_from(4)))[0] == 422
    assert post(port, format_request(AddCheckpoint(9, (bytes(32),) * 4, log.note(12))))[0] == 422
    for malformed in ("", "old 9\n", log.request(9, 12)[:-1], "old 9\n\nnote\n"):
        assert post(port, malformed)[0] == 400
    assert post(port, log.request(9, 12))[0] == 200


def test_a_first_checkpoint_with_a_proof_or_without_a_record_is_refused(port: int, log: Log) -> None:
    request = parse_request(log.request(0, 5))
    assert post(port, format_request(request._replace(proof=(bytes(32),))))[0] == 422
    assert post(port, log.request(0, 0))[0] == 422


def test_a_monitor_gets_the_last_checkpoint_with_both_parties_signatures(port: int, witness: Witness, log: Log) -> None:
    path = f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert call(port, "GET", path)[0] == 404
    for old, new in [(0, 5), (5, 9)]:
        post(port, log.request(old, new))
    status, _, note = call(port, "GET", path)
    trusted = [TrustedKey(key.verifier, None) for key in log.keys]
    opened = open_note(note, ORIGIN, trusted, [parse_vkey(vkey) for vkey in witness.vkeys()])
    assert (status, opened.checkpoint.size, len(opened.signers), len(opened.cosigners)) == (200, 9, 2, 2)


def test_other_paths_methods_and_lengths_are_refused(port: int, log: Log) -> None:
    assert call(port, "POST", "/other", log.request(0, 5))[0] == 404
    for path in ("/", "/checkpoint", "/../keys/ed25519.pem", "/add-checkpoint"):
        assert call(port, "GET", path)[0] == 404
    assert call(port, "DELETE", "/add-checkpoint")[0] == 501
    for length in (["2000000"], ["-1"], ["\u00b2"], []):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.putrequest("POST", "/add-checkpoint")
            for value in length:
                connection.putheader("Content-Length", value.encode())
            connection.endheaders()
            assert connection.getresponse().status == 413, "said before anything is read"


def test_a_fault_of_the_witnesss_own_is_not_told_to_the_log(
    port: int, witness: Witness, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    (witness.directory / "keys" / "ed25519.pem").chmod(0o644)
    assert post(port, log.request(0, 5)) == (500, "text/plain; charset=utf-8", "The witness can't answer now.\n")
    assert "open to other users" in capsys.readouterr().err


# The log's end


def test_submitting_finds_its_way_back_after_a_lost_answer(port: int, log: Log) -> None:
    post(port, log.request(0, 5))
    asked: list[int | None] = []

    def make(old: int | None) -> AddCheckpoint:
        asked.append(old)
        return parse_request(log.request(old or 0, 9))

    assert len(parse_signatures(submit(f"http://127.0.0.1:{port}/", make))) == 2
    assert asked == [None, 5]


def test_submitting_a_fork_tells_what_the_witness_said(port: int, log: Log) -> None:
    post(port, log.request(0, 5))
    with pytest.raises(CosignRefused, match=r"HTTP 422: It is not proved") as refusal:
        submit(f"http://127.0.0.1:{port}", lambda old: parse_request(log.request(5, 9, rewritten_from(2))))
    assert refusal.value.unsound


@pytest.mark.parametrize(
    "url", ["", "witness.example", "file:///etc/passwd", "http://", "http://127.0.0.1:1", "http://["]
)
def test_a_witness_that_cannot_be_reached_is_told(url: str, log: Log) -> None:
    with pytest.raises(WitnessError):
        submit(url, lambda old: parse_request(log.request(0, 5)))


def test_a_port_that_cannot_be_had_is_told(port: int, witness: Witness) -> None:
    for taken in (port, 99_999):
        with pytest.raises(WitnessError, match="--port"):
            server(witness, "127.0.0.1", taken)
