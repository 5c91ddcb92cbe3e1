"""GET: the shared filter in pages by position, checkpoints as they were signed, and proofs that hold."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine

from flasktrack.cli_chain import trust_from
from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.core.header import header_hash
from flasktrack.core.merkle import verify_inclusion
from flasktrack.core.note import parse_note
from flasktrack.http_api import reading
from flasktrack.seal.sealing import seal
from flasktrack.settings import Settings
from flasktrack.trust.keyring import Keyring
from tests.http_api.service import Client, event, issue, problem
from tests.store.samples import NORTHWIND, SOUTHPORT, organizations, record, tamper
from tests.store.samples import event as stored_event

QUERIES: tuple[tuple[str, list[int]], ...] = (
    ("", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("entity=sample:S-1", [2, 5, 8]),
    ("entity=sample:S-1&entity=sample:S-2&order=desc", [9, 8, 6, 5, 3, 2]),
    ("action=create", [1]),
    ("seq=4-6&order=desc", [6, 5, 4]),
    ("seq=4-6&after=4", [5, 6]),
    ("after=9223372036854775806", []),
    ("text=u-17&to=2026-11-24T05:06:07.000003Z", [2, 3]),
    ("actor_type=user&outcome=denied", []),
)
SENSELESS = (
    "colour=red",
    "limit=0",
    "limit=1001",
    "limit=x",
    "limit=1&limit=2",
    "after=-1",
    "after=9223372036854775807",
    "after=99999999999999999999",
    "order=up",
    "actor=nobody",
    "outcome=maybe",
    "from=yesterday",
    "text=",
    "entity=%00:x",
    "seq=7-3",
)


@pytest.fixture
def filled(client: Client, lab: Engine) -> Client:
    """Record 1 is the key's own; 2 to 10 are updates of three samples."""
    record(lab, *(stored_event(number, entity_id=f"S-{number % 3}") for number in range(1, 10)))
    return client


def walk(client: Client, path: str, name: str) -> list[Any]:
    """All pages from an address on."""
    found = []
    following: str | None = path
    while following:
        page = client.get(following)
        found.append(page[name])
        following = page["next"]
    return found


def test_pages_of_every_size_hold_what_the_filter_selects(filled: Client) -> None:
    for query, seqs in QUERIES:
        for limit in (2, 100):
            pages = walk(filled, f"/v1/records?limit={limit}&{query}", "records")
            assert [one["seq"] for page in pages for one in page] == seqs
            assert all(len(page) <= limit for page in pages)
            assert all(one["findings"] == [] for page in pages for one in page)


def test_a_page_ends_where_it_has_bytes_enough(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PAGE_BYTES", 2000)
    pages = walk(filled, "/v1/records?entity_type=sample", "records")
    assert [one["seq"] for page in pages for one in page] == list(range(2, 11))
    assert 1 < len(pages) < 9


def test_a_query_that_can_not_be_meant_is_refused(filled: Client) -> None:
    for query in SENSELESS:
        answer = filled.request("GET", f"/v1/records?{query}")
        assert problem(answer) == (400, "invalid-query")
        assert parse_qs(query, keep_blank_values=True).popitem()[0] in answer.json()["detail"]


def test_a_record_that_was_altered_says_so(filled: Client, lab: Engine) -> None:
    tamper(lab, "UPDATE audit_record SET action = 'delete' WHERE seq = 4")
    (found,) = filled.get("/v1/records?seq=4")["records"]
    assert found["findings"] == ["record_modified"]


def test_a_key_reads_its_own_organization_alone(filled: Client, lab: Engine) -> None:
    organizations(lab, SOUTHPORT)
    other = Client(filled.port, issue(lab, SOUTHPORT).token)
    assert [one["organization_id"] for one in other.get("/v1/records")["records"]] == [SOUTHPORT]
    assert other.get("/v1/checkpoints") == {"checkpoints": [], "next": None}
    assert problem(other.request("GET", "/v1/records/2/proof")) == (404, "not-found")


def test_checkpoints_and_proofs_hold_against_the_signed_note(
    filled: Client, lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASKTRACK_KEY_DIR", str(tmp_path / "keys"))
    settings = Settings.from_environment()
    Keyring.from_settings(settings).create()
    assert problem(filled.request("GET", "/v1/records/3/proof")) == (404, "unsealed")
    seal(lab, NORTHWIND, trust_from(settings), started_by="system:test")
    filled.record(event(1))
    seal(lab, NORTHWIND, trust_from(settings), started_by="system:test")
    filled.record(event(2))
    pages = walk(filled, "/v1/checkpoints?limit=1", "checkpoints")
    assert [one["size"] for page in pages for one in page] == [10, 11]
    assert len(filled.get("/v1/checkpoints")["checkpoints"]) == 2
    signed = parse_checkpoint(parse_note(pages[-1][0]["note"]).text)
    assert base64.b64encode(signed.root).decode() == pages[-1][0]["root"]

    answer = filled.request("GET", "/v1/records/3/proof")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    head, _, note = answer.body.decode().partition("\n\n")
    version, extra, index, *hashes = head.split("\n")
    assert (version, index) == ("c2sp.org/tlog-proof@v1", "index 2")
    leaf = header_hash(base64.b64decode(extra.removeprefix("extra ")))
    checkpoint = parse_checkpoint(parse_note(note).text)
    assert verify_inclusion(leaf, 2, checkpoint.size, [base64.b64decode(one) for one in hashes], checkpoint.root)
    assert leaf.hex() == filled.get("/v1/records?seq=3")["records"][0]["hash"]
    for seq in ("0", "13", "-1", "x", "9" * 5000, "1.0"):
        assert problem(filled.request("GET", f"/v1/records/{seq}/proof")) == (404, "not-found")
    assert problem(filled.request("GET", "/v1/records/12/proof")) == (404, "unsealed")
    tamper(lab, "UPDATE audit_record SET action = 'delete' WHERE seq = 4")
    assert problem(filled.request("GET", "/v1/records/4/proof")) == (409, "not-sound")


def test_the_next_page_keeps_the_query(filled: Client) -> None:
    page = filled.get("/v1/records?limit=1&entity=sample:S-1&entity=sample:S-2&order=desc")
    assert parse_qs(urlsplit(page["next"]).query) == {
        "limit": ["1"], "entity": ["sample:S-1", "sample:S-2"], "order": ["desc"], "after": ["9"],
    }  # fmt: skip
