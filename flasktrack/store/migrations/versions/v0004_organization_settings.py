"""Settings of an organization, each with the record that set it."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "organization_setting",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("seq", Position, nullable=False),
    )
