"""The store's databases, for tests of who may what; and passwords at next to no cost."""

from __future__ import annotations

import pytest

from flasktrack.access import passwords
from flasktrack.access.passwords import Cost
from tests.store.conftest import lab

__all__ = ["lab"]


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Cost:
    """Argon2id's smallest cost."""
    cost = Cost(8, 1, 1)
    monkeypatch.setattr(passwords, "COST", cost)
    return cost
