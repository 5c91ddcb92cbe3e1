"""What an insider does to a history that was sealed: to checkpoints, to the whole database, and with a stolen key.

    before = copy_database(engine, "northwind-labs")
    ...
    replay_copy(engine, "northwind-labs", before)     # an older copy in the place of the database
    remove_checkpoints(engine, "northwind-labs")
    sign_again(engine, "northwind-labs", keyring, 12) # with the stolen key

Beside `tests/adversary.py`, and like it past the triggers, which are back afterwards.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Table, delete, insert, select, update

from flasktrack.core import merkle
from flasktrack.core.checkpoint import Checkpoint, format_checkpoint
from flasktrack.core.keys import SigningKey
from flasktrack.core.note import format_note, sign_note
from flasktrack.store.schema import audit_record, chain_head, checkpoint, organization, tree_node, verification
from flasktrack.trust.checkpoints import StoredCheckpoint
from flasktrack.trust.keyring import Keyring
from tests.adversary import HISTORY, past_the_triggers

EVERYTHING = (*HISTORY, chain_head, checkpoint, tree_node, verification, organization)
TIME = "2026-11-24T05:06:07.123456Z"

Copy = dict[str, list[Row[Any]]]


def remove_checkpoints(engine: Engine, organization_id: str, *sizes: int) -> None:
    """Delete checkpoints of these sizes, or all of them."""
    chosen = [checkpoint.c.organization_id == organization_id]
    if sizes:
        chosen.append(checkpoint.c.size.in_(sizes))
    with past_the_triggers(engine) as connection:
        assert connection.execute(delete(checkpoint).where(*chosen)).rowcount, "there was no such checkpoint"


def alter_checkpoint(engine: Engine, organization_id: str, checkpoint_size: int, /, **columns: Any) -> None:
    """Overwrite columns of a checkpoint's row."""
    mine = checkpoint.c.organization_id == organization_id, checkpoint.c.size == checkpoint_size
    with past_the_triggers(engine) as connection:
        assert connection.execute(update(checkpoint).where(*mine).values(columns)).rowcount


def add_checkpoint(engine: Engine, organization_id: str, size: int, root: bytes, note: str) -> None:
    """Put a checkpoint in, in the place of one of that size."""
    mine = checkpoint.c.organization_id == organization_id, checkpoint.c.size == size
    row = StoredCheckpoint(organization_id, size, root, note, TIME)
    with past_the_triggers(engine) as connection:
        connection.execute(delete(checkpoint).where(*mine))
        connection.execute(insert(checkpoint).values(row._asdict()))


def sign_again(engine: Engine, organization_id: str, keyring: Keyring, size: int) -> None:
    """Sign a checkpoint over the first records as they are now, in the place of the one that is stored."""
    root = current_root(engine, organization_id, size)
    note = signed(keyring.origin(organization_id), size, root, keyring.signing_keys(organization_id))
    add_checkpoint(engine, organization_id, size, root, note)


def signed(origin: str, size: int, root: bytes, keys: list[SigningKey]) -> str:
    """A note as a sealing makes it, over whatever is asked for."""
    return format_note(sign_note(format_checkpoint(Checkpoint(origin, size, root)), keys, 1_795_000_000))


def current_root(engine: Engine, organization_id: str, size: int) -> bytes:
    """The root over the hashes that the first records bear now."""
    seq = audit_record.c.seq
    statement = select(audit_record.c.hash).where(audit_record.c.organization_id == organization_id, seq <= size)
    with engine.connect() as connection:
        leaves = list(connection.scalars(statement.order_by(seq)))
    assert len(leaves) == size
    return merkle.root(size, merkle.subtrees_of(leaves))


def alter_node(engine: Engine, organization_id: str, level: int, position: int, node: bytes) -> None:
    """Overwrite a stored node of the tree, or put it in."""
    key = {"organization_id": organization_id, "level": level, "position": position}
    with past_the_triggers(engine) as connection:
        connection.execute(delete(tree_node).where(*(tree_node.c[name] == value for name, value in key.items())))
        connection.execute(insert(tree_node).values(key | {"hash": node}))


def copy_database(engine: Engine, organization_id: str) -> Copy:
    """All that the database holds of an organization."""
    with engine.connect() as connection:
        return {
            table.name: list(connection.execute(select(table).where(_of(table, organization_id))))
            for table in EVERYTHING
        }


def replay_copy(engine: Engine, organization_id: str, copy: Copy) -> None:
    """Put an older copy in the place of all that is there now."""
    with past_the_triggers(engine) as connection:
        for table in EVERYTHING:
            connection.execute(delete(table).where(_of(table, organization_id)))
            if copy[table.name]:
                connection.execute(insert(table), [row._asdict() for row in copy[table.name]])


def remove_everything(engine: Engine, organization_id: str) -> None:
    """Leave no row of an organization in any table."""
    replay_copy(engine, organization_id, {table.name: [] for table in EVERYTHING})


def _of(table: Table, organization_id: str) -> ColumnElement[bool]:
    return (table.c.id if table is organization else table.c.organization_id) == organization_id
