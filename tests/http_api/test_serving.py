"""`flasktrack serve`: what it was told to keep it keeps through a kill, and it talks to nobody unencrypted unasked."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Engine

from flasktrack.cli import main
from flasktrack.http_api.serving import is_loopback
from flasktrack.settings import HOME
from flasktrack.store.verifications import VERIFIED
from flasktrack.verify.runner import verify_organization
from tests.http_api.service import Client, event, issue, serving
from tests.store.samples import NORTHWIND, organizations, stored

CLIENTS, RECORDS, ENOUGH = 3, 20, 12


class Service:
    """`serve` in a process of its own."""

    def __init__(self, engine: Engine, *options: str) -> None:
        url = engine.url.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "flasktrack", "serve", "--port", "0", "--database", url, *options]
        self.process = subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"://[^:]+:(\d+) ", said)
        assert found, said
        self.port = int(found[1])

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send a signal; the exit status, and what it said since."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def lab(sqlite_engine: Engine) -> Engine:
    """A database with one organization."""
    organizations(sqlite_engine)
    return sqlite_engine


def test_what_was_acknowledged_survives_kill_9_under_load_and_what_was_not_can_be_sent_again(engine: Engine) -> None:
    organizations(engine)
    issued = issue(engine)
    service = Service(engine, "--rate", "100000")
    acknowledged: dict[str, str] = {}
    sent: list[list[dict[str, Any]]] = []
    enough = threading.Semaphore(0)

    def load(number: int) -> None:
        client = Client(service.port, issued.token)
        for turn in range(40_000):
            sample = {"type": "sample", "id": f"S-{number}"}
            numbers = range(turn * RECORDS + 1, (turn + 1) * RECORDS + 1)
            batch = [event(number, record_id=str(uuid.uuid4()), entity=sample) for number in numbers]
            sent.append(batch)
            try:
                answer = client.record(*batch)
            except (OSError, HTTPException):
                return  # it was killed
            assert answer.status == 200
            acknowledged.update((one["record_id"], one["hash"]) for one in answer.json()["records"])
            enough.release()

    threads = [threading.Thread(target=load, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for _ in range(ENOUGH):
        assert enough.acquire(timeout=60)
    assert service.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    for thread in threads:
        thread.join(60)

    there = {one.record.record_id: one.record.hash.hex() for one in stored(engine)}
    assert len(acknowledged) >= ENOUGH * RECORDS
    assert acknowledged.items() <= there.items()
    whole_or_not = [{one["record_id"] in there for one in batch} for batch in sent]
    assert all(len(found) == 1 for found in whole_or_not)
    verified = verify_organization(engine, NORTHWIND, started_by="system:test")
    assert (verified.status, verified.findings) == (VERIFIED, ())

    with serving(engine, issued.token) as client:
        for batch in sent:
            assert client.record(*batch).status == 200
    assert {one["record_id"] for batch in sent for one in batch} <= {one.record.record_id for one in stored(engine)}
    assert len(stored(engine)) == 1 + len(sent) * RECORDS


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(*pem))
    return certificate_file, key_file


def test_it_answers_over_tls_and_ends_well_when_it_is_told_to(lab: Engine, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    issued = issue(lab)
    service = Service(lab, "--tls-cert", str(cert), "--tls-key", str(key), "--host", "0.0.0.0")  # noqa: S104
    connection = HTTPSConnection("localhost", service.port, context=ssl.create_default_context(cafile=cert), timeout=30)
    connection.request("GET", "/v1/records", headers={"Authorization": f"Bearer {issued.token}"})
    assert [one["seq"] for one in json.loads(connection.getresponse().read())["records"]] == [1]
    connection.close()
    assert service.stop(signal.SIGTERM) == (0, "Stopped.\n", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "unencrypted"),  # noqa: S104
        (("--host", "::"), "unencrypted"),
        (("--host", "lab.example.org"), "unencrypted"),
        (("--tls-cert", "cert.pem"), "belong together"),
        (("--tls-cert", "no.pem", "--tls-key", "no.pem"), "can't be used"),
        (("--behind-proxy", "nginx"), "no address"),
        (("--host", "192.0.2.7", "--behind-proxy", "192.0.2.1"), "can't listen"),
        (("--port", "99999"), "can't be a port"),
        (("--rate", "0"), "number of requests"),
    ],
)
def test_what_it_does_not_start_with(
    lab: Engine, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    url = lab.url.render_as_string(hide_password=False)
    assert main(["serve", "--database", url, "--port", "0", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert words in err


def test_only_an_address_or_localhost_is_known_to_be_this_machine() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "", "192.0.2.7", "localhost.example.org")] == [False] * 5  # noqa: S104


def test_a_passphrase_is_asked_of_nobody(lab: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cert, key = certificate(tmp_path)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(*pem, serialization.BestAvailableEncryption(b"words")))
    url = lab.url.render_as_string(hide_password=False)
    assert main(["serve", "--database", url, "--tls-cert", str(cert), "--tls-key", str(key)]) == 2
    assert "without a passphrase" in capsys.readouterr().err
    assert os.environ.get("FLASKTRACK_KEY_PASSPHRASE") is None
