"""A business change and its record: both are committed, or neither."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, String, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flasktrack.core.record import Event
from flasktrack.errors import InvalidRecord, RecordConflict
from flasktrack.store.engine import writing
from flasktrack.store.writer import append
from tests.store.chain import sound_records
from tests.store.samples import NORTHWIND, event, everything, organizations, record, record_id


class Base(DeclarativeBase):
    pass


class Sample(Base):
    """A table of the lab's own, beside FlaskTrack's."""

    __tablename__ = "sample"
    id: Mapped[str] = mapped_column(String, primary_key=True)


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """A database with an organization, and a business table."""
    organizations(engine)
    with writing(engine) as connection:
        Base.metadata.create_all(connection)
    return engine


def samples(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT id FROM sample ORDER BY id")).scalars())


def change_and_record(engine: Engine, *events: Event) -> None:
    """A business change with an append for each event, all in one transaction."""
    with Session(engine) as session, session.begin():
        session.add(Sample(id="S-3"))
        for act in events:
            append(session, NORTHWIND, [act])


def test_a_business_change_and_its_record_commit_together(lab: Engine) -> None:
    with lab.begin() as connection:
        connection.execute(text("INSERT INTO sample VALUES ('S-1')"))
        append(connection, NORTHWIND, [event(1)])
    with Session(lab) as session, session.begin():
        session.add(Sample(id="S-2"))
        append(session, NORTHWIND, [event(2)])
    assert samples(lab) == ["S-1", "S-2"]
    assert len(sound_records(lab, NORTHWIND)) == 2


def test_a_business_change_and_its_record_are_rolled_back_together(lab: Engine) -> None:
    record(lab, event(1))
    before = everything(lab)
    with lab.connect() as connection:
        connection.execute(text("INSERT INTO sample VALUES ('S-1')"))
        append(connection, NORTHWIND, [event(2)])
        connection.rollback()
    with Session(lab) as session:
        session.add(Sample(id="S-2"))
        append(session, NORTHWIND, [event(2)])
        session.rollback()
    with pytest.raises(InvalidRecord):
        change_and_record(lab, event(2), event(3, outcome="perhaps"))
    assert samples(lab) == []
    assert everything(lab) == before
    assert record(lab, event(2))[0].seq == 2


def test_several_appends_in_one_transaction_go_on_from_each_other(lab: Engine) -> None:
    with Session(lab) as session, session.begin():
        first = append(session, NORTHWIND, [event(1)])
        second = append(session, NORTHWIND, [event(2), event(3)])
    assert sound_records(lab, NORTHWIND) == first + second


def test_an_append_that_is_undone_to_a_savepoint_leaves_no_gap(lab: Engine) -> None:
    with lab.begin() as connection:
        append(connection, NORTHWIND, [event(1)])
        inner = connection.begin_nested()
        append(connection, NORTHWIND, [event(2)])
        inner.rollback()
        append(connection, NORTHWIND, [event(3)])
    assert len(sound_records(lab, NORTHWIND)) == 2


def test_an_engine_of_the_callers_own_appends_as_well(sqlite_engine: Engine) -> None:
    organizations(sqlite_engine)
    theirs = create_engine(sqlite_engine.url)
    with theirs.begin() as connection:
        append(connection, NORTHWIND, [event(1, related=[("batch", "B")])])
    theirs.dispose()
    assert len(sound_records(sqlite_engine, NORTHWIND)) == 1


def test_a_conflict_writes_nothing_even_where_the_caller_commits(lab: Engine) -> None:
    record(lab, event(1, record_id=record_id(1)))
    before = everything(lab)
    with lab.connect() as connection:
        with pytest.raises(RecordConflict):
            append(connection, NORTHWIND, [event(2), event(3, record_id=record_id(1))])
        with pytest.raises(InvalidRecord):
            append(connection, NORTHWIND, [event(2), event(3, outcome="perhaps")])
        connection.commit()
    assert everything(lab) == before
