"""Settings from the environment (spec section 6), read once and passed on as a value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from flasktrack.errors import SettingsError

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "data"
DEFAULT_DATABASE_URL = f"sqlite:///{DATA / 'flasktrack.db'}"
DEFAULT_KEY_DIR = DATA / "keys"
DEFAULT_EXPORT_DIR = DATA / "exports"
DEFAULT_DEPLOYMENT = "flasktrack.local"

# A key's name has at most 255 bytes; a slash and an organization's id of up to 63 characters follow.
_DEPLOYMENT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,188}[a-z0-9])?")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

DEMO, LOCAL, OIDC, PROXY = "demo", "local", "oidc", "proxy"
"""How people sign in: not at all, by accounts of this deployment, at an identity provider, at a proxy in front."""
WAYS = (DEMO, LOCAL, OIDC, PROXY)
DEFAULT_USER_HEADER = "Remote-User"
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the database, the keys and the anchors are, and what this deployment is called.

    Raises SettingsError for a name that a deployment can't have.
    """

    database_url: str = DEFAULT_DATABASE_URL
    key_dir: Path = DEFAULT_KEY_DIR
    key_passphrase: str | None = field(default=None, repr=False)
    anchor_dir: Path | None = None
    deployment: str = DEFAULT_DEPLOYMENT
    verify_within: timedelta = timedelta(days=7)
    seal_within: timedelta = timedelta(days=1)
    """How old the last full verification and the last seal may be before pages warn."""
    tsa_cert: Path | None = None
    """Certificates (PEM) under which time stamps are believed."""
    analytics_url: str | None = field(default=None, repr=False)
    """Where the columnar copy lies that pages count from; None for a DuckDB file of its own."""
    export_dir: Path = DEFAULT_EXPORT_DIR
    """Where files of the page Exports are kept."""
    export_kept: timedelta = timedelta(days=7)
    """For how long."""
    sign_in: str = DEMO
    """How people sign in: one of WAYS."""
    url: str | None = None
    """Where people reach the app, such as https://audit.example.org; asked for wherever people sign in."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of the reverse proxies whose word on the client's address and name is taken."""
    user_header: str = DEFAULT_USER_HEADER
    """The header in which an authenticating proxy names the person."""
    session_idle: timedelta = timedelta(minutes=30)
    session_longest: timedelta = timedelta(hours=12)
    """How long a session lasts without a click, and in all."""

    def __post_init__(self) -> None:
        if self.sign_in not in WAYS:
            raise SettingsError(f"FLASKTRACK_SIGN_IN is {self.sign_in[:40]!r}.", f"Give one of {', '.join(WAYS)}.")
        if not _HEADER.fullmatch(self.user_header):
            raise SettingsError("FLASKTRACK_USER_HEADER is no header's name.", "Give one such as Remote-User.")
        _check_url(self.url)
        if not _DEPLOYMENT.fullmatch(self.deployment):
            raise SettingsError(
                f"FLASKTRACK_DEPLOYMENT is {self.deployment[:80]!r}, which can't be a deployment's name.",
                "Give a name such as flasktrack.example.org: lower-case letters, digits, dots and hyphens.",
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that the environment gives; a variable that is empty counts as not set."""
        anchors = environment.get("FLASKTRACK_ANCHOR_DIR")
        tsa_cert = environment.get("FLASKTRACK_TSA_CERT")
        return cls(
            database_url=environment.get("FLASKTRACK_DATABASE_URL") or DEFAULT_DATABASE_URL,
            key_dir=Path(environment.get("FLASKTRACK_KEY_DIR") or DEFAULT_KEY_DIR).expanduser(),
            key_passphrase=environment.get("FLASKTRACK_KEY_PASSPHRASE") or None,
            anchor_dir=Path(anchors).expanduser() if anchors else None,
            deployment=environment.get("FLASKTRACK_DEPLOYMENT") or DEFAULT_DEPLOYMENT,
            export_dir=Path(environment.get("FLASKTRACK_EXPORT_DIR") or DEFAULT_EXPORT_DIR).expanduser(),
            export_kept=parse_duration(environment.get("FLASKTRACK_EXPORT_KEPT") or "7d"),
            tsa_cert=Path(tsa_cert).expanduser() if tsa_cert else None,
            analytics_url=environment.get("FLASKTRACK_ANALYTICS_URL") or None,
            verify_within=parse_duration(environment.get("FLASKTRACK_VERIFY_WITHIN") or "7d"),
            seal_within=parse_duration(environment.get("FLASKTRACK_SEAL_WITHIN") or "1d"),
            sign_in=environment.get("FLASKTRACK_SIGN_IN") or DEMO,
            url=(environment.get("FLASKTRACK_URL") or "").rstrip("/") or None,
            trusted_proxies=tuple((environment.get("FLASKTRACK_TRUSTED_PROXIES") or "").replace(",", " ").split()),
            user_header=environment.get("FLASKTRACK_USER_HEADER") or DEFAULT_USER_HEADER,
            session_idle=parse_duration(environment.get("FLASKTRACK_SESSION_IDLE") or "30m"),
            session_longest=parse_duration(environment.get("FLASKTRACK_SESSION_LONGEST") or "12h"),
        )

    @property
    def origin(self) -> str | None:
        """The scheme, host and port of `url`, as a browser writes them in the header Origin."""
        if self.url is None:
            return None
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}".lower()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, which no other machine reaches."""
    host = host.strip("[]").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _check_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise SettingsError(
            f"FLASKTRACK_URL is {url[:80]!r}, which is no address of the app.",
            "Give one such as https://audit.example.org.",
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(
            f"FLASKTRACK_URL is {url[:80]!r}: passwords and sessions would cross the network in the clear.",
            "Give an https address, and serve the app behind TLS.",
        )


def parse_duration(text: str) -> timedelta:
    """`90s`, `30m`, `6h` or `7d`. Raises SettingsError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"{text[:40]!r} is no length of time.", "Give one such as 90s, 30m, 6h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
