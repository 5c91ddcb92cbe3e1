"""The store's databases, for tests of who may what."""

from tests.store.conftest import lab

__all__ = ["lab"]
