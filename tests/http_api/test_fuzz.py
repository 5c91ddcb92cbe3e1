"""Whatever requests the description allows, and many that it forbids, are answered as it says.

Schemathesis makes them up from the OpenAPI document: well formed and not, with the key and without, with methods that
there are not; and holds each answer against the document: its status, its media type, its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.openapi.checks import RejectedPositiveData
from sqlalchemy import Engine

from flasktrack.http_api.openapi import openapi_document
from flasktrack.verify.runner import verify_organization
from tests.http_api.service import Client, issue, serving
from tests.store.samples import NORTHWIND, organizations

schema = schemathesis.openapi.from_dict(openapi_document())


@pytest.fixture
def client(sqlite_engine: Engine) -> Iterator[Client]:
    """A client whose key may do everything; after all requests the history is sound."""
    organizations(sqlite_engine)
    with serving(sqlite_engine, issue(sqlite_engine, may_name_users=True).token) as client:
        yield client
    verified = verify_organization(sqlite_engine, NORTHWIND, started_by="system:test")
    assert not [finding for finding in verified.findings if finding.severity == "error"]


@schema.parametrize()
@settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
def test_every_operation_answers_as_it_is_described(case: schemathesis.Case[Any], client: Client) -> None:
    address = f"http://127.0.0.1:{client.port}"
    try:
        case.call_and_validate(base_url=address, headers={"Authorization": f"Bearer {client.token}"})
    except* RejectedPositiveData as refused:
        # What a filter can mean is more than a schema can say; that it is refused as it should be was checked beside.
        if case.operation.definition.raw["operationId"] != "listRecords":
            raise refused from None
