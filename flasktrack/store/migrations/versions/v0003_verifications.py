"""Verifications: numbered as they are stored, with remarks on the database itself, and append-only."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position
from flasktrack.store.triggers import postgresql_verification_triggers, sqlite_verification_triggers

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("verification", sa.Column("number", Position, nullable=False, server_default="0"))
    op.add_column("verification", sa.Column("remarks", sa.Text, nullable=False, server_default="[]"))
    op.execute(
        "UPDATE verification SET number = numbered.number FROM (SELECT id, row_number() OVER (PARTITION BY "
        "organization_id ORDER BY started_at, id) AS number FROM verification) AS numbered "
        "WHERE numbered.id = verification.id"
    )
    op.drop_index("ix_verification_organization", "verification")
    op.create_index("ix_verification_organization", "verification", ["organization_id", "number"], unique=True)
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in sqlite_verification_triggers() if sqlite else postgresql_verification_triggers():
        op.execute(statement)
