"""What the app makes before its first page: the keys of an embedded database that has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.runtime.pages_manager import PagesManager

from flasktrack.store.engine import open_engine
from flasktrack.trust.keyring import Keyring
from flasktrack.ui import session


def test_the_app_makes_the_keys_of_the_embedded_database_once(
    sample_lab_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PagesManager, "uses_pages_directory", PagesManager.uses_pages_directory)  # app.py sets it
    import app

    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
    engine = open_engine(sample_lab_url)
    monkeypatch.setattr(session, "database", lambda: engine)
    start = app._fill_embedded_database.__wrapped__  # type: ignore[attr-defined]
    start(sample_lab_url)
    made = (tmp_path / "keys" / "ed25519.pem").read_bytes()
    assert len(Keyring(tmp_path / "keys", "flasktrack.local").signing_keys("northwind-labs")) == 2
    (tmp_path / "keys" / "ed25519.pem").chmod(0o644)  # which sealing refuses; the pages don't need the key
    start(sample_lab_url)
    assert (tmp_path / "keys" / "ed25519.pem").read_bytes() == made
    engine.dispose()
