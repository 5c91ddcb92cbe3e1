"""A time stamp authority of OpenSSL's (`openssl ts`), with a CA of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

CONFIGURATION = """\
[one]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
ess_cert_id_alg = sha256
[leaf]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
"""


class Authority:
    """Answers requests; `ca` is what has to be trusted for that."""

    def __init__(self, folder: Path, name: str = "Test", digests: str = "sha256, sha384, sha512") -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "configuration").write_text(CONFIGURATION.format(folder=folder, digests=digests))
        (folder / "serial").write_text("01\n")
        self._run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3 -subj", f"/CN={name} CA")
        self._run("req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj", f"/CN={name} authority")
        self._run(
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3 -extfile configuration "
            "-extensions leaf -out tsa.pem"
        )

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def stamp(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq."""
        (self.folder / "query.tsq").write_bytes(query)
        self._run(
            "ts -reply -config configuration -section one -queryfile query.tsq -signer tsa.pem -inkey tsa.key "
            "-out response.tsr"
        )
        return (self.folder / "response.tsr").read_bytes()

    def query(self, data: bytes, digest: str) -> bytes:
        """A request that OpenSSL makes."""
        (self.folder / "data").write_bytes(data)
        self._run(f"ts -query -data data -{digest} -cert -out own.tsq")
        return (self.folder / "own.tsq").read_bytes()

    def confirms(self, data: bytes, response: bytes) -> bool:
        """What OpenSSL's own verifier says of a time stamp."""
        (self.folder / "data").write_bytes(data)
        (self.folder / "asked.tsr").write_bytes(response)
        return self._openssl("ts -verify -in asked.tsr -data data -CAfile ca.pem").returncode == 0

    def _run(self, arguments: str, *more: str) -> None:
        done = self._openssl(arguments, *more)
        assert done.returncode == 0, done.stderr

    def _openssl(self, arguments: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = ["openssl", *arguments.split(), *more]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)


@contextmanager
def serving(authority: Authority) -> Iterator[str]:
    """The address at which it answers over HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.headers["Content-Type"] == "application/timestamp-query"
            self.send_response(200 if known else 415)
            self.end_headers()
            self.wfile.write(authority.stamp(query) if known else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})  # seconds until it ends
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
