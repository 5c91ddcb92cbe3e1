"""Accounts, sessions, known browsers, and failed attempts to sign in."""

import sqlalchemy as sa
from alembic import op

from flasktrack.store.schema import Time

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("temporary", sa.Boolean, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("disabled_at", Time),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failures_spread_until", Time),
    )
    op.create_table(
        "sign_in_session",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("way", sa.Text, nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("seen_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.Column("ended_at", Time),
    )
    op.create_index("ix_sign_in_session_account", "sign_in_session", ["account_id"])
    op.create_table(
        "known_browser",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("seen_at", Time, nullable=False),
    )
    op.create_index("ix_known_browser_account", "known_browser", ["account_id"])
    op.create_table(
        "sign_in_attempts",
        sa.Column("key_hash", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failed_at", Time, nullable=False),
        sa.Column("locked_until", Time),
    )
