"""Who is let in, how often, and what is on record of a key that was shown after its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import orjson
from sqlalchemy import Engine

from flasktrack.http_api.limits import REFUSED_BURST, RateLimit, RefusedUses
from tests.http_api.service import Client, event, issue, problem, revoke, serving
from tests.store.samples import stored, tamper

ADDRESSES = (
    ("POST", "/v1/records"),
    ("GET", "/v1/records"),
    ("GET", "/v1/checkpoints"),
    ("GET", "/v1/records/1/proof"),
)


def test_nobody_is_let_in_without_a_key(client: Client, lab: Engine) -> None:
    right = client.token
    wrong = (None, f"Basic {right}", right, "Bearer", "Bearer x", f"Bearer {right}0", f"Bearer {right}, {right}")
    for (method, path), shown in product(ADDRESSES, wrong):
        answer = Client(client.port, None).request(method, path, **({"Authorization": shown} if shown else {}))
        assert problem(answer) == (401, "not-authenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert len(stored(lab)) == 1, "anybody could fill the chain with records of that"


def test_a_key_that_was_revoked_or_has_expired_is_refused_and_that_is_a_record(client: Client, lab: Engine) -> None:
    gone = issue(lab)
    late = issue(lab, lifetime=timedelta(days=1), clock=lambda: datetime(2025, 1, 1, tzinfo=UTC))
    revoke(lab, gone)
    before = len(stored(lab))
    for issued, word in ((gone, "revoked"), (late, "expired")):
        answer = Client(client.port, issued.token).request(
            "GET", "/v1/records?text=x", User_Agent="pump/1", X_Request_ID="r-1"
        )
        assert problem(answer) == (401, "not-authenticated")
        assert word in answer.json()["detail"]
    told = stored(lab)[before:]
    assert [(one.record.actor_id, one.record.action, one.record.outcome) for one in told] == [
        (issued.key.id, "authenticate", "denied") for issued in (gone, late)
    ]
    for one, word in zip(told, ("revoked", "expired"), strict=True):
        assert word in str(one.record.reason)
        assert one.context is not None
        assert orjson.loads(one.context.body) == {
            "ip": "127.0.0.1", "method": "GET", "path": "/v1/records", "request_id": "r-1", "user_agent": "pump/1",
        }  # fmt: skip
    assert gone.token.rpartition("_")[2] not in repr(stored(lab))


def test_a_key_that_is_not_what_its_record_says_is_refused_even_where_that_can_not_be_recorded(
    client: Client, lab: Engine
) -> None:
    one, other = issue(lab), issue(lab)
    tamper(lab, f"UPDATE api_key SET actions = '[\"delete\"]' WHERE id = '{one.key.id}'")
    tamper(lab, f"UPDATE api_key SET name = '' WHERE id = '{other.key.id}'")
    for issued in (one, other):
        answer = Client(client.port, issued.token).record(event(1))
        assert problem(answer) == (401, "not-authenticated")
        assert "not what its record says" in answer.json()["detail"]
    assert [record.record.entity_id for record in stored(lab)[3:]] == [one.key.id]


def test_a_key_is_let_in_as_often_as_its_rate_and_keeps_no_other_out(lab: Engine) -> None:
    one, other = issue(lab), issue(lab)
    with serving(lab, one.token, rate=0.001) as client:
        assert client.record(event(1)).status == 200
        answer = client.record(event(2))
        assert problem(answer) == (429, "too-many-requests")
        assert 990 <= int(answer.headers["retry-after"]) <= 1000
        assert Client(client.port, other.token).record(event(2)).status == 200


def test_a_key_that_may_not_read_does_not(client: Client, lab: Engine) -> None:
    blind = Client(client.port, issue(lab, may_read=False).token)
    for method, path in ADDRESSES[1:]:
        assert problem(blind.request(method, path)) == (403, "not-allowed")
    assert blind.record(event(1)).status == 200


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    now = 0.0
    limit = RateLimit(rate=2, burst=4, clock=lambda: now)
    assert [limit.take("k") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limit.take("other") == 0
    now = 0.5
    assert [limit.take("k"), limit.take("k")] == [0, 0.5]
    now = 1000
    assert [limit.take("k") == 0 for _ in range(5)] == [True] * 4 + [False]


def test_uses_of_a_refused_key_are_recorded_or_counted() -> None:
    now = 0.0
    uses = RefusedUses(clock=lambda: now)
    assert [uses.count("k") for _ in range(REFUSED_BURST + 3)] == [0] * REFUSED_BURST + [None] * 3
    now = 10.0
    assert [uses.count("k"), uses.count("k")] == [3, None]
