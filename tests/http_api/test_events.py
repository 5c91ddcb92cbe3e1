"""Who a record's actor is: the key's, and nobody that the body claims beyond what the key allows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from flasktrack.core.record import Event
from flasktrack.http_api.events import read_events
from flasktrack.http_api.problems import Problem
from flasktrack.store.api_keys import ApiKey
from tests.http_api.service import event
from tests.store.samples import NORTHWIND

KEY_ID = "ftk_0123456789abcdef"
USER = {"type": "user", "id": "u-17", "name": "Zo\u00eb", "role": "analyst"}


def key(account: str | None = None, **options: Any) -> ApiKey:
    given: dict[str, Any] = {
        "id": KEY_ID, "organization_id": NORTHWIND, "name": "LIMS", "service_account_id": account,
        "service_account_name": account and "LIMS sync", "actions": ("update",), "may_read": False,
        "may_name_users": False, "created_at": "", "expires_at": "", "revoked_at": None, "seq": 1, "fingerprint": "",
    }  # fmt: skip
    return ApiKey(**(given | options))


def read(by: ApiKey, **changes: Any) -> Event:
    (made,) = read_events(by, orjson.dumps({"records": [event(1, **changes)]}))
    return made


@pytest.mark.parametrize(
    ("by", "actor"),
    [
        (key(), ("api_key", KEY_ID, "LIMS")),
        (key("lims-sync"), ("service_account", "lims-sync", "LIMS sync")),
    ],
)
def test_the_actor_is_the_keys_whether_it_is_named_or_not(by: ApiKey, actor: tuple[str, str, str]) -> None:
    type_, id_, name = actor
    for stated in (
        {},
        {"actor": None},
        {"actor": {"type": type_, "id": id_}},
        {"actor": {"type": type_, "id": id_, "name": name}},
    ):
        made = read(by, **stated)
        assert (made.actor_type, made.actor_id, made.actor_name, made.actor_role) == (*actor, None)
        assert made.credential_id == KEY_ID


def test_a_key_that_may_name_users_records_for_them() -> None:
    by = key(may_name_users=True)
    made = read(by, actor=USER, credential_id=KEY_ID)
    assert (made.actor_type, made.actor_id, made.actor_name, made.actor_role) == ("user", "u-17", "Zo\u00eb", "analyst")
    assert made.credential_id == KEY_ID
    made = read(by, on_behalf_of="user:u-17")
    assert (made.actor_id, made.on_behalf_of) == (KEY_ID, "user:u-17")


@pytest.mark.parametrize(
    ("by", "claim", "field"),
    [
        (key(), {"actor": USER}, "actor"),
        (key(), {"on_behalf_of": "user:u-17"}, "on_behalf_of"),
        (key(), {"actor": {"type": "api_key", "id": "ftk_0000000000000000"}}, "actor"),
        (key(), {"actor": {"type": "api_key", "id": KEY_ID, "name": "Somebody"}}, "actor"),
        (key(), {"actor": {"type": "api_key", "id": KEY_ID, "role": "qa"}}, "actor"),
        (key("lims-sync"), {"actor": {"type": "api_key", "id": KEY_ID}}, "actor"),
        (key(may_name_users=True), {"actor": {"type": "system", "id": "flasktrack"}}, "actor"),
        (key(may_name_users=True), {"actor": {"type": "service_account", "id": "lims-sync"}}, "actor"),
        (key(may_name_users=True), {"on_behalf_of": "system:flasktrack"}, "on_behalf_of"),
        (key(), {"credential_id": "session-9"}, "credential_id"),
        (key(), {"action": "delete"}, "action"),
        (key(actions=()), {}, "action"),
        (key(actions=("*",)), {"entity": {"type": "api_key", "id": KEY_ID}}, "entity"),
        (key(actions=("*",)), {"entity": {"type": "member", "id": "user:anna"}}, "entity"),
        (key(actions=("*",)), {"entity": {"type": "organization_setting", "id": "attention"}}, "entity"),
        (key(actions=("*",)), {"action": "verify", "entity": {"type": "organization", "id": NORTHWIND}}, "action"),
    ],
)
def test_what_a_key_does_not_allow_is_refused(by: ApiKey, claim: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        read(by, **claim)
    assert refused.value.name == "not-allowed"
    assert [error["pointer"] for error in refused.value.errors] == [f"/records/0/{field}"]


@pytest.mark.parametrize(
    ("action", "type_", "id_"),
    [
        ("update", "api_key", "key-7"),
        ("update", "member", "M-17"),
        ("export", "batch", "B-7"),
        ("sign_in", "session", "anna"),
        ("update", "organization_setting", "retention"),
        ("verify", "organization", "a-supplier"),
        ("update", "organization", NORTHWIND),
    ],
)
def test_what_only_resembles_flasktracks_own_acts_is_the_laboratorys(action: str, type_: str, id_: str) -> None:
    by = key(actions=("*",))
    assert read(by, action=action, entity={"type": type_, "id": id_}).entity_id == id_


def test_whoever_records_what_is_reserved_is_told_what_it_is() -> None:
    with pytest.raises(Problem, match=r"'update' on member:user:anna is reserved .* such as lims_member"):
        read(key(actions=("*",)), action="update", entity={"type": "member", "id": "user:anna"})
