"""The rules of a chain (spec sections 1 to 3), stated once more and apart from the code that they test."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine, select

from flasktrack.core.record import Record
from flasktrack.store.reader import Ledger
from flasktrack.store.schema import audit_payload, chain_head, record_link
from flasktrack.store.scope import machine_scope


def hash_by_hand(record: Record) -> bytes:
    """SHA-256(0x00 || header), the header made with the standard library's JSON."""

    def hexed(value: bytes | None) -> str | None:
        return value.hex() if value is not None else None

    header: dict[str, Any] = record._asdict()
    for name in ("hash", "prev_hash", "before_digest", "after_digest", "context_digest"):
        del header[name]
    for kind, names in (("actor", ("type", "id", "name", "role")), ("entity", ("type", "id", "name"))):
        header[kind] = {name: header.pop(f"{kind}_{name}") for name in names}
    header["related"] = [{"type": item.type, "id": item.id} for item in record.related]
    header |= {name: hexed(getattr(record, f"{name}_digest")) for name in ("before", "after", "context")}
    header |= {"v": 1, "prev": record.prev_hash.hex()}
    canonical = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(b"\x00" + canonical.encode()).digest()


def sound_records(engine: Engine, organization: str) -> list[Record]:
    """The organization's records, once every rule was found to hold on them."""
    checked = list(Ledger(engine, machine_scope(organization)).stream())
    records = [item.record for item in checked]
    assert [item.findings for item in checked] == [()] * len(checked)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert [record.prev_hash for record in records] == [bytes(32), *(record.hash for record in records)][:-1]
    assert [record.hash for record in records] == [hash_by_hand(record) for record in records]
    assert [record.recorded_at for record in records] == sorted(record.recorded_at for record in records)
    assert len({record.record_id for record in records}) == len(records)
    actors: Counter[tuple[str, str]] = Counter()
    entities: Counter[tuple[str, str]] = Counter()
    for record in records:
        actors[record.actor_type, record.actor_id] += 1
        entities[record.entity_type, record.entity_id] += 1
        assert record.organization_id == organization
        assert record.actor_seq == actors[record.actor_type, record.actor_id]
        assert record.entity_seq == entities[record.entity_type, record.entity_id]
    _check_other_tables(engine, organization, records)
    return records


def _check_other_tables(engine: Engine, organization: str, records: list[Record]) -> None:
    with engine.connect() as connection:
        payloads = connection.execute(
            select(audit_payload).where(audit_payload.c.organization_id == organization).order_by(audit_payload.c.seq)
        ).all()
        head = connection.execute(select(chain_head).where(chain_head.c.organization_id == organization)).one()
        links = connection.execute(select(record_link).where(record_link.c.organization_id == organization)).all()
    assert head == (organization, len(records), records[-1].hash if records else bytes(32))
    assert Counter(tuple(link) for link in links) == Counter(
        (organization, item.type, item.id, record.seq) for record in records for item in record.related
    )
    assert [payload.seq for payload in payloads] == [record.seq for record in records]
    for record, payload in zip(records, payloads, strict=True):
        for name in ("before", "after", "context"):
            salt, body, digest = payload._mapping[f"{name}_salt"], payload._mapping[name], None
            if body is not None:
                assert len(salt) == 16
                digest = sha256(salt + body.encode()).digest()
            assert getattr(record, f"{name}_digest") == digest
            assert (salt is None) == (body is None)
