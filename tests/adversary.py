"""What an insider with full rights over the database does to an audit history: one function an attack.

    alter_record(engine, "northwind-labs", 17, actor_id="u-99")
    delete_records(engine, "northwind-labs", 40, 42)
    verify_organization(engine, "northwind-labs", started_by="user:u-1").findings

Every attack takes the append-only triggers out of its way and puts them back, all in one transaction. What is deleted,
swapped or renumbered goes with its sections and links; hashes are made anew only where the function says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, insert, select, text, update

from flasktrack.core.header import SALT_BYTES, ZERO_HASH, header_hash, record_header
from flasktrack.core.record import Record, Reference
from flasktrack.core.related import parse_related, related_text
from flasktrack.store.engine import writing
from flasktrack.store.schema import audit_payload, audit_record, chain_head, record_link

HISTORY = (audit_record, audit_payload, record_link)
FORGED_LINK = sha256(b"a record that nobody made").digest()


@contextmanager
def past_the_triggers(engine: Engine) -> Iterator[Connection]:
    """A transaction in which no trigger fires; at its end they are all back."""
    with writing(engine) as connection:
        if connection.dialect.name == "sqlite":
            triggers = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
            off = [f'DROP TRIGGER "{name}"' for name, _ in triggers]
            on = [sql for _, sql in triggers]
        else:
            own = "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal"
            triggers = connection.execute(text(own)).all()
            off = [f'ALTER TABLE {table} DISABLE TRIGGER "{name}"' for table, name in triggers]
            on = [f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "{name}"' for table, name in triggers]
        assert triggers, "there is nothing that an insider would have to get past"
        for statement in off:
            connection.exec_driver_sql(statement)
        yield connection
        for statement in on:
            connection.exec_driver_sql(statement)


def run_sql(engine: Engine, sql: str, **values: Any) -> None:
    """Whatever else an insider can say in SQL."""
    with past_the_triggers(engine) as connection:
        connection.execute(text(sql), values)


# Records


def alter_record(engine: Engine, organization_id: str, seq: int, /, **columns: Any) -> None:
    """Overwrite columns of a record's row, its hash left as it was."""
    with past_the_triggers(engine) as connection:
        _update(connection, audit_record, organization_id, seq, **columns)


def rechain_record(engine: Engine, organization_id: str, seq: int, /, **fields: Any) -> None:
    """Overwrite fields of one record and make its own hash anew, but not the links after it."""
    with past_the_triggers(engine) as connection:
        record = _read(connection, organization_id, seq)._replace(**fields)
        _write(connection, seq, record._replace(hash=header_hash(record_header(record))))


def rewrite_history(
    engine: Engine, organization_id: str, first: int, change: Callable[[Record], Record] = lambda record: record
) -> None:
    """Put every record from `first` on through `change`, make hashes, links and head anew. The chain is whole again."""
    with past_the_triggers(engine) as connection:
        last_hash = ZERO_HASH if first == 1 else _read(connection, organization_id, first - 1).hash
        for seq in _positions(connection, organization_id, first):
            record = change(_read(connection, organization_id, seq))._replace(prev_hash=last_hash)
            last_hash = header_hash(record_header(record))
            _write(connection, seq, record._replace(hash=last_hash))
        _mend_head(connection, organization_id)


def swap_records(engine: Engine, organization_id: str, one: int, other: int) -> None:
    """Exchange the positions of two records."""
    with past_the_triggers(engine) as connection:
        for old, new in ((one, -1), (other, one), (-1, other)):
            _move(connection, organization_id, old, new)


def move_record(engine: Engine, organization_id: str, old: int, new: int) -> None:
    """Give a record a position that is free."""
    with past_the_triggers(engine) as connection:
        _move(connection, organization_id, old, new)


def delete_records(engine: Engine, organization_id: str, first: int, last: int | None = None) -> None:
    """Delete one record or a range, sections and links too."""
    with past_the_triggers(engine) as connection:
        _delete(connection, organization_id, first, first if last is None else last)


