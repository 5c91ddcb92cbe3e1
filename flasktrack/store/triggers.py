"""Append-only, enforced by the database itself, whoever is connected (spec section 3).

audit_record and record_link refuse UPDATE and DELETE; audit_payload refuses them too, but for an erasure, which sets
a section's body and salt to null. checkpoint, which is evidence too, lets lines be added to its note and nothing
else; a verification stays as it was stored. Somebody who owns the database can drop a trigger; chain, signatures and
anchors are what catches that.
"""

from __future__ import annotations

SECTIONS = ("before", "after", "context")
REFUSAL = "the audit history is append-only"

FUNCTION_BODY = f"BEGIN RAISE EXCEPTION '{REFUSAL}'; END"

_FROZEN = ("audit_record", "record_link")
_PROTECTED = (*_FROZEN, "audit_payload")


def sqlite_triggers() -> list[str]:
    """DDL for SQLite.

    INSERT OR REPLACE deletes the row in its way without firing DELETE triggers (unless recursive_triggers is on),
    so an INSERT onto a position, record_id or prev_hash that is taken is refused before it can replace anything.
    Those triggers say FAIL where the others say ABORT: with it, and INSERT OR FAIL, SQLite keeps no journal for each
    statement, which would cost as much as the insert itself. A single row is either in or not with both.
    """
    refuse_insert = f"SELECT RAISE(FAIL, '{REFUSAL}')"
    raise_ = f"SELECT RAISE(ABORT, '{REFUSAL}')"
    statements = []
    for table in _PROTECTED:
        statements.append(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN {raise_}; END")
    for table in _FROZEN:
        statements.append(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN {raise_}; END")
    statements.append(
        f"CREATE TRIGGER audit_payload_only_erase BEFORE UPDATE ON audit_payload WHEN NOT ({_only_erases('IS')}) "
        f"BEGIN {raise_}; END"
    )
    for column in ("seq", "record_id", "prev_hash"):
        statements.append(
            f"CREATE TRIGGER audit_record_no_replace_{column} BEFORE INSERT ON audit_record WHEN EXISTS (SELECT 1 "
            f"FROM audit_record WHERE organization_id = NEW.organization_id AND {column} = NEW.{column}) "
            f"BEGIN {refuse_insert}; END"
        )
    statements.append(
        "CREATE TRIGGER audit_payload_no_replace BEFORE INSERT ON audit_payload WHEN EXISTS (SELECT 1 "
        "FROM audit_payload WHERE organization_id = NEW.organization_id AND seq = NEW.seq) "
        f"BEGIN {refuse_insert}; END"
    )
    # record_link has no key of its own but SQLite's rowid, which can be named too.
    statements.append(
        "CREATE TRIGGER record_link_no_replace BEFORE INSERT ON record_link WHEN EXISTS (SELECT 1 "
        f"FROM record_link WHERE rowid = NEW.rowid) BEGIN {raise_}; END"
    )
    return statements


def postgresql_triggers() -> list[str]:
    """DDL for PostgreSQL: ALWAYS triggers, which session_replication_role = replica does not switch off."""
    statements = [f"CREATE FUNCTION flasktrack_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {FUNCTION_BODY} $$"]
    for table in _PROTECTED:
        events = "DELETE" if table == "audit_payload" else "UPDATE OR DELETE"
        statements += [
            f"CREATE TRIGGER {table}_append_only BEFORE {events} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION flasktrack_refuse()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION flasktrack_refuse()",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
        ]
    statements += [
        "CREATE TRIGGER audit_payload_only_erase BEFORE UPDATE ON audit_payload FOR EACH ROW "
        f"WHEN (NOT ({_only_erases('IS NOT DISTINCT FROM')})) EXECUTE FUNCTION flasktrack_refuse()",
        "ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER audit_payload_only_erase",
    ]
    return statements


def sqlite_checkpoint_triggers() -> list[str]:
    """DDL for SQLite. The table has a rowid, which can be named: it is guarded like the key."""
    raise_ = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    return [
        f"CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint {raise_}",
        "CREATE TRIGGER checkpoint_only_cosign BEFORE UPDATE ON checkpoint WHEN NOT "
        f"({_only_cosigns('IS')} AND NEW.rowid = OLD.rowid) {raise_}",
        "CREATE TRIGGER checkpoint_no_replace BEFORE INSERT ON checkpoint WHEN EXISTS (SELECT 1 FROM checkpoint WHERE "
        f"(organization_id = NEW.organization_id AND size = NEW.size) OR rowid = NEW.rowid) {raise_}",
    ]


def postgresql_checkpoint_triggers() -> list[str]:
    """DDL for PostgreSQL; `postgresql_triggers` has made the function."""
    refuse = "EXECUTE FUNCTION flasktrack_refuse()"
    return [
        f"CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint FOR EACH ROW {refuse}",
        f"CREATE TRIGGER checkpoint_no_truncate BEFORE TRUNCATE ON checkpoint FOR EACH STATEMENT {refuse}",
        "CREATE TRIGGER checkpoint_only_cosign BEFORE UPDATE ON checkpoint FOR EACH ROW "
        f"WHEN (NOT ({_only_cosigns('IS NOT DISTINCT FROM')})) {refuse}",
        *(
            f"ALTER TABLE checkpoint ENABLE ALWAYS TRIGGER checkpoint_{name}"
            for name in ("no_delete", "no_truncate", "only_cosign")
        ),
    ]


def sqlite_verification_triggers() -> list[str]:
    """DDL for SQLite. The table has a rowid, which can be named: it is guarded like the keys."""
    raise_ = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    return [
        f"CREATE TRIGGER verification_no_delete BEFORE DELETE ON verification {raise_}",
        f"CREATE TRIGGER verification_no_update BEFORE UPDATE ON verification {raise_}",
        "CREATE TRIGGER verification_no_replace BEFORE INSERT ON verification WHEN EXISTS (SELECT 1 FROM verification "
        "WHERE id = NEW.id OR rowid = NEW.rowid OR (organization_id = NEW.organization_id AND number = NEW.number)) "
        f"{raise_}",
    ]


def postgresql_verification_triggers() -> list[str]:
    """DDL for PostgreSQL; `postgresql_triggers` has made the function."""
    refuse = "EXECUTE FUNCTION flasktrack_refuse()"
    return [
        f"CREATE TRIGGER verification_append_only BEFORE UPDATE OR DELETE ON verification FOR EACH ROW {refuse}",
        f"CREATE TRIGGER verification_no_truncate BEFORE TRUNCATE ON verification FOR EACH STATEMENT {refuse}",
        "ALTER TABLE verification ENABLE ALWAYS TRIGGER verification_append_only",
        "ALTER TABLE verification ENABLE ALWAYS TRIGGER verification_no_truncate",
    ]


def all_postgresql_triggers() -> list[str]:
    """The DDL of every version so far: what a database has that was migrated to the newest."""
    return [*postgresql_triggers(), *postgresql_checkpoint_triggers(), *postgresql_verification_triggers()]


def _only_cosigns(same: str) -> str:
    """A condition on OLD and NEW: lines were added to the note, and nothing else was changed.

    Witnesses cosign a checkpoint after it was stored, and their signatures belong in its note: at its end, so that
    what was signed before stays.
    """
    kept = [f"NEW.{name} {same} OLD.{name}" for name in ("organization_id", "size", "root", "created_at")]
    return " AND ".join([*kept, f"substr(NEW.note, 1, length(OLD.note)) {same} OLD.note"])


def _only_erases(same: str) -> str:
    """A condition on OLD and NEW: each section is as it was, or its body and salt are both null now."""
    keys = [f"NEW.organization_id {same} OLD.organization_id", f"NEW.seq {same} OLD.seq"]
    sections = [
        f"((NEW.{s} IS NULL AND NEW.{s}_salt IS NULL) OR (NEW.{s} {same} OLD.{s} AND NEW.{s}_salt {same} OLD.{s}_salt))"
        for s in SECTIONS
    ]
    return " AND ".join(keys + sections)
