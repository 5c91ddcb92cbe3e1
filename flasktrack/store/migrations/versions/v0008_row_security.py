"""PostgreSQL: those who don't own the tables see one organization's rows at a time."""

from alembic import op

from flasktrack.store.row_security import row_security

revision = "0008"
down_revision = "0007"

_TABLES = (
    "audit_payload", "audit_record", "chain_head", "checkpoint", "export", "organization_setting", "record_link",
    "saved_filter", "tree_node", "verification",
)  # fmt: skip


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            for statement in row_security(table):
                op.execute(statement)
