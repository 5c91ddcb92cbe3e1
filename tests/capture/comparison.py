"""The same operations, captured by FlaskTrack, SQLAlchemy-Continuum and PostgreSQL-Audit: prints what each has kept.

    python -m tests.capture.comparison POSTGRESQL_URL FOLDER

A program of its own, since the other two listen to every mapper and session of the process in which they are set up.
It prints a JSON object: operation -> tool -> a list of [verb, table, before, after], or "refused".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from postgresql_audit import VersioningManager
from sqlalchemy import (
    Column,
    Engine,
    Float,
    ForeignKey,
    Integer,
    String,
    Table,
    create_engine,
    event,
    insert,
    text,
    update,
)
from sqlalchemy.orm import Session, configure_mappers, declarative_base, relationship
from sqlalchemy_continuum import make_versioned, remove_versioning

from flasktrack.capture.context import Actor, acting
from flasktrack.capture.marks import audited
from flasktrack.capture.recorder import capture
from flasktrack.errors import CaptureRefused, NoActor
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.capture.lab import prepare_sqlite

Row = list[Any]
VERBS = {"create": "insert", "update": "update", "delete": "delete"}


class Models(NamedTuple):
    """The classes of one tool's application."""

    sample: Any
    tag: Any
    comment: Any


def models(base: Any, mark: Callable[[Any], Any], options: dict[str, Any] | None) -> Models:
    """A sample with tags (many to many) and comments, which the database deletes along with it."""

    class Versioned:
        """How both of the others mark a class."""

        if options is not None:
            __versioned__ = options

    joining = Table(
        "sample_tag",
        base.metadata,
        Column("sample_id", ForeignKey("sample.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    @mark
    class Tag(Versioned, base):  # type: ignore[misc]
        __tablename__ = "tag"
        id = Column(Integer, primary_key=True)
        word = Column(String)
        last_seen = Column(String)

    @mark
    class Comment(Versioned, base):  # type: ignore[misc]
        __tablename__ = "comment"
        id = Column(Integer, primary_key=True)
        sample_id = Column(Integer, ForeignKey("sample.id", ondelete="CASCADE"))
        last_seen = Column(String)

    @mark
    class Sample(Versioned, base):  # type: ignore[misc]
        __tablename__ = "sample"
        id = Column(Integer, primary_key=True)
        code = Column(String)
        volume = Column(Float)
        priority = Column(Integer, server_default="3")
        last_seen = Column(String)
        tags = relationship(Tag, secondary=joining)
        comments = relationship(Comment, passive_deletes="all")

    configure_mappers()
    return Models(Sample, Tag, Comment)


def flasktrack(folder: Path) -> dict[str, Any]:
    url = f"sqlite:///{folder / 'flasktrack.db'}"
    ours = open_engine(url)
    initialize(ours)
    with writing(ours) as connection:
        create_organization(connection, "northwind-labs")
    base = declarative_base()
    made = models(base, audited(exclude=["last_seen"]), None)
    base.metadata.create_all(ours)
    engine = _sqlite(url)
    capture(engine, "northwind-labs")

    def kept() -> Iterator[Row]:
        for one in Ledger(ours, machine_scope("northwind-labs")).stream():
            states = [None if part is None else orjson.loads(part.body) for part in (one.before, one.after)]
            yield [VERBS[one.record.action], one.record.entity_type, *states]

    return run(engine, made, kept)


def continuum(folder: Path) -> dict[str, Any]:
    """Its version tables hold states: the one after, or, of a delete, the last."""
    make_versioned(user_cls=None)
    base = declarative_base()
    made = models(base, lambda cls: cls, {"exclude": ["last_seen"]})
    engine = _sqlite(f"sqlite:///{folder / 'continuum.db'}")
    base.metadata.create_all(engine)
    own = {"transaction_id", "end_transaction_id", "operation_type"}

    def kept() -> Iterator[Row]:
        rows = []
        with engine.connect() as connection:
            for name, table in base.metadata.tables.items():
                if name.endswith("_version"):
                    for row in connection.execute(table.select()).mappings():
                        state = {column: row[column] for column in row if column not in own}
                        verb = ("insert", "update", "delete")[row["operation_type"]]
                        after = None if verb == "delete" else state
                        rows.append((row["transaction_id"], [verb, name.removesuffix("_version"), None, after]))
        yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))

    try:
        return run(engine, made, kept)
    finally:
        remove_versioning()


def postgresql_audit(url: str) -> dict[str, Any]:
    """Its triggers keep the row before, and what an update changed of it."""
    base = declarative_base()
    manager = VersioningManager()
    manager.init(base)
    made = models(base, lambda cls: cls, {"exclude": ["last_seen"]})
    engine = create_engine(url)
    for table in (manager.transaction_cls.__table__, manager.activity_cls.__table__):
        table.create(engine)
    base.metadata.create_all(engine)

    def kept() -> Iterator[Row]:
        with engine.connect() as connection:
            activity = "SELECT verb, table_name, old_data, changed_data FROM activity ORDER BY id"
            for verb, table, before, changed in connection.execute(text(activity)):
                yield [verb, table, before or None, None if verb == "delete" else before | changed]

    try:
        return run(engine, made, kept)
    finally:
        manager.remove_listeners()
        engine.dispose()


def run(engine: Engine, made: Models, kept: Callable[[], Iterator[Row]]) -> dict[str, Any]:
    """Each operation in a transaction of its own, and what was kept of it."""
    seen = 0
    told: dict[str, Any] = {}
    for name, operation in OPERATIONS.items():
        scope = nullcontext() if name == "a change by nobody" else acting(Actor("user", "u-17"))
        with scope, Session(engine) as session:
            try:
                operation(session, made, session.get(made.sample, 1))
                session.commit()
            except (CaptureRefused, NoActor):
                told[name] = "refused"
                continue
        rows = list(kept())
        told[name], seen = rows[seen:], len(rows)
    return told


def _undone(session: Session, sample: Any) -> None:
    savepoint = session.begin_nested()
    sample.code = "undone"
    session.flush()
    savepoint.rollback()


OPERATIONS: dict[str, Callable[[Session, Models, Any], Any]] = {
    "an insert": lambda s, m, _: s.add(m.sample(id=1, code="S-1", volume=1.5)),
    "an update": lambda s, m, sample: setattr(sample, "code", "S-2"),
    "an update of a column that is left out": lambda s, m, sample: setattr(sample, "last_seen", "now"),
    "a many-to-many row": lambda s, m, sample: sample.tags.append(m.tag(id=1, word="red")),
    "what a savepoint undid": lambda s, m, sample: _undone(s, sample),
    "a bulk update": lambda s, m, _: s.execute(update(m.sample).values(volume=2.5)),
    "a Core insert": lambda s, m, _: s.connection().execute(insert(m.tag.__table__).values(id=2, word="blue")),
    "SQL text": lambda s, m, _: s.execute(text("UPDATE tag SET word = 'text' WHERE id = 2")),
    "an insert of what refers to it": lambda s, m, _: s.add(m.comment(id=1, sample_id=1)),
    "the many-to-many row's end": lambda s, m, sample: sample.tags.clear(),
    "a delete, and what the database deletes along": lambda s, m, sample: s.delete(sample),
    "a change by nobody": lambda s, m, _: s.add(m.tag(id=3, word="whose?")),
}


def _sqlite(url: str) -> Engine:
    engine = create_engine(url)
    event.listen(engine, "connect", prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    told = {
        "FlaskTrack": flasktrack(folder),
        "SQLAlchemy-Continuum": continuum(folder),
        "PostgreSQL-Audit": postgresql_audit(url),
    }
    print(json.dumps({name: {tool: kept[name] for tool, kept in told.items()} for name in OPERATIONS}))


if __name__ == "__main__":
    main()
