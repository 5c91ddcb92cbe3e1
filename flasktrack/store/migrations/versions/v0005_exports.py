"""Exports: what is being written or was, and where it is; and filters that were saved by name."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position, Time

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "export",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("requested_at", Time, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("records", Position, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("written", Position, nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("bytes", Position),
        sa.Column("sha256", sa.Text),
        sa.Column("seq", Position),
        sa.Column("expires_at", Time),
        sa.Column("problem", sa.Text),
    )
    op.create_index("ix_export_organization", "export", ["organization_id", "requested_at"])
    op.create_table(
        "saved_filter",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("saved_at", Time, nullable=False),
        sa.Column("saved_by", sa.Text, nullable=False),
    )
