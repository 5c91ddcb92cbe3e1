"""Service accounts and API keys, each with the record that tells of its state."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position, Time

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "service_account",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("retired_at", Time),
        sa.Column("seq", Position, nullable=False),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("service_account_id", sa.Text),
        sa.Column("actions", sa.Text, nullable=False),
        sa.Column("may_read", sa.Boolean, nullable=False),
        sa.Column("may_name_users", sa.Boolean, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("revoked_at", Time),
        sa.Column("seq", Position, nullable=False),
    )
    op.create_index("ix_api_key_organization", "api_key", ["organization_id", "created_at"])
