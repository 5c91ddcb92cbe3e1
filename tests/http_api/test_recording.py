"""POST /v1/records: all or none, once for each record_id, by the key's actor; what is acknowledged is in the chain."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from sqlalchemy import Engine

from flasktrack.http_api.events import MAX_RECORDS
from flasktrack.store.engine import initialize, open_database, open_engine
from flasktrack.store.roles import APP
from flasktrack.verify.runner import verify_organization
from tests.http_api.service import Client, event, issue, problem, revoke, serving
from tests.store.samples import NORTHWIND, SOUTHPORT, organizations, record_id, stored

CLIENTS, REQUESTS, RECORDS = 6, 4, 5

BAD: tuple[tuple[dict[str, Any], tuple[int, str], str], ...] = (
    ({"action": "Update"}, (422, "invalid-record"), "/records/1/action"),
    ({"entity": {"type": "sample", "id": ""}}, (422, "invalid-record"), "/records/1/entity/id"),
    ({"entity": {"type": "sample", "id": 1}}, (422, "invalid-record"), "/records/1/entity/id"),
    ({"reason": 12345678901234567890}, (422, "invalid-record"), "/records/1/reason"),
    ({"outcom": "denied"}, (422, "invalid-record"), "/records/1/outcom"),
    ({"after": {"text": "\x00"}}, (422, "invalid-record"), "/records/1/after"),
    ({"related": [{"type": "batch"}]}, (422, "invalid-record"), "/records/1/related/0/id"),
    ({"occurred_at": "2026-11-24T05:06:07"}, (422, "invalid-record"), "/records/1/occurred_at"),
    ({"record_id": record_id(1)}, (409, "conflict"), "/records/1/record_id"),
)


MALFORMED = (
    b"",
    b"{",
    b"\xff",
    b"[]",
    b'{"records":[]}',
    b'{"records":{}}',
    b'{"records":[1],"more":1}',
    b'{"records":[NaN]}',
    b'{"records":[{}],"records":[{}]}',
    b"[" * 100_000,
    orjson.dumps({"records": [{}] * (MAX_RECORDS + 1)}),
)


def test_records_are_recorded_by_the_key_and_acknowledged_with_positions_and_hashes(
    client: Client, lab: Engine
) -> None:
    answer = client.record(
        event(1, reason="typo", related=[{"type": "batch", "id": "B-1"}]), event(2, outcome="denied")
    )
    assert answer.status == 200
    told = [(one["seq"], one["record_id"], one["hash"], one["recorded_at"]) for one in answer.json()["records"]]
    made = [one.record for one in stored(lab)[1:]]
    assert told == [(one.seq, one.record_id, one.hash.hex(), one.recorded_at) for one in made]
    key_id = stored(lab)[0].record.entity_id
    assert {(one.actor_type, one.actor_id, one.actor_name, one.credential_id) for one in made} == {
        ("api_key", key_id, "LIMS", key_id)
    }
    assert [(one.reason, one.outcome, one.related) for one in made] == [
        ("typo", "success", (("batch", "B-1"),)),
        (None, "denied", ()),
    ]


def test_the_same_records_sent_again_are_answered_as_before_and_recorded_once(client: Client, lab: Engine) -> None:
    sent = [event(number, record_id=record_id(number)) for number in (1, 2)]
    first = client.record(*sent)
    assert client.record(*reversed(sent)).json()["records"] == first.json()["records"][::-1]
    assert client.record(*sent, event(3)).json()["records"][:2] == first.json()["records"]
    assert len(stored(lab)) == 1 + 3


def test_one_bad_record_keeps_all_out_and_is_pointed_at(client: Client, lab: Engine) -> None:
    client.record(event(1, record_id=record_id(1)))
    for bad, expected, pointer in BAD:
        answer = client.record(event(2), event(3, **bad), event(4))
        assert problem(answer) == expected
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert len(stored(lab)) == 2


def test_numbers_come_in_as_they_were_sent(client: Client, lab: Engine) -> None:
    body = orjson.dumps({"records": [event(1)]}).replace(
        b'{"volume":1}', b'{"exact":0.1000,"large":12345678901234567890}'
    )
    assert client.request("POST", "/v1/records", body, Content_Type="application/json").status == 200
    after = stored(lab)[1].after
    assert after is not None
    assert after.body == '{"exact":0.1,"large":"12345678901234567890"}'


def test_what_is_no_list_of_records_is_malformed(client: Client, lab: Engine) -> None:
    for body in MALFORMED:
        answer = client.request("POST", "/v1/records", body, Content_Type="application/json; charset=utf-8")
        assert problem(answer) == (400, "malformed")
    assert len(stored(lab)) == 1


def test_requests_at_once_make_one_gapless_chain_and_a_bad_one_disturbs_none(lab: Engine) -> None:
    issued = issue(lab)
    gone = issue(lab)

    def post(client: Client, number: int) -> list[tuple[int, str]]:
        told = []
        for turn in range(REQUESTS):
            sent = [event(turn * RECORDS + n, entity={"type": "sample", "id": f"S-{number}"}) for n in range(1, 6)]
            if number == 0:
                assert problem(client.record(*sent, event(1, action="!")))[0] == 422
                continue
            told += [(one["seq"], one["hash"]) for one in client.record(*sent).json()["records"]]
        assert [seq for seq, _ in told] == sorted(seq for seq, _ in told)
        return told

    with serving(lab, issued.token) as client, ThreadPoolExecutor(CLIENTS) as threads:
        parts = list(threads.map(lambda number: post(client, number), range(CLIENTS)))
        revoke(lab, gone)
        assert problem(Client(client.port, gone.token).record(event(1)))[0] == 401
    told = sorted(one for part in parts for one in part)
    by_key = [one.record for one in stored(lab) if one.record.credential_id == issued.key.id]
    assert told == [(one.seq, one.hash.hex()) for one in by_key]
    assert len(told) == (CLIENTS - 1) * REQUESTS * RECORDS
    verified = verify_organization(lab, NORTHWIND, started_by="system:test")
    assert verified.findings == ()


def test_the_apps_role_in_postgresql_is_enough_to_serve(postgresql_url: str, url_of_role: Callable[[str], str]) -> None:
    """Row security and grants let it do what it is for, and what it acknowledges is one organization's."""
    owner = open_engine(postgresql_url)
    initialize(owner, with_roles=True)
    organizations(owner, NORTHWIND, SOUTHPORT)
    tokens = [issue(owner, name).token for name in (NORTHWIND, SOUTHPORT)]
    gone = issue(owner)
    revoke(owner, gone)
    app = open_database(url_of_role(APP))
    with serving(app) as client:
        for token, first in zip(tokens, (4, 2), strict=True):
            own = Client(client.port, token)
            assert [one["seq"] for one in own.record(event(1), event(2)).json()["records"]] == [first, first + 1]
            assert len(own.get("/v1/records")["records"]) == first + 1
            assert own.get("/v1/checkpoints")["checkpoints"] == []
        assert problem(Client(client.port, gone.token).record(event(1)))[0] == 401
    assert [one.record.outcome for one in stored(owner)][-1] == "denied"
    app.dispose()
    owner.dispose()
