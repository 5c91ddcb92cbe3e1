"""The app starts only where not everybody could open it, and says why it does not."""

from __future__ import annotations

from typing import Any

import pytest

from flasktrack.access.claims import ClaimRules
from flasktrack.errors import SettingsError
from flasktrack.settings import Settings
from flasktrack.ui.entrance import check_address, check_provider

EVERYWHERE = "0.0.0.0"  # noqa: S104 (it is refused, or behind TLS)
URL = "https://audit.example.org"
AUTH = {
    "redirect_uri": f"{URL}/oauth2callback",
    "cookie_secret": "c" * 32,
    "client_id": "flasktrack",
    "client_secret": "s",
    "server_metadata_url": "https://login.example.org/.well-known/openid-configuration",
}


@pytest.mark.parametrize("address", [None, "", EVERYWHERE, "::", "192.0.2.7", "lab-server", "unix:///run/app.sock"])
def test_a_demo_on_the_network_does_not_start(address: str | None) -> None:
    with pytest.raises(SettingsError, match=r"nobody has to sign in.*FLASKTRACK_SIGN_IN"):
        check_address(Settings(), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_a_demo_on_this_machine_does(address: str) -> None:
    check_address(Settings(), address)


@pytest.mark.parametrize(
    ("settings", "address", "says"),
    [
        ({"sign_in": "local"}, "127.0.0.1", "FLASKTRACK_URL is not set"),
        ({"sign_in": "local", "url": "http://localhost"}, EVERYWHERE, "not https"),
        ({"sign_in": "proxy", "url": URL}, "127.0.0.1", "FLASKTRACK_TRUSTED_PROXIES"),
    ],
)
def test_a_sign_in_that_is_not_whole_does_not_start(settings: dict[str, Any], address: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        check_address(Settings(**settings), address)


def test_a_sign_in_that_is_whole_starts_anywhere() -> None:
    check_address(Settings(sign_in="local", url=URL), EVERYWHERE)
    check_address(Settings(sign_in="local", url="http://127.0.0.1:8501"), "127.0.0.1")
    check_address(Settings(sign_in="proxy", url=URL, trusted_proxies=("10.0.0.7",)), None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        *(({name: None}, f"lacks {name}") for name in AUTH),
        ({"redirect_uri": "http://audit.example.org/oauth2callback"}, "another redirect_uri"),
        ({"cookie_secret": "changeme"}, "can be guessed"),
    ],
)
def test_a_provider_that_can_not_work_does_not_start(change: dict[str, Any], says: str) -> None:
    check_provider(Settings(sign_in="oidc", url=URL), AUTH)
    with pytest.raises(SettingsError, match=says) as refused:
        check_provider(Settings(sign_in="oidc", url=URL), AUTH | change)
    assert "changeme" not in str(refused.value)


@pytest.mark.parametrize(
    "section",
    [
        {"users": "sub"},
        {"user_claim": 7},
        {"roles": {"qa": ["lab:qa-lead"]}},
        {"role_claim": "groups", "roles": ["lab:qa-lead"]},
        {"role_claim": "groups", "roles": {"qa": ["lab:boss"]}},
        {"role_claim": "groups", "roles": {"qa": "qa-lead"}},
        {"role_claim": "groups", "roles": {"qa": ["Lab:qa-lead"]}},
    ],
)
def test_claims_that_map_to_nothing_do_not_start(section: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"secrets\.toml"):
        ClaimRules.from_secrets(section)
