"""Bulk operations and Core statements: captured with what was before, or refused before they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from flasktrack.capture.context import acting
from flasktrack.capture.recorder import capture
from flasktrack.errors import CaptureRefused, NoActor
from tests.capture.lab import (
    TAG,
    ZOE,
    Base,
    Batch,
    Comment,
    Deviation,
    Equipment,
    Freezer,
    Lab,
    Machine,
    Note,
    Reading,
    Sample,
    Site,
    Tag,
    make_engine,
    sample_tag,
    sections,
)


@pytest.fixture
def session(lab: Lab) -> Iterator[Session]:
    """A session of Zoë's, over two tags, a sample and a batch."""
    with acting(ZOE), lab.session() as session:
        session.add_all([Tag(id=1, word="red"), Tag(id=2, word="blue"), Batch(id="B-1", title="First")])
        session.add(Sample(id=1, code="S-1", volume=1.0))
        session.commit()
        yield session
        session.rollback()


def words(lab: Lab, since: int = 4) -> list[tuple[Any, ...]]:
    """What each record after the fixture's says of a tag's word, before and after."""
    return sorted(
        (tuple(None if state is None else state["word"] for state in sections(one)) for one in lab.records()[since:]),
        key=str,
    )


@pytest.mark.parametrize(
    "run",
    [
        lambda s: s.execute(update(Tag).where(Tag.id == 1).values(word="green")),
        lambda s: s.execute(update(Tag), [{"id": 1, "word": "green"}]),
        lambda s: s.query(Tag).filter(Tag.word == "red").update({"word": "green"}),
        lambda s: s.query(Tag).filter(Tag.word == "red").update({"word": "green"}, synchronize_session="fetch"),
        lambda s: s.bulk_update_mappings(Tag, [{"id": 1, "word": "green"}]),
        lambda s: s.execute(TAG.update().where(TAG.c.word == "red").values(word="green")),
        lambda s: s.connection().execute(
            update(TAG).where(TAG.c.id == bindparam("which")),
            [{"which": 1, "word": "green"}, {"which": 7, "word": "none"}],
        ),
        lambda s: s.execute(update(Tag).where(Tag.id.in_(select(func.min(Tag.id)))).values(word="green")),
        lambda s: s.scalars(update(Tag).where(Tag.id == 1).values(word="green").returning(Tag)).one(),
    ],
    ids=[
        "orm",
        "orm by key",
        "query",
        "query, fetch",
        "bulk mappings",
        "core",
        "core, many sets",
        "subquery",
        "returning",
    ],
)
def test_an_update_is_captured_with_what_was_before(lab: Lab, session: Session, run: Callable[[Session], Any]) -> None:
    run(session)
    session.commit()
    assert words(lab) == [("red", "green")]
    assert lab.acts(4) == [("update", "tag", "1")]


@pytest.mark.parametrize(
    "run",
    [
        lambda s: s.execute(delete(Tag).where(Tag.word == "red")),
        lambda s: s.query(Tag).filter_by(id=1).delete(),
        lambda s: s.connection().execute(TAG.delete().where(TAG.c.id < 2)),
    ],
    ids=["orm", "query", "core"],
)
def test_a_delete_is_captured_with_what_was_before(lab: Lab, session: Session, run: Callable[[Session], Any]) -> None:
    run(session)
    session.commit()
    assert lab.acts(4) == [("delete", "tag", "1")]
    assert words(lab) == [("red", None)]


@pytest.mark.parametrize(
    "run",
    [
        lambda s: s.execute(insert(Tag).values(word="x")),
        lambda s: s.execute(insert(Tag).values(id=9, word="x")),
        lambda s: s.execute(insert(Tag), [{"word": "x"}, {"word": "y"}]),
        lambda s: s.execute(insert(Tag), [{"id": 8, "word": "x"}, {"id": 9, "word": "y"}]),
        lambda s: s.execute(insert(Tag).values([{"word": "x"}, {"word": "y"}])),
        lambda s: s.bulk_insert_mappings(Tag, [{"word": "x"}, {"word": "y"}]),
        lambda s: s.bulk_save_objects([Tag(word="x"), Tag(word="y")]),
        lambda s: s.connection().execute(TAG.insert(), [{"word": "x"}, {"word": "y"}]),
        lambda s: s.connection().execute(TAG.insert(), {"word": "x"}),
        lambda s: s.execute(insert(Tag).from_select(["word"], select(func.substr("xyz", 1, 1)))),
    ],
    ids=[
        "orm",
        "orm with key",
        "orm many",
        "orm many with keys",
        "values",
        "bulk mappings",
        "bulk objects",
        "core many",
        "core",
        "from select",
    ],
)
def test_an_insert_is_captured(lab: Lab, session: Session, run: Callable[[Session], Any]) -> None:
    run(session)
    session.commit()
    stored = session.scalars(select(Tag.word).where(Tag.id.not_in([1, 2])).order_by(Tag.word)).all()
    assert stored in (["x"], ["x", "y"])
    assert words(lab) == [(None, word) for word in stored]