def delete_rows_only(engine: Engine, organization_id: str, first: int, last: int) -> None:
    """Delete a range of records in haste: sections and links stay behind."""
    with past_the_triggers(engine) as connection:
        connection.execute(delete(audit_record).where(*_between(audit_record, organization_id, first, last)))


def delete_and_renumber(engine: Engine, organization_id: str, first: int, last: int | None = None) -> None:
    """Delete a range and close the gap: later records move up, so that positions are gapless. Hashes stay."""
    last = first if last is None else last
    with past_the_triggers(engine) as connection:
        _delete(connection, organization_id, first, last)
        for seq in _positions(connection, organization_id, last + 1):
            _move(connection, organization_id, seq, seq - (last - first + 1))


def insert_forged_record(
    engine: Engine, organization_id: str, seq: int, *, prev_hash: bytes | None = None, **fields: Any
) -> None:
    """Put in a record that was never recorded, its own hash right; later ones move down.

    It is a copy of the record before, by a new actor on a new entity, with `fields` changed. By default it links to
    the newest record, and further down to none: the schema lets no two records link to the same one.
    """
    with past_the_triggers(engine) as connection:
        later = _positions(connection, organization_id, seq)
        model = _read(connection, organization_id, max(seq - 1, 1))
        for position in reversed(later):
            _move(connection, organization_id, position, position + 1)
        forged = model._replace(
            seq=seq, record_id=str(uuid.uuid4()), actor_id="u-forged", actor_seq=1, entity_id="E-forged", entity_seq=1,
            related=(), before_digest=None, after_digest=None, context_digest=None,
            prev_hash=prev_hash or (FORGED_LINK if later else model.hash),
        )._replace(**fields)  # fmt: skip
        forged = forged._replace(hash=header_hash(record_header(forged)))
        connection.execute(insert(audit_record).values(_row(forged)))
        connection.execute(insert(audit_payload).values(organization_id=organization_id, seq=seq))


def cut_tail(engine: Engine, organization_id: str, size: int, *, mend: bool = False) -> None:
    """Delete every record above `size`; with `mend`, the head says so too."""
    with past_the_triggers(engine) as connection:
        _delete(connection, organization_id, size + 1, 2**63 - 1)
        if mend:
            _mend_head(connection, organization_id)


def empty_log(engine: Engine, organization_id: str, *, mend: bool = False) -> None:
    """Delete every record; with `mend`, the head is that of an empty chain."""
    cut_tail(engine, organization_id, 0, mend=mend)


# Sections


def alter_section(engine: Engine, organization_id: str, seq: int, section: str, body: str) -> None:
    """Overwrite a section's body."""
    _alter_payload(engine, organization_id, seq, **{section: body})


def alter_salt(engine: Engine, organization_id: str, seq: int, section: str, salt: Any = bytes(SALT_BYTES)) -> None:
    """Overwrite a section's salt."""
    _alter_payload(engine, organization_id, seq, **{f"{section}_salt": salt})


def delete_section(engine: Engine, organization_id: str, seq: int, section: str) -> None:
    """Take a section away as an erasure does, body and salt, without an erasure."""
    _alter_payload(engine, organization_id, seq, **{section: None, f"{section}_salt": None})


def delete_body(engine: Engine, organization_id: str, seq: int, section: str) -> None:
    """Take a section's body away and leave its salt."""
    _alter_payload(engine, organization_id, seq, **{section: None})


def delete_salt(engine: Engine, organization_id: str, seq: int, section: str) -> None:
    """Take a section's salt away and leave its body."""
    _alter_payload(engine, organization_id, seq, **{f"{section}_salt": None})


def delete_payload(engine: Engine, organization_id: str, seq: int) -> None:
    """Delete the row that holds a record's sections."""
    with past_the_triggers(engine) as connection:
        connection.execute(delete(audit_payload).where(*_between(audit_payload, organization_id, seq, seq)))


def swap_sections(engine: Engine, organization_id: str, one: int, other: int) -> None:
    """Exchange two records' sections, salts and all."""
    with past_the_triggers(engine) as connection:
        for old, new in ((one, -1), (other, one), (-1, other)):
            _update(connection, audit_payload, organization_id, old, seq=new)


