"""A record that the tests alter."""

from __future__ import annotations

from flasktrack.core.header import ZERO_HASH
from flasktrack.core.record import Record, Reference

RECORD = Record(
    organization_id="northwind-labs",
    seq=1,
    record_id="0190c0de-0000-7000-8000-000000000001",
    occurred_at="2026-03-01T23:59:59.000001Z",
    recorded_at="2026-03-02T00:00:00.123456Z",
    actor_type="user",
    actor_id="u-17",
    actor_name="Zoë",
    actor_role="lab_manager",
    actor_seq=1,
    credential_id="tok_9",
    on_behalf_of="user:u-4",
    action="update",
    outcome="success",
    entity_type="sample",
    entity_id="S-100",
    entity_name="Buffer A",
    entity_seq=1,
    related=(Reference("batch", "B-9"),),
    reason="re-measured",
    correlation_id="req-42",
    before_digest=bytes([1]) * 32,
    after_digest=bytes([2]) * 32,
    context_digest=bytes([3]) * 32,
    prev_hash=ZERO_HASH,
    hash=ZERO_HASH,
)
