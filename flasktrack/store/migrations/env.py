"""Alembic's entry: migrations run on the connection, and in the transaction, that `initialize` hands over."""

from alembic import context

from flasktrack.store.engine import VERSION_TABLE
from flasktrack.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