def _alter_payload(engine: Engine, organization_id: str, seq: int, /, **columns: Any) -> None:
    with past_the_triggers(engine) as connection:
        _update(connection, audit_payload, organization_id, seq, **columns)


# Related entities


def alter_links(engine: Engine, organization_id: str, seq: int, /, **columns: Any) -> None:
    """Overwrite columns of every link of a record."""
    with past_the_triggers(engine) as connection:
        _update(connection, record_link, organization_id, seq, **columns)


def delete_link(engine: Engine, organization_id: str, seq: int, entity_id: str) -> None:
    """Delete a record's links to one entity."""
    links = *_between(record_link, organization_id, seq, seq), record_link.c.entity_id == entity_id
    with past_the_triggers(engine) as connection:
        assert connection.execute(delete(record_link).where(*links)).rowcount, "there was no such link"


def add_link(engine: Engine, organization_id: str, seq: int, entity_type: str, entity_id: str) -> None:
    """Relate a record to one more entity."""
    with past_the_triggers(engine) as connection:
        connection.execute(
            insert(record_link).values(
                organization_id=organization_id, seq=seq, entity_type=entity_type, entity_id=entity_id
            )
        )


# The head


def alter_head(engine: Engine, organization_id: str, /, **columns: Any) -> None:
    """Overwrite the organization's head."""
    with past_the_triggers(engine) as connection:
        connection.execute(update(chain_head).where(chain_head.c.organization_id == organization_id).values(**columns))


def delete_head(engine: Engine, organization_id: str) -> None:
    """Delete the organization's head."""
    with past_the_triggers(engine) as connection:
        connection.execute(delete(chain_head).where(chain_head.c.organization_id == organization_id))


def mend_head(engine: Engine, organization_id: str) -> None:
    """Let the head name the record that is the newest now."""
    with past_the_triggers(engine) as connection:
        _mend_head(connection, organization_id)


# Their tools


def _between(table: Table, organization_id: str, first: int, last: int) -> tuple[ColumnElement[bool], ...]:
    return table.c.organization_id == organization_id, table.c.seq.between(first, last)


def _read(connection: Connection, organization_id: str, seq: int) -> Record:
    row = connection.execute(select(audit_record).where(*_between(audit_record, organization_id, seq, seq))).one()
    return Record(*row)._replace(related=parse_related(row.related))


def _row(record: Record) -> dict[str, Any]:
    related = [Reference(*pair) for pair in record.related]
    return record._asdict() | {"related": related_text(related)}


def _write(connection: Connection, seq: int, record: Record) -> None:
    _update(connection, audit_record, record.organization_id, seq, **_row(record))


def _update(connection: Connection, table: Table, organization_id: str, seq: int, /, **columns: Any) -> None:
    done = connection.execute(update(table).where(*_between(table, organization_id, seq, seq)).values(columns))
    assert done.rowcount, "there was nothing to alter"


def _move(connection: Connection, organization_id: str, old: int, new: int) -> None:
    for table in HISTORY:
        connection.execute(update(table).where(*_between(table, organization_id, old, old)).values(seq=new))


def _delete(connection: Connection, organization_id: str, first: int, last: int) -> None:
    for table in HISTORY:
        connection.execute(delete(table).where(*_between(table, organization_id, first, last)))


def _positions(connection: Connection, organization_id: str, first: int) -> list[int]:
    here = _between(audit_record, organization_id, first, 2**63 - 1)
    return list(connection.scalars(select(audit_record.c.seq).where(*here).order_by(audit_record.c.seq)))


def _mend_head(connection: Connection, organization_id: str) -> None:
    seq = audit_record.c.seq
    last = connection.scalar(
        select(func.coalesce(func.max(seq), 0)).where(audit_record.c.organization_id == organization_id)
    )
    hash_ = _read(connection, organization_id, last).hash if last else ZERO_HASH
    connection.execute(
        update(chain_head).where(chain_head.c.organization_id == organization_id).values(size=last, hash=hash_)
    )
