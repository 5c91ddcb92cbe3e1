"""Sealing: stored nodes of the Merkle tree, how a verification was run, and checkpoints that are append-only."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Position
from flasktrack.store.triggers import postgresql_checkpoint_triggers, sqlite_checkpoint_triggers

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "tree_node",
        sa.Column("organization_id", sa.Text, primary_key=True),
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", Position, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("verification", sa.Column("mode", sa.Text, nullable=False, server_default="full"))
    op.add_column("verification", sa.Column("anchored", Position, nullable=False, server_default="0"))
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in sqlite_checkpoint_triggers() if sqlite else postgresql_checkpoint_triggers():
        op.execute(statement)
