"""Settings come from the environment, are checked, keep their secret, and stand in the documentation."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from flasktrack.errors import SettingsError
from flasktrack.settings import DATA, HOME, Settings, parse_duration

SECRET = "correct horse"


def variables() -> set[str]:
    """Every variable that the settings' source names."""
    return set(re.findall(r"FLASKTRACK_\w+", (HOME / "flasktrack" / "settings.py").read_text(encoding="utf-8")))


def test_an_empty_environment_gives_the_defaults() -> None:
    defaults = Settings.from_environment({})
    assert defaults == Settings()
    assert defaults == Settings.from_environment(dict.fromkeys(variables(), ""))
    assert (defaults.key_dir, defaults.key_passphrase, defaults.anchor_dir) == (DATA / "keys", None, None)
    assert defaults.deployment == "flasktrack.local"


def test_every_setting_comes_from_its_variable() -> None:
    environment = {
        "FLASKTRACK_DATABASE_URL": "sqlite:///x.db",
        "FLASKTRACK_KEY_DIR": "/srv/keys",
        "FLASKTRACK_KEY_PASSPHRASE": SECRET,
        "FLASKTRACK_ANCHOR_DIR": "~/anchors",
        "FLASKTRACK_DEPLOYMENT": "audit.lab.example.org",
        "FLASKTRACK_VERIFY_WITHIN": "36h",
        "FLASKTRACK_SEAL_WITHIN": "90m",
        "FLASKTRACK_TSA_CERT": "~/tsa.pem",
        "FLASKTRACK_ANALYTICS_URL": "duckdb:////srv/copy.duckdb",
        "FLASKTRACK_EXPORT_DIR": "~/exports",
        "FLASKTRACK_EXPORT_KEPT": "12h",
        "FLASKTRACK_SIGN_IN": "local",
        "FLASKTRACK_URL": "https://Audit.example.org:8443/",
        "FLASKTRACK_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16",
        "FLASKTRACK_USER_HEADER": "X-Auth-Request-User",
        "FLASKTRACK_SESSION_IDLE": "10m",
        "FLASKTRACK_SESSION_LONGEST": "8h",
    }
    expected = Settings(
        "sqlite:///x.db",
        Path("/srv/keys"),
        SECRET,
        Path.home() / "anchors",
        "audit.lab.example.org",
        timedelta(hours=36),
        timedelta(minutes=90),
        Path.home() / "tsa.pem",
        "duckdb:////srv/copy.duckdb",
        Path.home() / "exports",
        timedelta(hours=12),
        "local",
        "https://Audit.example.org:8443",
        ("10.0.0.7", "10.1.0.0/16"),
        "X-Auth-Request-User",
        timedelta(minutes=10),
        timedelta(hours=8),
    )
    assert Settings.from_environment(environment) == expected
    assert expected.origin == "https://audit.example.org:8443"
    assert set(environment) == variables()


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "1.5h", "-1h", "1w", "\u0667d", "7d 2h", "9999999d"])
def test_a_length_of_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no length of time"):
        parse_duration(text)


def test_the_passphrase_is_not_shown() -> None:
    settings = Settings(key_passphrase=SECRET)
    assert SECRET not in f"{settings!r}{settings}"


@pytest.mark.parametrize("name", ["a", "flasktrack.local", "lab-1.example.org", "a" * 190])
def test_a_deployment_has_a_host_like_name(name: str) -> None:
    assert Settings(deployment=name).deployment == name


@pytest.mark.parametrize(
    "name", ["Lab", "a b", "a+b", "a/b", "a\n", ".a", "a.", "-a", "\u00e4", "a" * 191, "https://a"]
)
def test_a_name_that_no_key_could_have_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="FLASKTRACK_DEPLOYMENT"):
        Settings(deployment=name)


@pytest.mark.parametrize("variable", sorted(variables()))
def test_every_setting_is_documented(variable: str) -> None:
    assert f"| `{variable}` |" in (HOME / "docs" / "operating.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SIGN_IN", "password", "demo, local, oidc, proxy"),
        ("USER_HEADER", "Remote User", "header"),
        ("URL", "audit.example.org", "https://"),
        ("URL", "https://user@audit.example.org", "https://"),
        ("URL", "https://audit.example.org:x", "https://"),
        ("URL", "http://audit.example.org", "in the clear"),
        ("URL", "http://localhost.example.org", "in the clear"),
    ],
)
def test_a_setting_of_the_sign_in_that_makes_no_sense_is_refused(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.from_environment({f"FLASKTRACK_{variable}": value})


@pytest.mark.parametrize(
    "url", ["http://localhost:8501", "http://127.0.0.1:8501", "http://[::1]:8501", "https://a.b/c"]
)
def test_the_address_may_be_in_the_clear_on_this_machine_alone(url: str) -> None:
    assert Settings(url=url).url == url
