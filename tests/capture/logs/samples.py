"""Entries of other systems' logs, as their documentation shows them."""

from __future__ import annotations

from typing import Any

ROLE = "arn:aws:iam::123456789012:role/sequencer"
ALICE = {
    "type": "IAMUser",
    "principalId": "AIDAJ45Q7YFFAREXAMPLE",
    "arn": "arn:aws:iam::123456789012:user/Alice",
    "accountId": "123456789012",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "userName": "Alice",
}


def assumed_role(role: str, session: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "AssumedRole",
        "principalId": f"AROAIDPPEZS35WEXAMPLE:{session}",
        "arn": f"arn:aws:sts::123456789012:assumed-role/{role}/{session}",
        "accountId": "123456789012",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAIDPPEZS35WEXAMPLE",
                "arn": f"arn:aws:iam::123456789012:role/{role}",
                "accountId": "123456789012",
                "userName": role,
            },
            "attributes": {"creationDate": "2026-07-19T21:11:57Z", "mfaAuthenticated": "false"},
            **more,
        },
    }


def cloudtrail(**changes: Any) -> dict[str, Any]:
    return {
        "eventVersion": "1.11",
        "userIdentity": ALICE,
        "eventTime": "2026-07-19T21:17:28Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.27 Python/3.13",
        "requestParameters": {"bucketName": "northwind-raw", "key": "run-7/lane-1.fastq.gz"},
        "responseElements": None,
        "additionalEventData": {"bytesTransferredIn": 9007199254740993},
        "requestID": "4e56e5c7-example",
        "eventID": "a5f1c0de-7a33-4e2b-9d4f-1f2f3a4b5c6d",
        "readOnly": False,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::northwind-raw/run-7/lane-1.fastq.gz"},
            {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::northwind-raw"},
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
        **changes,
    }


def github(**changes: Any) -> dict[str, Any]:
    return {
        "@timestamp": 1785531600123,
        "_document_id": "XQW4pk0NbEgUzHD0BAAZ9Q",
        "action": "repo.create",
        "actor": "octocat",
        "actor_id": 583231,
        "actor_ip": "203.0.113.42",
        "actor_is_bot": False,
        "actor_location": {"country_code": "US"},
        "created_at": 1785531600123,
        "hashed_token": "j7TxdJbRhfNhkIOs67EXYceuX0EXL+du673X+6QYSow=",
        "operation_type": "create",
        "org": "northwind",
        "org_id": 86825428,
        "programmatic_access_type": "Fine-grained personal access token",
        "repo": "northwind/protocols",
        "repo_id": 1296269,
        "request_id": "E3A1:2B5C:example",
        "token_id": 77,
        "user_agent": "GitHub CLI/2.80.0",
        "visibility": "private",
        **changes,
    }


def django(number: int = 7, **changes: Any) -> dict[str, Any]:
    return {
        "model": "auditlog.logentry",
        "pk": number,
        "fields": {
            "content_type": ["lab", "sample"],
            "object_pk": "104",
            "object_id": 104,
            "object_repr": "Buffer 7",
            "serialized_data": None,
            "action": 1,
            "changes_text": "",
            "changes": {"volume": ["0.50", "0.25"], "tags": {"type": "m2m", "operation": "add", "objects": ["cold"]}},
            "actor": ["ana.ruiz"],
            "cid": "order-881",
            "remote_addr": "10.0.4.7",
            "remote_port": 50112,
            "timestamp": "2026-07-19T21:17:28.123Z",
            "additional_data": None,
            "actor_email": "ana.ruiz@northwind.example",
            **changes,
        },
    }


def retraced(**changes: Any) -> dict[str, Any]:
    return {
        "id": "5d2f3b7c9e1a4f60",
        "action": "sample.approve",
        "description": "Ana approved a sample",
        "group": {"id": "northwind", "name": "Northwind Labs"},
        "actor": {"id": "u-17", "name": "Ana Ruiz", "href": "https://lims.example/users/u-17"},
        "target": {"id": "S-104", "name": "Buffer 7", "type": "sample", "href": "https://lims.example/samples/S-104"},
        "crud": "u",
        "display_title": "Ana Ruiz approved Buffer 7",
        "received": "2026-07-19T21:17:29Z",
        "created": "2026-07-19T21:17:28Z",
        "is_failure": False,
        "is_anonymous": False,
        "source_ip": "192.0.2.9",
        "country": "Germany",
        "fields": [{"key": "method", "value": "titration"}],
        **changes,
    }


def ocsf_api(**changes: Any) -> dict[str, Any]:
    return {
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 6,
        "class_uid": 6003,
        "type_uid": 600301,
        "severity_id": 1,
        "time": 1785531600123,
        "status_id": 1,
        "metadata": {
            "version": "1.8.0",
            "uid": "ev-77",
            "product": {"name": "LIMS Gateway", "vendor_name": "Example"},
            "correlation_uid": "order-881",
        },
        "actor": {"user": {"uid": "u-17", "name": "ana", "type_id": 1, "credential_uid": "key-3", "domain": "lab"}},
        "api": {"operation": "CreateBatch", "service": {"name": "batches"}, "request": {"uid": "r-9"}},
        "src_endpoint": {"ip": "192.0.2.9", "port": 50112},
        "http_request": {"user_agent": "curl/8", "http_method": "POST", "url": {"path": "/v1/batches"}},
        "resources": [{"uid": "B-9", "type": "batch", "name": "Batch 9"}, {"uid": "S-104", "type": "sample"}],
        **changes,
    }
