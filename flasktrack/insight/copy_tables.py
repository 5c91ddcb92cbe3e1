"""Tables of the columnar copy: what pages count, kept where counting is fast (DuckDB; PostgreSQL or another engine).

    record        a row for each record: those of its own fields, and of its sections, that questions are about
    related       a row for each entity that a record relates to
    progress      a row for each organization: how far its copy has come
    by_actor      how many records there are of each actor, action, entity type and outcome
    by_quarter    the same for each quarter hour, actor type and outcome
    by_entity     the same for each entity
    first_use     a row for each actor's first use of an action, role, credential or address: its position
    search        a row for each search for words, and up to which position it was looked up
    found         the positions of the records that a search found
    about         one row: the version of these tables

The tables `by_...` are sums over `record`: a filter that names nothing but their columns is answered from them, since
ten million records take longer to count than a page may take (`insight.sums`).

To put a question to it, add a method to `questions.Questions`, whose `select` gives a SELECT its organization and the
filter's conditions, and whose `frame` runs it:

    record = copy_tables.record.c
    statement = self.select(chosen, record.action, func.count().label("records")).group_by(record.action)
    return self.frame(statement)

Times are TIMESTAMP without a zone and always UTC; null where the stored text is no time. Sections stay in the SQL
database: of `before` and `after` there is a fingerprint here, so that two states can be told apart (`before_print`
beside the entity's last `after_print` is what a window function needs to find changes that nobody recorded).

`failed` is null for a record that gave its hash, linked to the one before, and whose sections gave their digests when
it was taken in; otherwise it is the code of the first finding (spec section 5), and the record's other columns hold
what was found there. A question that counts such records says how many they are: `func.count(record.failed)`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    func,
    select,
)

from flasktrack.core.record import check_organization_id

VERSION = 8
"""To be raised with every change of these tables, or of what is put into them: a copy of another version is rebuilt."""

UNRELIABLE = 0
"""The fingerprint of a section that was recorded, but is gone or is not what was recorded."""

metadata = MetaData()

record = Table(
    "copied_record",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("occurred_at", DateTime),
    Column("recorded_at", DateTime),
    Column("actor_type", Text),
    Column("actor_id", Text),
    Column("actor_name", Text),
    Column("actor_role", Text),
    Column("actor_seq", BigInteger),
    Column("credential_id", Text),
    Column("on_behalf_of", Text),
    Column("action", Text),
    Column("outcome", Text),
    Column("entity_type", Text),
    Column("entity_id", Text),
    Column("entity_name", Text),
    Column("entity_seq", BigInteger),
    Column("reason", Text),
    Column("ip", Text),  # `ip` of the context, where it is text
    Column("before_print", BigInteger),  # null where there is no such section; UNRELIABLE where it can't be told
    Column("after_print", BigInteger),
    Column("failed", Text),
)

related = Table(
    "copied_related",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
)


first_use = Table(
    "copied_first_use",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # which column of `record` the value is of
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
)


class Sums(NamedTuple):
    """A table of sums by the columns of `key`."""

    key: tuple[str, ...]
    table: Table


def _sums(name: str, *key: str) -> Sums:
    table = Table(
        f"copied_{name}",
        metadata,
        Column("organization_id", Text, nullable=False),
        *(Column(column, BigInteger if column == "quarter" else Text) for column in key),
        Column("found_by", BigInteger, nullable=False),  # what finds a key among millions: see `insight.sums`
        Column("records", BigInteger, nullable=False),
        Column("marked", BigInteger, nullable=False),  # so many of them failed
        Column("oldest", BigInteger, nullable=False),  # the lowest position
        Column("newest", BigInteger, nullable=False),  # the highest one
        Column("first_occurred", DateTime),
        Column("last_occurred", DateTime),
    )
    return Sums(key, table)


by_actor = _sums("by_actor", "actor_type", "actor_id", "action", "entity_type", "outcome")
by_quarter = _sums("by_quarter", "quarter", "actor_type", "outcome")
by_entity = _sums("by_entity", "entity_type", "entity_id")
SUMS = (by_actor, by_quarter, by_entity)
"""The smallest first."""

progress = Table(
    "copy_progress",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_hash", LargeBinary, nullable=False),  # which chain this is a copy of
    Column("records", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
)

search = Table(
    "copy_search",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("search", Text, nullable=False),  # RecordFilter.search_key
    Column("last_seq", BigInteger, nullable=False),
)

found = Table(
    "copy_found",
    metadata,
    Column("organization_id", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

OF_ORGANIZATION = (progress, record, related, first_use, *(sums.table for sums in SUMS), search, found)
"""What is forgotten of an organization whose copy is made anew: first the mark, for which others wait."""

about = Table("copy_about", metadata, Column("version", Integer, nullable=False))


def _in_rows(*_: Any, dialect: Dialect, **__: Any) -> bool:
    """DuckDB reads columns from end to end: an index would only slow the copying."""
    return dialect.name != "duckdb"


for _index in (
    Index("ix_copied_record_seq", record.c.organization_id, record.c.seq),
    Index("ix_copied_record_actor", record.c.organization_id, record.c.actor_type, record.c.actor_id),
    Index("ix_copied_record_entity", record.c.organization_id, record.c.entity_type, record.c.entity_id),
    Index("ix_copied_related_entity", related.c.organization_id, related.c.entity_type, related.c.entity_id),
    Index("ix_copied_related_seq", related.c.organization_id, related.c.seq),
    Index("ix_copied_first_use_seq", first_use.c.organization_id, first_use.c.seq),
    *(Index(f"ix_{sums.table.name}", *list(sums.table.c)[:3]) for sums in SUMS),
    *(Index(f"ix_{sums.table.name}_found_by", sums.table.c.found_by) for sums in SUMS),
    Index("ix_copy_found", found.c.organization_id, found.c.search, found.c.seq),
):
    _index.ddl_if(callable_=cast(Any, _in_rows))


# A planner without statistics would look through all that an actor ever used; and a value may be too long for an index.
Index(
    "ix_copied_first_use", first_use.c.organization_id, first_use.c.actor_type, first_use.c.actor_id, first_use.c.kind,
    func.md5(first_use.c.value),
).ddl_if(dialect="postgresql")  # fmt: skip


def copied(organization_id: str, *columns: Any) -> Select[Any]:
    """SELECT `columns` (by default all of `record`) of one organization's copied records."""
    statement = select(*columns) if columns else select(record)
    return statement.select_from(record).where(record.c.organization_id == check_organization_id(organization_id))
