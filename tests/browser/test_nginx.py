"""The app as docs/examples/nginx.conf serves it: by TLS, under its name alone, web sockets included."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import BrowserContext, expect

from benchmarks.app import free_port, running_app
from flasktrack.access.accounts import add_account
from flasktrack.access.members import add_member
from flasktrack.access.passwords import hash_password
from flasktrack.access.roles import Role
from flasktrack.core.times import utc_now
from flasktrack.settings import HOME
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.scope import machine_scope
from tests.browser.app import MILLISECONDS, settle
from tests.conftest import CHROMIUM_FLAGS
from tests.store.samples import NORTHWIND, event, organizations, record

NAME = "audit.example.org"
REQUIRE = "FLASKTRACK_REQUIRE_NGINX"
PASSWORD = "a few words will do"
PATIENCE = 20


class Served(NamedTuple):
    """The ports of http and https, and where nginx looks for the HTTP interface."""

    http: int
    https: int
    interface: int


@pytest.fixture(scope="module")
def served(made_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over a small database, behind nginx with the example's settings."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        (pytest.fail if os.environ.get(REQUIRE) else pytest.skip)("nginx is not installed.")
    folder = tmp_path_factory.mktemp("nginx")
    database = folder / "lab.db"
    shutil.copyfile(made_sqlite_file, database)
    engine = open_engine(f"sqlite:///{database}")
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 6)))
    with writing(engine) as connection:
        add_account(connection, "anna", "Anna Berg", hash_password(PASSWORD))
    add_member(engine, machine_scope(NORTHWIND), "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="Head of QA")
    engine.dispose()
    ports = Served(free_port(), free_port(), free_port())
    address = f"https://{NAME}:{ports.https}"
    environment = {
        "FLASKTRACK_DATABASE_URL": f"sqlite:///{database}",
        "FLASKTRACK_URL": address,
        "FLASKTRACK_SIGN_IN": "local",
        "FLASKTRACK_TRUSTED_PROXIES": "127.0.0.1",
    }
    with running_app(environment, free_port()) as app:
        configuration = _configuration(folder, ports, int(app.address.rpartition(":")[2]))
        serve = ["serve", "--port", str(ports.interface), "--behind-proxy", "127.0.0.1"]
        programs = [nginx, "-c", str(configuration), "-e", str(folder / "error.log")], _flasktrack(database, serve)
        with _running(programs[0], ports.https), _running(programs[1], ports.interface):
            yield ports


def _configuration(folder: Path, ports: Served, upstream: int) -> Path:
    """The example with these ports, and a certificate of its own, in what Debian's package puts around it."""
    example = (HOME / "docs" / "examples" / "nginx.conf").read_text(encoding="utf-8")
    for there, here in (
        ("listen 80;", f"listen 127.0.0.1:{ports.http};"),
        ("listen 443 ", f"listen 127.0.0.1:{ports.https} "),
        ("server 127.0.0.1:8501;", f"server 127.0.0.1:{upstream};"),
        ("http://127.0.0.1:8700;", f"http://127.0.0.1:{ports.interface};"),
        ("/etc/ssl/flasktrack/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
        (f"https://{NAME}$request_uri", f"https://{NAME}:{ports.https}$request_uri"),
    ):
        assert there in example
        example = example.replace(there, here)
    (folder / "site.conf").write_text(example)
    _make_certificate(folder)
    around = f"""
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{}}
        http {{
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            include {folder}/site.conf;
        }}
    """
    (folder / "nginx.conf").write_text(around)
    return folder / "nginx.conf"


def _make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*private))


def _flasktrack(database: Path, arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "flasktrack", "--database", f"sqlite:///{database}", *arguments]


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """A program, from when it listens to a port until the block ends."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=HOME, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < deadline:
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                output.seek(0)
                pytest.fail(f"{command[0]} did not start:\n{output.read()}")
            yield
        finally:
            process.terminate()
            process.wait(10)


class _Secure(HTTPSConnection):
    """By TLS to 127.0.0.1, asking for a name."""

    def __init__(self, port: int, name: str | None) -> None:
        super().__init__("127.0.0.1", port, timeout=PATIENCE)
        self.name = name

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), timeout=PATIENCE)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(plain, server_hostname=self.name)


def test_nginx_answers_by_tls_under_the_apps_name_alone(served: Served) -> None:
    with closing(HTTPConnection("127.0.0.1", served.http, timeout=PATIENCE)) as plain:
        plain.request("GET", "/records?org=x", headers={"Host": NAME})
        answer = plain.getresponse()
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://{NAME}:{served.https}/records?org=x"
    with closing(_Secure(served.https, NAME)) as secure:
        secure.request("GET", "/", headers={"Host": f"{NAME}:{served.https}", "Accept": "text/html"})
        answer = secure.getresponse()
        answer.read()
        assert answer.status == 303  # to the sign-in
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert not re.search(r"[0-9]", answer.headers["Server"])
    with closing(_Secure(served.https, NAME)) as secure:
        secure.request("GET", "/v1/records", headers={"Host": f"{NAME}:{served.https}"})
        answer = secure.getresponse()
        assert answer.status == 401, "the HTTP interface asks for a key"
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    for name in ("evil.example", None):
        with closing(_Secure(served.https, name)) as secure, pytest.raises(ssl.SSLError):
            secure.connect()


def test_a_page_is_drawn_through_nginx_in_a_browser(served: Served, browser: BrowserContext) -> None:
    """Which it is by a web socket."""
    assert browser.browser is not None
    kind = browser.browser.browser_type
    flags = [flag for flag in CHROMIUM_FLAGS if "host-resolver" not in flag]
    chromium = kind.launch(
        executable_path=shutil.which("chromium"),
        args=[*flags, f"--host-resolver-rules=MAP {NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    )
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    sockets: list[str] = []
    errors: list[str] = []
    page.on("websocket", lambda opened: sockets.append(opened.url))
    page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(f"https://{NAME}:{served.https}/records?org={NORTHWIND}&entity_type=sample")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector('[data-testid="stSidebarContent"]', timeout=MILLISECONDS)
    settle(page)
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert {"__Host-flasktrack", "__Host-flasktrack-browser"} <= set(cookies)
    assert all(cookies[name]["secure"] for name in cookies if name.startswith("__Host-"))
    expect(page.get_by_text("5 records, by position")).to_be_visible(timeout=MILLISECONDS)
    assert sockets == [f"wss://{NAME}:{served.https}/_stcore/stream"]
    assert errors == []
    chromium.close()
