"""Members: who belongs to an organization, in which roles, each with the record that says so."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "member",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("seq", Position, nullable=False),
    )
    op.create_index("ix_member_subject", "member", ["subject"])
