"""What other systems' entries become: who acted and for whom, on what, from where, how it ended; nothing is lost."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasktrack.capture.csv_sources import RECORD_ID_NAMESPACE
from flasktrack.capture.logs.formats import LOG_FORMATS
from flasktrack.core.record import Event, check_event, check_record_id
from flasktrack.core.times import format_time
from flasktrack.errors import InvalidRecord
from tests.capture.events import JSON
from tests.capture.logs.samples import ALICE, ROLE, assumed_role, cloudtrail, django, github, ocsf_api, retraced

SAMPLES: dict[str, Callable[..., dict[str, Any]]] = {
    "cloudtrail": cloudtrail, "github": github, "django-auditlog": django, "retraced": retraced, "ocsf": ocsf_api,
}  # fmt: skip


def event(log: str, value: dict[str, Any]) -> Event:
    """The event, checked as the writer does."""
    found = LOG_FORMATS[log].event_of(copy.deepcopy(value))
    check_event(found)
    check_record_id(found.record_id or "")
    return found


def actor(found: Event) -> tuple[Any, ...]:
    return found.actor_type, found.actor_id, found.actor_name, found.on_behalf_of


def derived(log: str, *identity: Any) -> str:
    name = json.dumps([log, *identity], separators=(",", ":"), ensure_ascii=False)
    return str(uuid.uuid5(RECORD_ID_NAMESPACE, name))


def test_a_cloudtrail_record() -> None:
    found = event("cloudtrail", cloudtrail())
    assert actor(found) == ("user", "arn:aws:iam::123456789012:user/Alice", "Alice", None)
    assert (found.credential_id, found.action, found.outcome) == ("AKIAIOSFODNN7EXAMPLE", "put_object", "success")
    assert (found.entity_type, found.entity_id) == (
        "AWS::S3::Object", "arn:aws:s3:::northwind-raw/run-7/lane-1.fastq.gz",
    )  # fmt: skip
    assert list(found.related) == [("AWS::S3::Bucket", "arn:aws:s3:::northwind-raw")]
    assert format_time(found.occurred_at) == "2026-07-19T21:17:28.000000Z"
    assert found.record_id == "a5f1c0de-7a33-4e2b-9d4f-1f2f3a4b5c6d"
    assert {key: found.context[key] for key in ("ip", "user_agent", "request_id")} == {
        "ip": "192.0.2.7", "user_agent": "aws-cli/2.27 Python/3.13", "request_id": "4e56e5c7-example",
    }  # fmt: skip
    assert found.context["cloudtrail"]["requestParameters"] == {
        "bucketName": "northwind-raw", "key": "run-7/lane-1.fastq.gz",
    }  # fmt: skip


PERSON = {"userId": "544894e8-80c1-707f-60e3-3ba6510dfac1", "identityStoreArn": "arn:aws:identitystore::1:d-9067642ac7"}
SERVICE = "cloudformation.amazonaws.com"


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (
            {"type": "Root", "arn": "arn:aws:iam::1:root", "userName": "lab"},
            ("user", "arn:aws:iam::1:root", "lab", None),
        ),
        (assumed_role("sequencer", "i-0abc"), ("service_account", ROLE, "sequencer", None)),
        (
            assumed_role("sequencer", "i-0abc", sourceIdentity="ana"),
            ("service_account", ROLE, "sequencer", "user:ana"),
        ),
        (assumed_role("AWSReservedSSO_QA_0a1b", "ana@lab.example"), ("user", "ana@lab.example", None, None)),
        (
            {"type": "IdentityCenterUser", "accountId": "1", "onBehalfOf": PERSON, "credentialId": "c"},
            ("user", PERSON["userId"], None, None),
        ),
        (
            {**assumed_role("sequencer", "s"), "onBehalfOf": PERSON},
            ("service_account", ROLE, "sequencer", f"user:{PERSON['userId']}"),
        ),
        ({**ALICE, "invokedBy": SERVICE}, ("system", SERVICE, None, f"user:{ALICE['arn']}")),
        (
            {**assumed_role("sequencer", "s", sourceIdentity="ana"), "invokedBy": SERVICE},
            ("system", SERVICE, None, "user:ana"),
        ),
        ({"type": "AWSService", "invokedBy": "kms.amazonaws.com"}, ("system", "kms.amazonaws.com", None, None)),
        ({"accountId": "1", "invokedBy": "kms.amazonaws.com"}, ("system", "kms.amazonaws.com", None, None)),
        (
            {"type": "AWSAccount", "principalId": "AIDAQ:s", "accountId": "2"},
            ("service_account", "AIDAQ:s", None, None),
        ),
        ({"type": "AWSAccount", "accountId": "2"}, ("service_account", "2", None, None)),
        (
            {"type": "WebIdentityUser", "principalId": "accounts.google.com:x:y", "userName": "y"},
            ("user", "accounts.google.com:x:y", "y", None),
        ),
        (
            {"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/Bob", "principalId": "1:Bob"},
            ("user", "arn:aws:sts::1:federated-user/Bob", None, None),
        ),
        ({"type": "Unknown", "principalId": "p"}, ("system", "p", None, None)),
        (None, ("system", "s3.amazonaws.com", None, None)),
    ],
)
def test_who_acts_in_cloudtrail(identity: Any, expected: tuple[Any, ...]) -> None:
    found = event("cloudtrail", cloudtrail(userIdentity=identity))
    assert actor(found) == expected


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"errorCode": "AccessDenied", "errorMessage": "not authorized"}, "denied"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied"),
        ({"errorCode": "NoSuchKey"}, "failure"),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"}}, "failure"),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"}}, "success"),
    ],
)
def test_how_it_ended_in_cloudtrail(changes: dict[str, Any], outcome: str) -> None:
    found = event("cloudtrail", cloudtrail(**changes))
    assert found.outcome == outcome
    assert (found.action == "sign_in") == ("eventName" in changes)


def test_a_service_as_source_is_no_address_and_no_resource_leaves_the_service_as_entity() -> None:
    found = event("cloudtrail", cloudtrail(sourceIPAddress=SERVICE, resources=None, eventID="no-uuid"))
    assert "ip" not in found.context
    assert found.context["cloudtrail"]["sourceIPAddress"] == SERVICE
    assert (found.entity_type, found.entity_id) == ("aws_service", "s3.amazonaws.com")
    assert found.record_id == derived("cloudtrail", "no-uuid")


def test_a_resource_whose_name_is_too_long_for_an_id_stays_whole_beside_it() -> None:
    arns = [f"arn:aws:s3:::northwind-raw/{'x' * 400}{last}" for last in "ab"]
    found = [event("cloudtrail", cloudtrail(resources=[{"type": "AWS::S3::Object", "ARN": arn}])) for arn in arns]
    assert [len(one.entity_id) for one in found] == [255, 255]
    assert found[0].entity_id != found[1].entity_id
    assert [one.context["cloudtrail"]["resources"][0]["ARN"] for one in found] == arns


def test_a_digest_is_told_from_a_log() -> None:
    with pytest.raises(InvalidRecord, match="digest"):
        event("cloudtrail", {"digestS3Object": "AWSLogs/…", "previousDigestS3Bucket": "b"})


def test_a_github_entry() -> None:
    found = event("github", github())
    assert actor(found) == ("user", "octocat", None, None)
    assert found.credential_id == "j7TxdJbRhfNhkIOs67EXYceuX0EXL+du673X+6QYSow="
    assert (found.action, found.entity_type, found.entity_id) == ("repo_create", "repository", "northwind/protocols")
    assert list(found.related) == [("organization", "northwind")]
    assert format_time(found.occurred_at) == "2026-07-31T21:00:00.123000Z"
    assert found.record_id == derived("github", "XQW4pk0NbEgUzHD0BAAZ9Q")
    assert (found.context["ip"], found.context["request_id"]) == ("203.0.113.42", "E3A1:2B5C:example")
    assert found.context["github"]["visibility"] == "private"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"actor": "dependabot[bot]"}, ("automation", "dependabot[bot]")),
        ({"actor": "builder", "actor_is_bot": True}, ("automation", "builder")),
        ({"programmatic_access_type": "GitHub App server-to-server token"}, ("automation", "octocat")),
        ({"programmatic_access_type": "GitHub App user-to-server token"}, ("user", "octocat")),
        ({"actor": "deploy_key", "programmatic_access_type": "Public Key (User/Deploy)"}, ("api_key", "deploy_key")),
        ({"actor": None}, ("system", "github")),
    ],
)
def test_who_acts_in_github(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert actor(event("github", github(**changes)))[:2] == expected


def test_the_narrowest_thing_that_github_names_is_the_entity() -> None:
    found = event("github", github(action="org.add_member", repo=None, user="hubot"))
    assert (found.action, found.entity_type, found.entity_id) == ("org_add_member", "user", "hubot")
    denied = event("github", github(action="api.request", status_code=403, url_path="/orgs", request_method="GET"))
    assert (denied.outcome, denied.context["path"], denied.context["method"]) == ("denied", "/orgs", "GET")


def test_a_django_auditlog_entry_from_dumpdata_and_as_a_row() -> None:
    dumped = django(serialized_data={"model": "lab.sample", "pk": 104, "fields": {"volume": "0.25"}})
    found = event("django-auditlog", dumped)
    assert actor(found) == ("user", "ana.ruiz", "ana.ruiz@northwind.example", None)
    assert (found.action, found.entity_type, found.entity_id) == ("update", "lab.sample", "104")
    assert (found.entity_name, found.correlation_id, found.context["ip"]) == ("Buffer 7", "order-881", "10.0.4.7")
    assert (found.before, found.after) == (None, {"volume": "0.25"})
    assert found.context["django_auditlog"]["fields"]["changes"]["volume"] == ["0.50", "0.25"]
    row = event("django-auditlog", {"id": 7, **dumped["fields"]})
    assert {**vars_of(row), "context": None} == {**vars_of(found), "context": None}


def vars_of(found: Event) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Event.__dataclass_fields__}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"actor": None, "actor_email": None}, ("system", "django", None)),
        ({"actor": None}, ("user", "ana.ruiz@northwind.example", "ana.ruiz@northwind.example")),
        ({"actor": 17}, ("user", "17", "ana.ruiz@northwind.example")),
    ],
)
def test_who_acts_in_django_auditlog(changes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert actor(event("django-auditlog", django(**changes)))[:3] == expected


def test_what_cannot_be_resolved_of_django_auditlog_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidRecord, match="natural-foreign"):
        event("django-auditlog", django(content_type=12))
    with pytest.raises(InvalidRecord, match=r"'auth\.user' is not"):
        event("django-auditlog", {"model": "auth.user", "pk": 1, "fields": {"password": "x"}})


def test_a_retraced_event() -> None:
    found = event("retraced", retraced())
    assert actor(found) == ("user", "u-17", "Ana Ruiz", None)
    assert (found.action, found.entity_type, found.entity_id) == ("sample_approve", "sample", "S-104")
    assert (found.entity_name, list(found.related)) == ("Buffer 7", [("group", "northwind")])
    assert found.context["ip"] == "192.0.2.9"
    assert found.context["retraced"]["fields"] == [{"key": "method", "value": "titration"}]
    assert event("retraced", {"node": retraced(), "cursor": "x"}).record_id == found.record_id
    failed = event("retraced", retraced(actor=None, target=None, is_anonymous=True, is_failure=True))
    assert (actor(failed)[:2], failed.outcome) == (("user", "anonymous"), "failure")
    assert (failed.entity_type, failed.entity_id) == ("group", "northwind")


def test_another_products_ocsf_event() -> None:
    found = event("ocsf", ocsf_api())
    assert actor(found) == ("user", "u-17", "ana", None)
    assert (found.action, found.credential_id, found.correlation_id) == ("create_batch", "key-3", "order-881")
    assert (found.entity_type, found.entity_id, list(found.related)) == ("batch", "B-9", [("sample", "S-104")])
    assert {key: found.context[key] for key in ("ip", "user_agent", "method", "path", "request_id")} == {
        "ip": "192.0.2.9", "user_agent": "curl/8", "method": "POST", "path": "/v1/batches", "request_id": "r-9",
    }  # fmt: skip
    machine = event("ocsf", ocsf_api(actor={"app_name": "loader"}, resources=None, action_id=2))
    assert (actor(machine)[:2], machine.outcome, machine.entity_id) == (("automation", "loader"), "denied", "batches")
    changed = {"entity": {"uid": "S-1", "type": "sample", "data": {"a": 1}}, "entity_result": {"data": {"a": 2}}}
    managed = event("ocsf", ocsf_api(class_uid=3004, **changed))
    assert (managed.before, managed.after, managed.entity_id) == ({"a": 1}, {"a": 2}, "S-1")


def leaves(value: Any) -> list[str]:
    """What stands in JSON, apart from where."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)] or ["{}"]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)] or ["[]"]
    return [str(value)]


