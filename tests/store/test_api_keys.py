"""API keys: shown once, kept as a hash, each change a record without any secret, and no change past its record."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.errors import ApiKeyError, ApiKeyNotInForce, InvalidApiKey, NotPermitted, UnknownOrganization
from flasktrack.store.api_key_use import append_through, authenticate, record_refused_use
from flasktrack.store.api_keys import IssuedKey, issue_api_key, list_api_keys, revoke_api_key
from flasktrack.store.engine import writing
from flasktrack.store.scope import Actor, Permission, Scope
from flasktrack.store.service_accounts import add_service_account, list_service_accounts, retire_service_account
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, SOUTHPORT, event, everything, organizations, stored, tamper

WHO: Any = {"reason": "SOP-12"}
NOW = datetime(2026, 11, 24, 5, 6, 7, tzinfo=UTC)


def scope(organization: str = NORTHWIND, user: str = "u-1", *permissions: Permission) -> Scope:
    return Scope(organization, Actor("user", user), frozenset(permissions or {Permission.MANAGE_KEYS}))


def issue(engine: Engine, organization: str = NORTHWIND, **options: Any) -> IssuedKey:
    given: dict[str, Any] = {"name": "LIMS", "actions": ["create", "update"], **WHO}
    with writing(engine) as connection:
        return issue_api_key(connection, scope(organization), **(given | options))


def revoke(engine: Engine, key_id: str, organization: str = NORTHWIND) -> None:
    with writing(engine) as connection:
        revoke_api_key(connection, scope(organization, "u-2"), key_id, reason="left")


def through(engine: Engine, issued: IssuedKey, *events: Any, **options: Any) -> None:
    with writing(engine) as connection:
        append_through(connection, issued.key, events, **options)


def test_a_key_is_issued_and_revoked_on_record_and_its_secret_is_nowhere(lab: Engine) -> None:
    issued = issue(lab, may_read=True)
    key = authenticate(lab, issued.token)
    assert key == issued.key
    assert (key.status(), key.actor) == ("active", ("api_key", key.id, "LIMS"))
    assert [key.may_record(action) for action in ("create", "delete")] == [True, False]
    revoke(lab, key.id)
    assert authenticate(lab, issued.token).status() == "revoked"
    told = [
        (one.record.action, one.record.actor_id, one.record.reason, one.before and orjson.loads(one.before.body))
        for one in stored(lab)
    ]
    before = told[1][3]
    assert told == [("create", "u-1", "SOP-12", None), ("revoke", "u-2", "left", before)]
    assert before is not None
    assert (before["actions"], before["may_read"], before["revoked_at"]) == (["create", "update"], True, None)
    secret = issued.token.rpartition("_")[2]
    kept = repr(everything(lab))
    assert issued.key.id in kept
    assert secret not in kept
    with lab.connect() as connection:
        hash_ = connection.exec_driver_sql("SELECT secret_hash FROM api_key").scalar_one()
    assert hash_.hex() not in repr([(one.record, one.before, one.after, one.context) for one in stored(lab)])
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def test_a_token_is_random_and_any_other_text_is_nobodys(lab: Engine) -> None:
    first, second = issue(lab), issue(lab)
    assert re.fullmatch(r"ftk_[0-9a-f]{16}_[0-9a-f]{64}", first.token)
    other_secret = f"{first.key.id}{second.token[len(second.key.id) :]}"
    for text in ("", "ftk_", first.key.id, first.token[:-1], first.token + "0", first.token.upper(), other_secret, "é"):
        with pytest.raises(InvalidApiKey):
            authenticate(lab, text)


def test_a_key_expires(lab: Engine) -> None:
    issued = issue(lab, lifetime=timedelta(hours=1), clock=lambda: NOW)
    assert issued.key.expires_at == "2026-11-24T06:06:07.000000Z"
    assert [issued.key.status(NOW + timedelta(minutes=minutes)) for minutes in (59, 60)] == ["active", "expired"]
    with pytest.raises(ApiKeyNotInForce):
        through(lab, issued, event(1), clock=lambda: NOW + timedelta(hours=1))
    assert len(stored(lab)) == 1


IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"actions": []},
    {"actions": ["Create"]},
    {"actions": [f"a{number}" for number in range(101)]},
    {"name": " "},
    {"name": "x\x00"},
    {"name": "x" * 81},
    {"reason": " "},
    {"lifetime": timedelta(days=367)},
    {"lifetime": timedelta(0)},
    {"service_account_id": "nobody"},
    {"service_account_id": "x\x00"},
    {"organization": SOUTHPORT},
)


def test_what_no_key_can_be_is_refused_and_leaves_nothing(lab: Engine) -> None:
    before = everything(lab)
    for options in IMPOSSIBLE:
        with pytest.raises((ApiKeyError, UnknownOrganization)):
            issue(lab, **options)
    assert everything(lab) == before


def test_a_key_is_one_organizations(lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    issued = issue(lab)
    assert list_api_keys(lab, scope(SOUTHPORT)) == []
    with pytest.raises(ApiKeyError):
        revoke(lab, issued.key.id, SOUTHPORT)
    assert [key.id for key in list_api_keys(lab, scope(NORTHWIND))] == [issued.key.id]
    with pytest.raises(UnknownOrganization):
        list_api_keys(lab, scope("nobody"))


def test_only_who_manages_keys_sees_or_changes_them(lab: Engine) -> None:
    others = scope(NORTHWIND, "u-3", *(set(Permission) - {Permission.MANAGE_KEYS}))
    issued = issue(lab)
    before = everything(lab)
    with writing(lab) as connection:
        for refused in (
            lambda: list_api_keys(lab, others),
            lambda: list_service_accounts(lab, others),
            lambda: issue_api_key(connection, others, name="x", may_read=True, **WHO),
            lambda: revoke_api_key(connection, others, issued.key.id, **WHO),
            lambda: add_service_account(connection, others, "lims", "LIMS", **WHO),
            lambda: retire_service_account(connection, others, "lims", **WHO),
        ):
            with pytest.raises(NotPermitted):
                refused()
    assert everything(lab) == before


def test_a_revoked_key_is_not_revoked_again(lab: Engine) -> None:
    issued = issue(lab)
    revoke(lab, issued.key.id)
    for key_id in (issued.key.id, "ftk_0000000000000000", "x\x00"):
        with pytest.raises(ApiKeyError):
            revoke(lab, key_id)
    assert len(stored(lab)) == 2


def test_a_key_that_was_revived_past_its_record_lets_nobody_in(lab: Engine) -> None:
    for changes in ("", ", seq = seq - 1", ", actions = '[\"*\"]'"):
        issued = issue(lab)
        revoke(lab, issued.key.id)
        tamper(lab, f"UPDATE api_key SET revoked_at = NULL{changes} WHERE id = '{issued.key.id}'")
        assert authenticate(lab, issued.token).status() == "altered"
    issued = issue(lab)
    revoke(lab, issued.key.id)
    tamper(lab, "DELETE FROM audit_payload WHERE seq = 8", "UPDATE api_key SET revoked_at = NULL")
    assert authenticate(lab, issued.token).status() == "altered"
    assert {key.status() for key in list_api_keys(lab, scope())} == {"altered"}


def test_a_key_that_was_widened_past_its_record_lets_nobody_in(lab: Engine) -> None:
    for change in (
        "actions = '[\"delete\"]'",
        "actions = 'x'",
        "may_read = true",
        "expires_at = '2099-01-01 00:00:00+00'",
        "name = 'Somebody else'",
        "seq = 77",
    ):
        issued = issue(lab)
        tamper(lab, f"UPDATE api_key SET {change} WHERE id = '{issued.key.id}'")
        assert authenticate(lab, issued.token).status() == "altered"


def test_another_keys_hash_in_its_place_lets_nobody_in(lab: Engine) -> None:
    issued, other = issue(lab), issue(lab)
    tamper(
        lab,
        f"UPDATE api_key SET secret_hash = (SELECT secret_hash FROM api_key WHERE id = '{other.key.id}') "
        f"WHERE id = '{issued.key.id}'",
    )
    assert {key.status() for key in list_api_keys(lab, scope(NORTHWIND)) if key.id == issued.key.id} == {"altered"}


def test_a_use_after_revocation_is_a_record(lab: Engine) -> None:
    issued = issue(lab)
    revoke(lab, issued.key.id)
    record = record_refused_use(lab, authenticate(lab, issued.token), {"ip": "192.0.2.7"}, unrecorded=3)
    assert (record.actor_type, record.actor_id, record.outcome) == ("api_key", issued.key.id, "denied")
    assert record.reason is not None
    assert "was revoked at" in record.reason
    context = stored(lab)[-1].context
    assert context is not None
    assert orjson.loads(context.body) == {"ip": "192.0.2.7", "unrecorded": 3}
    assert authenticate(lab, issued.token).status() == "revoked", "the record of the use is none of its state"
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def test_a_service_account_outlives_its_keys_and_retires_with_all_of_them(lab: Engine) -> None:
    with writing(lab) as connection:
        add_service_account(connection, scope(), "lims-sync", "LIMS", **WHO)
    first, second = (issue(lab, name=name, service_account_id="lims-sync") for name in ("old", "new"))
    assert first.key.actor == second.key.actor == ("service_account", "lims-sync", "LIMS")
    revoke(lab, first.key.id)
    assert authenticate(lab, second.token).status() == "active"
    with writing(lab) as connection:
        retire_service_account(connection, scope(), "lims-sync", **WHO)
    assert authenticate(lab, second.token).status() == "revoked"
    assert [account.retired_at is None for account in list_service_accounts(lab, scope(NORTHWIND))] == [False]
    for refused in (
        lambda: issue(lab, service_account_id="lims-sync"),
        lambda: _with(lab, retire_service_account, "lims-sync"),
        lambda: _with(lab, retire_service_account, "nobody"),
        lambda: _with(lab, add_service_account, "lims-sync", "again"),
        lambda: _with(lab, add_service_account, "Not An Id", "again"),
    ):
        before = everything(lab)
        with pytest.raises(ApiKeyError):
            refused()
        assert everything(lab) == before
    assert [one.record.action for one in stored(lab)] == ["create"] * 3 + ["revoke"] * 2 + ["retire"]
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()


def _with(engine: Engine, change: Any, *arguments: str) -> None:
    with writing(engine) as connection:
        change(connection, scope(), *arguments, **WHO)


def test_nothing_is_recorded_through_a_key_after_the_record_of_its_revocation(lab: Engine) -> None:
    """A writer that let the key in before, and had to wait for the revocation, writes nothing."""
    issued = issue(lab)
    with ThreadPoolExecutor(1) as threads, writing(lab) as connection:
        revoke_api_key(connection, scope(), issued.key.id, reason="left")
        waiting = threads.submit(through, lab, issued, event(1))
        with pytest.raises(StillRunning):
            waiting.result(0.2)
        connection.commit()
        with pytest.raises(ApiKeyNotInForce):
            waiting.result(20)
    assert [one.record.action for one in stored(lab)] == ["create", "revoke"]


def test_what_is_refused_leaves_the_rest_of_the_callers_transaction(lab: Engine) -> None:
    gone, good = issue(lab), issue(lab)
    revoke(lab, gone.key.id)
    with writing(lab) as connection:
        append_through(connection, good.key, [event(1)])
        with pytest.raises(ApiKeyNotInForce):
            append_through(connection, gone.key, [event(2), event(3)])
        append_through(connection, good.key, [event(2)])
    assert [one.record.occurred_at[-3:-1] for one in stored(lab)[3:]] == ["01", "02"]
    assert verify_organization(lab, NORTHWIND, started_by="system:test").findings == ()