@pytest.mark.parametrize("several", [False, True])
def test_what_an_insert_returns_still_reaches_who_asked_for_it(lab: Lab, session: Session, several: bool) -> None:
    if several:
        made = session.scalars(insert(Tag).returning(Tag), [{"word": "x"}, {"word": "y"}]).all()
        assert sorted(tag.word for tag in made) == ["x", "y"]
    else:
        made = session.scalars(insert(Tag).values(word="x").returning(Tag)).all()
        assert [tag.word for tag in made] == ["x"]
        row = session.execute(insert(TAG).values(word="z").returning(Tag.word, Tag.id)).one()
        assert row.word == "z"
    session.commit()
    assert words(lab) == [
        (None, word) for word in session.scalars(select(Tag.word).where(Tag.id > 2).order_by(Tag.word))
    ]


def test_an_insert_that_leaves_existing_rows_alone_is_captured(lab: Lab, session: Session) -> None:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(Tag).on_conflict_do_nothing(index_elements=["id"])
    session.execute(statement, [{"id": 1, "word": "other"}, {"id": 9, "word": "x"}])
    session.commit()
    assert words(lab) == [(None, "x")]


def test_many_rows_in_parts(lab: Lab, session: Session) -> None:
    session.execute(insert(Reading), [{"sample_id": 1, "number": n, "value": n, "version": 1} for n in range(500)])
    session.execute(update(Reading).where(Reading.number >= 10).values(value=Reading.value + 1))
    session.commit()
    assert [action for action, _, _ in lab.acts(4)] == ["create"] * 500 + ["update"] * 490


def test_rows_of_a_joining_table_are_captured(lab: Lab, session: Session) -> None:
    session.execute(insert(sample_tag), [{"sample_id": 1, "tag_id": 1}, {"sample_id": 1, "tag_id": 2}])
    session.execute(delete(sample_tag).where(sample_tag.c.tag_id == 2))
    session.commit()
    assert lab.acts(4) == [
        ("create", "sample_tag", "1,1"),
        ("create", "sample_tag", "1,2"),
        ("delete", "sample_tag", "1,2"),
    ]


def test_hierarchies_are_captured_by_what_each_row_is(lab: Lab, session: Session) -> None:
    session.add_all(
        [Note(id=1, text="a"), Deviation(id=2, text="a", severity=1), Freezer(id=1, label="F", celsius=-80)]
    )
    session.commit()
    session.execute(update(Note).values(text="b"))
    session.execute(update(Deviation).values(text="c"))
    session.execute(update(Equipment).values(label="G"))
    session.execute(update(Freezer).values(celsius=-20))
    session.execute(insert(Deviation).values(id=3, kind="deviation", text="d", severity=2))
    session.execute(delete(Note).where(Note.id < 3))
    session.commit()
    records = lab.records()[7:]
    notes = [sections(one) for one in records if one.record.entity_type == "note"]
    assert sorted(str([state and state["text"] for state in one]) for one in notes) == sorted(
        map(str, [["a", "b"], ["a", "b"], ["b", "c"], [None, "d"], ["b", None], ["c", None]])
    )
    freezer = [sections(one)[1] for one in records if one.record.entity_type == "equipment"]
    assert [(state["label"], state["celsius"]) for state in freezer] == [("G", -80), ("G", -20)]


def test_what_the_database_deletes_along_with_a_statement_is_captured(lab: Lab, session: Session) -> None:
    session.add_all([Comment(id=1, sample_id=1, text="a"), Comment(id=2, answers=1, text="b"), Comment(id=3, text="c")])
    session.add(Site(id=1))
    session.flush()
    session.add(Equipment(id=1, label="E", site_id=1))
    session.commit()
    count = len(lab.records())
    session.execute(delete(Sample).where(Sample.code == "S-1"))
    session.execute(delete(Site))
    session.commit()
    assert sorted(lab.acts(count)) == [
        ("delete", "comment", "1"),
        ("delete", "comment", "2"),
        ("delete", "sample", "1"),
        ("update", "equipment", "1"),
    ]