@pytest.mark.parametrize("log", LOG_FORMATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_an_entry_holds_it_is_imported_whole_or_refused(log: str, data: st.DataObject) -> None:
    sample = SAMPLES[log]()
    holder = sample["fields"] if log == "django-auditlog" else sample
    strange = JSON | st.text(max_size=3) | st.integers(-5, 5) | st.just("2026-07-19T21:17:28.1234567+02:00")
    for key in data.draw(st.lists(st.sampled_from(sorted(holder)), max_size=4)):
        inner = holder.get(key)
        if isinstance(inner, dict) and inner and data.draw(st.booleans()):
            inner = copy.deepcopy(inner)
            inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(strange)
            holder[key] = inner
        elif data.draw(st.booleans()):
            holder.pop(key, None)
        else:
            holder[key] = data.draw(strange)
    holder.update(data.draw(st.dictionaries(st.text(max_size=4), JSON, max_size=2)))
    try:
        found = event(log, sample)
    except InvalidRecord:
        return
    kept = leaves([getattr(found, name) for name in Event.__dataclass_fields__ if name != "related"])
    kept.append(str(format_time(found.occurred_at)))
    milliseconds = round(found.occurred_at.timestamp() * 1000)
    lost = [
        leaf
        for leaf in leaves(sample)
        if leaf not in kept and not is_moment(leaf, found) and leaf != str(milliseconds)
        and leaf not in (found.on_behalf_of or "")
    ]  # fmt: skip
    assert lost == []


def is_moment(leaf: str, found: Event) -> bool:
    """Whether a text states the time that was taken, in UTC and to its last digit."""
    exact = format_time(found.occurred_at)
    return leaf.endswith("Z") and exact.startswith(leaf[:-1]) and set(exact[len(leaf) - 1 : -1]) <= set(".0")
