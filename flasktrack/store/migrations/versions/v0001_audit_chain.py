"""The audit chain: records, payloads, links, heads, checkpoints, verifications, and the append-only triggers."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position, Time
from flasktrack.store.triggers import postgresql_triggers, sqlite_triggers

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "organization",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("created_at", Time, nullable=False),
    )
    op.create_table(
        "audit_record",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("seq", Position, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("occurred_at", Time, nullable=False),
        sa.Column("recorded_at", Time, nullable=False),
        sa.Column("actor_type", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text),
        sa.Column("actor_role", sa.Text),
        sa.Column("actor_seq", Position, nullable=False),
        sa.Column("credential_id", sa.Text),
        sa.Column("on_behalf_of", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("entity_name", sa.Text),
        sa.Column("entity_seq", Position, nullable=False),
        sa.Column("related", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("correlation_id", sa.Text),
        sa.Column("before_digest", sa.LargeBinary),
        sa.Column("after_digest", sa.LargeBinary),
        sa.Column("context_digest", sa.LargeBinary),
        sa.Column("prev_hash", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("organization_id", "prev_hash", name="uq_audit_record_prev_hash"),
        sa.UniqueConstraint("organization_id", "record_id", name="uq_audit_record_record_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_record_actor", "audit_record", ["organization_id", "actor_type", "actor_id", "actor_seq"])
    op.create_index(
        "ix_audit_record_entity", "audit_record", ["organization_id", "entity_type", "entity_id", "entity_seq"]
    )
    op.create_table(
        "audit_payload",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("seq", Position, primary_key=True, autoincrement=False),
        sa.Column("before", sa.Text),
        sa.Column("before_salt", sa.LargeBinary),
        sa.Column("after", sa.Text),
        sa.Column("after_salt", sa.LargeBinary),
        sa.Column("context", sa.Text),
        sa.Column("context_salt", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record_link",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("entity_type", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("seq", Position, nullable=False),
    )
    op.create_index("ix_record_link_entity", "record_link", ["organization_id", "entity_type", "entity_id", "seq"])
    op.create_index("ix_record_link_seq", "record_link", ["organization_id", "seq"])
    op.create_table(
        "chain_head",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("size", Position, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoint",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("size", Position, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", Time, nullable=False),
    )
    op.create_table(
        "verification",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("first_seq", Position, nullable=False),
        sa.Column("last_seq", Position, nullable=False),
        sa.Column("records", Position, nullable=False),
        sa.Column("sealed", Position, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("findings", sa.Text, nullable=False),
    )
    op.create_index("ix_verification_organization", "verification", ["organization_id", "started_at"])
    for statement in sqlite_triggers() if op.get_bind().dialect.name == "sqlite" else postgresql_triggers():
        op.execute(statement)