def test_without_an_actor_a_statement_is_not_run(lab: Lab) -> None:
    with lab.engine.connect() as connection:
        for statement in (insert(TAG).values(word="x"), update(Tag), delete(Tag), delete(Site)):
            with pytest.raises(NoActor):
                connection.execute(statement)
        assert connection.scalar(select(func.count()).select_from(Tag)) == 0
        connection.execute(insert(Machine).values(name="not audited"))
        connection.commit()


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (lambda c: c.execute(text("UPDATE tag SET word = 'x'")), "SQL text"),
        (lambda c: c.exec_driver_sql('delete /* all */ from\n "tag"'), "SQL text"),
        (lambda c: c.execute(text("INSERT INTO main.tag (word) VALUES (:w)"), {"w": "x"}), "SQL text"),
        (lambda c: c.execute(text("truncate table machine, tag")), "SQL text"),
        (lambda c: c.execute(text("WITH a AS (SELECT 1) UPDATE sample_tag SET tag_id = 2")), "SQL text"),
        (lambda c: c.execute(text("update tag set word = 'x' returning id").columns(Tag.id)), "SQL text"),
        (
            lambda c: c.execute(insert(Tag).prefix_with("OR REPLACE", dialect="sqlite"), {"id": 1, "word": "x"}),
            "OR REPLACE",
        ),
        (
            lambda c: c.execute(
                (sqlite if c.dialect.name == "sqlite" else postgresql)
                .insert(Tag)
                .values(id=1, word="x")
                .on_conflict_do_update(index_elements=["id"], set_={"word": "x"})
            ),
            "ON CONFLICT",
        ),
        (lambda c: c.execute(insert(TAG).values(word="x").returning(TAG.c.word)), "returning"),
        (lambda c: c.execute(update(Tag).values(id=7)), "primary key"),
        (lambda c: c.execute(update(TAG).where(Tag.id == 1), {"id": 7}), "primary key"),
        (lambda c: c.execute(insert(Base.metadata.tables["equipment"]).values(kind="freezer", label="x")), "part"),
        (lambda c: c.execute(delete(Freezer)), "part"),
    ],
    ids=[
        "text",
        "driver text",
        "text with a schema",
        "truncate",
        "text after with",
        "textual select",
        "or replace",
        "upsert",
        "returning without key",
        "sets key",
        "sets key by parameter",
        "part inserted",
        "part deleted",
    ],
)
def test_what_can_not_be_captured_is_refused_before_it_is_run(
    lab: Lab, session: Session, run: Callable[[Connection], Any], why: str
) -> None:
    count = len(lab.records())
    with pytest.raises(CaptureRefused, match=why):
        run(session.connection())
    session.commit()
    assert session.scalars(select(Tag.word).order_by(Tag.id)).all() == ["red", "blue"]
    assert len(lab.records()) == count


def test_a_change_within_another_statement_is_refused(lab: Lab, session: Session) -> None:
    if session.get_bind().dialect.name != "postgresql":
        return  # SQLite has no such statement
    changed = update(TAG).values(word="x").returning(TAG.c.id).cte("changed")
    with pytest.raises(CaptureRefused, match="within another"):
        session.execute(select(changed.c.id))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM tag WHERE word = 'x' FOR UPDATE",
        "UPDATE tagged SET word = 'x'",
        "SELECT 'delete', tag.id FROM tag",
        "INSERT INTO machine SELECT id, word FROM tag",
    ],
)
def test_text_that_changes_no_audited_row_is_let_through(lab: Lab, sql: str) -> None:
    from flasktrack.capture.catalog import catalog

    writes = catalog().writes
    assert writes is not None
    assert writes.search(sql) is None


def test_an_application_may_refuse_all_statements(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'strict.db'}")
    Tag.metadata.create_all(engine)
    capture(engine, "northwind-labs", statements="refuse")
    with acting(ZOE), Session(engine) as session:
        for run in (
            lambda: session.execute(update(Tag).values(word="x")),
            lambda: session.bulk_insert_mappings(Tag, [{"word": "x"}]),
            lambda: session.connection().execute(delete(sample_tag)),
        ):
            with pytest.raises(CaptureRefused, match="objects"):
                run()
            session.rollback()
        session.add(Sample(code="S-1", tags=[Tag(word="x")]))
        session.flush()  # a unit of work writes its joining rows by itself
    engine.dispose()


def test_autocommit_is_refused_since_a_change_would_stand_without_its_record(lab: Lab) -> None:
    with acting(ZOE), lab.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(CaptureRefused, match="autocommit"):
            connection.execute(insert(Tag).values(word="x"))
        assert connection.scalar(select(func.count()).select_from(Tag)) == 0


def test_an_engine_is_captured_once(lab: Lab) -> None:
    with pytest.raises(CaptureRefused, match="already"):
        capture(lab.engine, "northwind-labs")
