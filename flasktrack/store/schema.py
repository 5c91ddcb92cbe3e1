"""Tables and columns as spec section 3 names them, for SQLite and PostgreSQL.

    organization --1:1-- chain_head          the head that a writer takes for itself
         |
         +--1:n-- audit_record --1:1-- audit_payload     (sections, which alone may be erased)
                       +--1:n-- record_link              (its related entities)
         +--1:n-- checkpoint                             (what was signed)
         +--1:n-- tree_node                              (interior hashes of the Merkle tree, to be made anew at will)
         +--1:n-- verification                           (what was checked, and found)
         +--1:n-- export, saved_filter                   (what left, or is being written; filters by name)
         +--1:n-- organization_setting                   (what is set, and which record says so)
         +--1:n-- member                                 (who belongs to it, as what, and which record says so)
         +--1:n-- service_account, api_key               (machines, and what they show to be let in)

    account --1:n-- sign_in_session, known_browser       (people of all organizations; who is signed in, and from where)
    sign_in_attempts                                     (failures that count against a name, an address, a browser)

There are no foreign keys between them: the verification has to read whatever an insider left behind, and a
constraint that an insider can drop proves nothing. What guards appends is the head row and two unique constraints.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from flasktrack.core.times import format_time, parse_time

metadata = MetaData()

Position = BigInteger().with_variant(Integer, "sqlite")
"""A seq, an ordinal or a size: SQLite's INTEGER has 64 bits already."""


class Time(TypeDecorator[str]):
    """A time in the spec's text form: `timestamptz` in PostgreSQL, that same text in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return parse_time(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return format_time(value.astimezone(UTC)) if isinstance(value, datetime) else value


organization = Table(
    "organization",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("created_at", Time, nullable=False),
)

audit_record = Table(
    "audit_record",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("seq", Position, primary_key=True, autoincrement=False),
    Column("record_id", Text, nullable=False),
    Column("occurred_at", Time, nullable=False),
    Column("recorded_at", Time, nullable=False),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text),
    Column("actor_role", Text),
    Column("actor_seq", Position, nullable=False),
    Column("credential_id", Text),
    Column("on_behalf_of", Text),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("entity_name", Text),
    Column("entity_seq", Position, nullable=False),
    Column("related", Text, nullable=False),
    Column("reason", Text),
    Column("correlation_id", Text),
    Column("before_digest", LargeBinary),
    Column("after_digest", LargeBinary),
    Column("context_digest", LargeBinary),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("organization_id", "prev_hash", name="uq_audit_record_prev_hash"),
    UniqueConstraint("organization_id", "record_id", name="uq_audit_record_record_id"),
    # An actor's and an entity's history in order; the writer reads their last ordinal from the same index.
    Index("ix_audit_record_actor", "organization_id", "actor_type", "actor_id", "actor_seq"),
    Index("ix_audit_record_entity", "organization_id", "entity_type", "entity_id", "entity_seq"),
    # Without rowid SQLite keeps the rows themselves in order of (organization_id, seq), as every reader wants them.
    sqlite_with_rowid=False,
)

audit_payload = Table(
    "audit_payload",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("seq", Position, primary_key=True, autoincrement=False),
    Column("before", Text),
    Column("before_salt", LargeBinary),
    Column("after", Text),
    Column("after_salt", LargeBinary),
    Column("context", Text),
    Column("context_salt", LargeBinary),
    sqlite_with_rowid=False,
)

record_link = Table(
    "record_link",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("seq", Position, nullable=False),
    # No primary key: `related` may name an entity twice, and then there are two rows.
    Index("ix_record_link_entity", "organization_id", "entity_type", "entity_id", "seq"),
    Index("ix_record_link_seq", "organization_id", "seq"),
)

chain_head = Table(
    "chain_head",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("size", Position, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("size", Position, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Time, nullable=False),
)

tree_node = Table(
    "tree_node",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", Position, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

verification = Table(
    "verification",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("first_seq", Position, nullable=False),
    Column("last_seq", Position, nullable=False),
    Column("records", Position, nullable=False),
    Column("sealed", Position, nullable=False),
    Column("status", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("mode", Text, nullable=False, server_default="full"),
    Column("anchored", Position, nullable=False, server_default="0"),
    # The order in which they were stored, 1, 2, 3 in each organization: a clock, or a forged time, does not decide it.
    Column("number", Position, nullable=False, server_default="0"),
    Column("remarks", Text, nullable=False, server_default="[]"),
    Index("ix_verification_organization", "organization_id", "number", unique=True),
)

organization_setting = Table(
    "organization_setting",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("seq", Position, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # A JSON list of roles' names.
    Column("roles", Text, nullable=False),
    Column("seq", Position, nullable=False),
    # A person's organizations, which are asked for at every click.
    Index("ix_member_subject", "subject"),
)

export = Table(
    "export",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("requested_at", Time, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("filter", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("records", Position, nullable=False),
    Column("status", Text, nullable=False),
    Column("written", Position, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("file", Text, nullable=False),
    Column("bytes", Position),
    Column("sha256", Text),
    Column("seq", Position),
    Column("expires_at", Time),
    Column("problem", Text),
    Index("ix_export_organization", "organization_id", "requested_at"),
)

saved_filter = Table(
    "saved_filter",
    metadata,
    Column("organization_id", Text, primary_key=True),
    # Whose it is, as type:id; empty for one that the organization shares.
    Column("owner", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("filter", Text, nullable=False),
    Column("saved_at", Time, nullable=False),
    Column("saved_by", Text, nullable=False),
)

service_account = Table(
    "service_account",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("retired_at", Time),
    Column("seq", Position, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    # Whose credential it is; null for a key that is an actor itself.
    Column("service_account_id", Text),
    Column("actions", Text, nullable=False),
    Column("may_read", Boolean, nullable=False),
    Column("may_name_users", Boolean, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("revoked_at", Time),
    # The record that tells of its state: whoever changes the row past FlaskTrack is found out by it.
    Column("seq", Position, nullable=False),
    Index("ix_api_key_organization", "organization_id", "created_at"),
)

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # Argon2id in the PHC string format; null for one whose password is kept elsewhere.
    Column("password", Text),
    # Somebody else knows the password: it opens nothing but the form for a new one.
    Column("temporary", Boolean, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("disabled_at", Time),
    # Failed sign-ins that stand in no record yet, and until when the records of earlier ones are spread.
    Column("failures", Integer, nullable=False),
    Column("failures_spread_until", Time),
)

sign_in_session = Table(
    "sign_in_session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("ended_at", Time),
    Index("ix_sign_in_session_account", "account_id"),
)

known_browser = Table(
    "known_browser",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("seen_at", Time, nullable=False),
    Index("ix_known_browser_account", "account_id"),
)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("key_hash", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Time, nullable=False),
    Column("locked_until", Time),
)
