"""A laboratory's application: the classes that capture's tests change, and what was recorded of it."""

from __future__ import annotations

import enum
import uuid
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Enum,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, column_property, mapped_column, relationship

from flasktrack.capture.context import Actor
from flasktrack.capture.marks import audited
from flasktrack.capture.recorder import capture
from flasktrack.store.engine import initialize, open_engine
from flasktrack.store.organizations import create_organization
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope

ZOE = Actor("user", "u-17", "Zoë", "analyst")
ROBOT = Actor("automation", "nightly-recount")


class Base(DeclarativeBase):
    metadata = MetaData()


class State(enum.Enum):
    RECEIVED = "received"
    APPROVED = "approved"


class Reversed(TypeDecorator[str]):
    """Stands for an encrypted column: what is stored is not what the application sees."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value[::-1]

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value[::-1]


@audited(entity_type="batch", name="title")
class Batch(Base):
    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    title: Mapped[str | None]
    samples: Mapped[list[Sample]] = relationship(back_populates="batch")


sample_tag = Table(
    "sample_tag",
    Base.metadata,
    Column("sample_id", ForeignKey("sample.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


@audited(name="code", mask=["token"], exclude=["last_seen"])
class Sample(Base):
    __tablename__ = "sample"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    volume: Mapped[float | None]
    state: Mapped[State] = mapped_column(Enum(State), default=State.RECEIVED)
    priority: Mapped[int] = mapped_column(server_default="3")
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batches.id"))
    token: Mapped[str | None]
    sealed: Mapped[str | None] = mapped_column("sealed_note", Reversed)
    last_seen: Mapped[str | None]
    batch: Mapped[Batch | None] = relationship(back_populates="samples")
    tags: Mapped[list[Tag]] = relationship(secondary=sample_tag)
    readings: Mapped[list[Reading]] = relationship(back_populates="sample", cascade="all, delete-orphan")
    comments: Mapped[list[Comment]] = relationship(passive_deletes="all")


Sample.code_upper = column_property(func.upper(Sample.code))


@audited()
class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str]


@audited()
class Reading(Base):
    """With a composite key, and a version counter."""

    __tablename__ = "reading"
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float]
    version: Mapped[int] = mapped_column()
    sample: Mapped[Sample] = relationship(back_populates="readings")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


@audited()
class Comment(Base):
    """Deleted with its sample, by the database; with its replies."""

    __tablename__ = "comment"
    id: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[int | None] = mapped_column(ForeignKey("sample.id", ondelete="CASCADE"))
    answers: Mapped[int | None] = mapped_column(ForeignKey("comment.id", ondelete="CASCADE"))
    text: Mapped[str]


class Site(Base):
    """Not audited; but what stands in it is, and changes when it goes."""

    __tablename__ = "site"
    id: Mapped[int] = mapped_column(primary_key=True)


@audited(entity_type="equipment")
class Equipment(Base):
    """The top of a hierarchy in several tables."""

    __tablename__ = "equipment"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    label: Mapped[str]
    site_id: Mapped[int | None] = mapped_column(ForeignKey("site.id", ondelete="SET NULL"))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "equipment"}  # noqa: RUF012


@audited(mask=["pin"])
class Freezer(Equipment):
    __tablename__ = "freezer"
    id: Mapped[int] = mapped_column(ForeignKey("equipment.id"), primary_key=True)
    celsius: Mapped[int]
    pin: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "freezer"}  # noqa: RUF012


@audited()
class Note(Base):
    """The top of a hierarchy in one table."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    text: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "note"}  # noqa: RUF012


class Deviation(Note):
    severity: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "deviation"}  # noqa: RUF012


class Draft(Note):
    __audited__ = None
    __mapper_args__ = {"polymorphic_identity": "draft"}  # noqa: RUF012


@audited()
class Protocol(Base):
    """With a key that people change, which the database passes on."""

    __tablename__ = "protocol"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    settings: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)


@audited()
class Step(Base):
    __tablename__ = "step"
    id: Mapped[int] = mapped_column(primary_key=True)
    protocol_code: Mapped[str | None] = mapped_column(
        ForeignKey("protocol.code", ondelete="SET NULL", onupdate="CASCADE")
    )


class Machine(Base):
    """Not audited at all."""

    __tablename__ = "machine"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]


TAG = Base.metadata.tables["tag"]


def make_engine(url: str) -> Engine:
    """An engine such as an application makes, not FlaskTrack's own."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # as SQLAlchemy's documentation has it, where savepoints are used
    connection.execute("PRAGMA foreign_keys = ON")


class Lab:
    """A database with the audit tables and the application's, and what is recorded of one organization in it."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self.outside = open_engine(url)
        """Nothing that goes through it is captured."""
        self.organization = ""
        initialize(self.outside)
        Base.metadata.create_all(self.outside)
        if self.outside.dialect.name == "postgresql":  # so that tests may choose small numbers
            with self.outside.begin() as connection:
                for table in Base.metadata.sorted_tables:
                    if table.autoincrement_column is not None:
                        connection.execute(select(func.setval(f"{table.name}_id_seq", 1000)))
        self.recorder = capture(self.engine, lambda: self.organization)

    def begin(self) -> None:
        """An empty laboratory, with an organization that has no records."""
        self.organization = f"lab-{uuid.uuid4().hex[:12]}"
        with self.outside.begin() as connection:
            create_organization(connection, self.organization)
            connection.execute(update(Comment).values(answers=None))
            for table in reversed(Base.metadata.sorted_tables):
                connection.execute(delete(table))

    def session(self) -> Session:
        return Session(self.engine)

    def records(self) -> list[CheckedRecord]:
        """What is recorded, sound in itself."""
        records = list(Ledger(self.outside, machine_scope(self.organization)).stream())
        assert not [finding for checked in records for finding in checked.findings]
        return records

    def acts(self, since: int = 0) -> list[tuple[str, str, str]]:
        """Action, type and id of each record after the first ones."""
        records = [checked.record for checked in self.records()[since:]]
        return [(record.action, record.entity_type, record.entity_id) for record in records]

    def changes(self, number: int = -1) -> tuple[Any, Any]:
        """The sections before and after of a record, by default the last."""
        return sections(self.records()[number])

    def check_states(self) -> None:
        """No entity changed unrecorded: each `before` is the `after` before it (what `state_gap` is about)."""
        states: dict[tuple[str, str], str | None] = {}
        for checked in self.records():
            entity = checked.record.entity_type, checked.record.entity_id
            before, after = (None if part is None else part.body for part in (checked.before, checked.after))
            if checked.record.action in ("create", "update", "delete"):
                assert before == states.get(entity)
                states[entity] = after

    def dispose(self) -> None:
        self.engine.dispose()
        self.outside.dispose()


def sections(checked: CheckedRecord) -> tuple[Any, Any]:
    """What a record says of before and after."""
    before, after = (
        None if section is None else orjson.loads(section.body) for section in (checked.before, checked.after)
    )
    return before, after


def context(checked: CheckedRecord) -> Any:
    """What a record says of its request."""
    return None if checked.context is None else orjson.loads(checked.context.body)
