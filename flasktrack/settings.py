"""Settings from the environment (spec section 6), read once and passed on as a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
DATA = HOME / "data"
DEFAULT_DATABASE_URL = f"sqlite:///{DATA / 'flasktrack.db'}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the database is. Later settings (keys, anchors) join it with the features that need them."""

    database_url: str = DEFAULT_DATABASE_URL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        return cls(database_url=environment.get("FLASKTRACK_DATABASE_URL") or DEFAULT_DATABASE_URL)
