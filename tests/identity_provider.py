"""A small OpenID Connect provider, on this machine, for tests: discovery, authorization code flow with PKCE, JWKS, and
an address to sign out at.

Whoever comes is signed in as `claims` say, without being asked. What a client does wrong is refused, as a provider
would, and noted in `refused`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "flasktrack", "the client's secret"


class Provider:
    """The provider's state, which a test changes as it likes."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "auth0|7", "name": "Anna Berg"}
        self.lifetime = 3600
        self.refused: list[str] = []
        self.signed_out = 0
        self.issuer = ""
        self._key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, str]] = {}

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes on to, with a code (OpenID Connect Core 1.0, section 3.1.2)."""
        self._require(asked.get("client_id") == CLIENT, "client_id")
        self._require("openid" in asked.get("scope", "").split(), "scope")
        self._require(asked.get("code_challenge_method") == "S256", "PKCE")
        self._require(bool(asked.get("nonce")), "nonce")
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], authorization: str) -> dict[str, Any]:
        """The tokens for a code, once (section 3.1.3)."""
        begun = self._codes.pop(asked.get("code", ""), None)
        self._require(begun is not None, "code")
        assert begun is not None
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        self._require(authorization in (f"Basic {basic}", f"Basic {_quoted_basic()}"), "client authentication")
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self._require(challenge == begun["code_challenge"], "code_verifier")
        self._require(asked.get("redirect_uri") == begun["redirect_uri"], "redirect_uri")
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + self.lifetime, "nonce": begun["nonce"],
            **self.claims,
        }  # fmt: skip
        id_token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key)
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": id_token}

    def _require(self, right: bool, what: str) -> None:
        if not right:
            self.refused.append(what)
            raise PermissionError(what)


def _quoted_basic() -> str:
    """Client authentication as RFC 6749, section 2.3.1, has it: form-encoded first."""
    return base64.b64encode(f"{CLIENT}:{urlencode({'': SECRET})[1:]}".encode()).decode()


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider at a free port of this machine."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/.well-known/openid-configuration":
                self._answer(provider.discovery())
            elif parts.path == "/jwks":
                self._answer(provider.jwks())
            elif parts.path == "/authorize":
                self._go(provider.authorize(asked))
            elif parts.path == "/end":
                provider.signed_out += 1
                self._go(asked["post_logout_redirect_uri"])
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(provider.token(asked, self.headers.get("Authorization", "")))

        def _answer(self, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _go(self, address: str) -> None:
            self.send_response(302)
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
