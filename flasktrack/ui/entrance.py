"""How this deployment lets people in: what the settings and Streamlit's secrets say, checked when the app starts.

An app that anybody could open from the network does not start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.secrets import secrets_singleton

from flasktrack.access.claims import ClaimRules
from flasktrack.capture.request import Network, parse_proxies
from flasktrack.errors import SettingsError
from flasktrack.settings import DEMO, OIDC, PROXY, Settings, is_loopback

CALLBACK = "/oauth2callback"
_SHORTEST_SECRET = 32  # characters: 128 bits, where they are hexadecimal
_ASKED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


@dataclass(frozen=True, slots=True)
class Entrance:
    """How people get in. `base` is the path that all addresses of the app begin with: empty, or such as /audit."""

    settings: Settings
    proxies: tuple[Network, ...] = ()
    rules: ClaimRules | None = None
    base: str = ""

    @property
    def secure(self) -> bool:
        """Whether the app is reached by TLS."""
        return (self.settings.origin or "").startswith("https:")

    def cookie(self, purpose: str = "") -> str:
        """A cookie's name; by TLS with the prefix that binds it to this very host (RFC 6265bis, section 4.1.3)."""
        name = f"flasktrack-{purpose}" if purpose else "flasktrack"
        return f"__Host-{name}" if self.secure else name


def open_entrance() -> Entrance:
    """The entrance that the settings ask for. Raises SettingsError where the app must not start so."""
    settings = Settings.from_environment()
    check_address(settings, st.get_option("server.address"))
    rules = None
    if settings.sign_in == OIDC:
        secrets_singleton.load_if_toml_exists()
        secrets: Mapping[str, Any] = secrets_singleton.to_dict() if secrets_singleton.load_if_toml_exists() else {}
        check_provider(settings, secrets.get("auth", {}))
        rules = ClaimRules.from_secrets(secrets.get("flasktrack", {}))
    return Entrance(settings, parse_proxies(settings.trusted_proxies), rules, base_path())


def base_path() -> str:
    """The path that all addresses of the app begin with: empty, or such as /audit. Streamlit adds it to no route."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def check_address(settings: Settings, address: str | None) -> None:
    """Raise SettingsError where the app would let in whoever reaches it, or take passwords in the clear."""
    loopback = address is not None and is_loopback(address)
    if settings.sign_in == DEMO:
        if not loopback:
            raise SettingsError(
                f"The app does not start: it would answer to the whole network (server.address is "
                f"{address or 'not set'}), and nobody has to sign in.",
                "Set FLASKTRACK_SIGN_IN to local, oidc or proxy (docs/signing-in.md), or server.address to 127.0.0.1.",
            )
        return
    origin = settings.origin
    if origin is None:
        raise SettingsError(
            "The app does not start: FLASKTRACK_URL is not set.",
            "Set it to where people reach the app, such as https://audit.example.org.",
        )
    if not origin.startswith("https:") and not loopback:
        raise SettingsError(
            "The app does not start: FLASKTRACK_URL is not https, and server.address is not of this machine alone.",
            "Set server.address to 127.0.0.1, or serve the app behind TLS and give its https address.",
        )
    if settings.sign_in == PROXY and not settings.trusted_proxies:
        raise SettingsError(
            "The app does not start: nobody says which proxy names the people.",
            "Set FLASKTRACK_TRUSTED_PROXIES to its address.",
        )


def check_provider(settings: Settings, auth: Mapping[str, Any]) -> None:
    """Raise SettingsError where the section [auth] of the secrets can't work, or not safely."""
    where = "The app does not start: [auth] in .streamlit/secrets.toml"
    missing = [name for name in _ASKED if not isinstance(auth.get(name), str) or not auth[name]]
    if missing:
        raise SettingsError(f"{where} lacks {', '.join(missing)}.", "docs/signing-in.md has an example.")
    callback = f"{settings.url}{CALLBACK}"
    if auth["redirect_uri"] != callback:
        raise SettingsError(f"{where} has another redirect_uri than {callback}.", "Make it that, at the provider, too.")
    if len(auth["cookie_secret"]) < _SHORTEST_SECRET:
        raise SettingsError(f"{where} has a cookie_secret that can be guessed.", "Make one with: openssl rand -hex 32")
