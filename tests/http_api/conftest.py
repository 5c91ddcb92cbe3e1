"""What tests of the HTTP interface share: a service over a database with one organization, and a key for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.http_api.service import Client, issue, serving
from tests.store.samples import organizations


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """A database with one organization, northwind-labs, and no record yet."""
    organizations(engine)
    return engine


@pytest.fixture
def client(lab: Engine) -> Iterator[Client]:
    """A client with a key that may record and read everything, but name nobody."""
    with serving(lab, issue(lab).token) as client:
        yield client
