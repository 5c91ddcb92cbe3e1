"""Units of work: what each kind of flush records, and what it refuses."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from flasktrack.capture import pending
from flasktrack.capture.context import acting, current
from flasktrack.capture.recorder import capture
from flasktrack.errors import CaptureRefused, NoActor, UnknownOrganization
from tests.capture.lab import (
    ROBOT,
    TAG,
    ZOE,
    Base,
    Batch,
    Comment,
    Deviation,
    Draft,
    Equipment,
    Freezer,
    Lab,
    Machine,
    Note,
    Protocol,
    Reading,
    Sample,
    Site,
    State,
    Step,
    Tag,
    context,
    make_engine,
    sections,
)


def add(lab: Lab, *objects: Any) -> int:
    """Add objects in a transaction of their own; how many records there are then."""
    with acting(ZOE), Session(lab.engine, expire_on_commit=False) as session:
        session.add_all(objects)
        session.commit()
    return len(lab.records())


def test_insert_update_and_delete_are_records_with_the_states_around_them(lab: Lab) -> None:
    scope = acting(ZOE, credential_id="session-9", reason="received", context={"request_id": "r-1"})
    with scope, lab.session() as session:
        sample = Sample(code="S-1", volume=1.5, token="s3cret", sealed="abc", last_seen="today")
        session.add(sample)
        session.commit()
        number = sample.id
        sample.volume, sample.state = 1.25, State.APPROVED
        session.commit()
        session.delete(sample)
        session.commit()
    first = {
        "id": number, "code": "S-1", "volume": 1.5, "state": "RECEIVED", "priority": 3, "batch_id": None,
        "token": "[masked]", "sealed_note": "cba",
    }  # fmt: skip
    second = first | {"volume": 1.25, "state": "APPROVED"}
    assert [sections(one) for one in lab.records()] == [(None, first), (first, second), (second, None)]
    assert lab.acts() == [(action, "sample", str(number)) for action in ("create", "update", "delete")]
    record = lab.records()[0].record
    assert (record.actor_id, record.actor_name, record.actor_role) == ("u-17", "Zoë", "analyst")
    assert (record.credential_id, record.reason, record.entity_name) == ("session-9", "received", "S-1")
    assert context(lab.records()[0]) == {"request_id": "r-1"}


def test_without_an_actor_nothing_is_written(lab: Lab) -> None:
    sample = Sample(code="S-1")
    count = add(lab, sample)
    for change in (
        lambda session: session.add(Sample(code="S-2")),
        lambda session: setattr(session.get(Sample, sample.id), "code", "S-3"),
        lambda session: session.delete(session.get(Sample, sample.id)),
    ):
        with lab.session() as session:
            change(session)
            with pytest.raises(NoActor, match="acting"):
                session.commit()
            session.rollback()
            assert session.scalars(select(Sample.code)).all() == ["S-1"]
            session.add(Machine(name="not audited"))
            session.commit()
    assert len(lab.records()) == count


def test_business_data_and_records_commit_together_or_not_at_all(lab: Lab) -> None:
    organization, lab.organization = lab.organization, "no-such-organization"
    with acting(ZOE), lab.session() as session:
        session.add(Sample(code="S-1"))
        with pytest.raises(UnknownOrganization):
            session.commit()
        session.rollback()
        lab.organization = organization
        assert session.scalars(select(Sample)).all() == []
        session.commit()
        session.add(Sample(code="S-2"))
        session.flush()
        session.rollback()
        session.commit()
    assert lab.records() == []


def test_a_failed_commit_can_not_be_repeated_without_its_records(lab: Lab) -> None:
    organization, lab.organization = lab.organization, "no-such-organization"
    with acting(ZOE), lab.engine.connect() as connection:
        connection.execute(update(Tag).values(word="x"))  # begins
        connection.execute(TAG.insert().values(word="unrecorded"))
        for _ in range(2):
            with pytest.raises(Exception, match=r"no-such-organization|transaction"):
                connection.commit()
        connection.rollback()
    lab.organization = organization
    with lab.session() as session:
        assert session.scalars(select(Tag.word)).all() == []


def test_what_a_savepoint_undoes_is_not_recorded_and_what_is_around_it_is(lab: Lab) -> None:
    with acting(ZOE), lab.session() as session:
        session.add(Tag(word="before"))
        with session.begin_nested():
            session.add(Tag(word="kept"))
        outer = session.begin_nested()
        session.add(Tag(word="undone with the outer"))
        with session.begin_nested():
            session.add(Tag(word="undone, though its own savepoint was kept"))
        inner = session.begin_nested()
        session.add(Tag(word="undone by itself"))
        session.flush()
        inner.rollback()
        outer.rollback()
        session.add(Tag(word="after"))
        session.commit()
        session.add(Tag(word="next transaction"))
        nested = session.begin_nested()
        session.add(Tag(word="undone there"))
        session.flush()
        nested.rollback()
        session.commit()
    assert [sections(one)[1]["word"] for one in lab.records()] == ["before", "kept", "after", "next transaction"]


def test_a_flush_that_fails_in_a_savepoint_leaves_what_was_before_it(lab: Lab) -> None:
    with acting(ZOE), lab.session() as session:
        session.add(Protocol(code="P-1"))
        session.flush()
        with pytest.raises(IntegrityError), session.begin_nested():  # noqa: PT012
            session.add(Tag(word="goes with it"))
            session.flush()
            session.execute(Base.metadata.tables["protocol"].insert(), [{"code": "P-1"}])
        session.add(Tag(word="after"))
        session.commit()
    assert [(action, type_) for action, type_, _ in lab.acts()] == [("create", "protocol"), ("create", "tag")]


def test_a_session_that_joins_a_transaction_is_recorded_when_that_one_commits(lab: Lab) -> None:
    with acting(ZOE), lab.engine.connect() as connection:
        for end in ("rollback", "commit"):
            transaction = connection.begin()
            with Session(connection) as session:
                session.add(Tag(word=end))
                session.flush()  # closed without a commit of its own
            getattr(transaction, end)()
    assert [sections(one)[1]["word"] for one in lab.records()] == ["commit"]


def test_however_a_transaction_is_committed_its_records_are_in_it(lab: Lab) -> None:
    with acting(ZOE), lab.session() as session:
        session.add(Tag(word="past the session"))
        session.flush()
        session.connection().commit()
    assert len(lab.records()) == 1
    with acting(ZOE), lab.engine.connect() as connection:
        connection.execute(TAG.insert().values(word="in two phases"))
        lab.engine.dispatch.prepare_twophase(connection, "a transaction's id")  # as SQLAlchemy does before it prepares
        assert connection.scalar(text("SELECT count(*) FROM audit_record")) >= 2
        assert lab.recorder.pending(connection).events == []
        connection.rollback()
    assert len(lab.records()) == 1


def test_what_a_savepoint_from_before_the_capture_undoes_can_not_be_committed(lab: Lab) -> None:
    engine = make_engine(lab.engine.url.render_as_string(hide_password=False))
    with acting(ZOE), engine.connect() as connection:
        savepoint = connection.begin_nested()
        capture(engine, lab.organization)
        connection.execute(TAG.insert().values(word="undone"))
        savepoint.rollback()
        with pytest.raises(CaptureRefused, match="before the engine is used"):
            connection.commit()
    engine.dispose()
    assert lab.records() == []


def test_a_flush_without_a_net_change_is_no_record(lab: Lab) -> None:
    count = add(lab, Sample(code="S-1", last_seen="today"))
    with acting(ZOE), lab.session() as session:
        sample = session.scalars(select(Sample)).one()
        sample.code = "S-1"
        sample.last_seen = "tomorrow"  # left out of what is recorded
        session.commit()
        sample.code = "S-2"
        session.flush()
        sample.code = "S-1"
        session.commit()
    assert [sections(one)[1]["code"] for one in lab.records()[count:]] == ["S-2", "S-1"]


def test_that_a_masked_column_changed_is_told_and_not_how(lab: Lab) -> None:
    count = add(lab, Sample(code="S-1", token="first"))
    with acting(ZOE, context={"request_id": "r-1"}), lab.session() as session:
        session.scalars(select(Sample)).one().token = "second"
        session.commit()
    (record,) = lab.records()[count:]
    before, after = sections(record)
    assert before == after
    assert before["token"] == "[masked]"
    assert context(record) == {"request_id": "r-1", "masked_changes": ["token"]}
    with lab.outside.connect() as connection:
        bodies = connection.execute(text("SELECT before, after, context FROM audit_payload")).all()
    assert "first" not in str(bodies)
    assert "second" not in str(bodies)


def test_what_the_database_makes_of_values_is_what_is_recorded(lab: Lab) -> None:
    add(lab, Protocol(code="P-1", content=b"x" * 2000, settings={"limits": [1, 2.5, None]}))
    digest = hashlib.sha256(b"x" * 2000).hexdigest()
    assert lab.changes()[1] == {
        "code": "P-1",
        "content": {"bytes": 2000, "sha256": digest},
        "settings": {"limits": [1, 2.5, None]},
    }
    with acting(ZOE), lab.session() as session:
        session.add(Sample(code="S-1", priority=text("1 + 1")))
        session.commit()
        session.scalars(select(Sample)).one().priority = Sample.priority + 5
        session.commit()
    assert [sections(one)[1]["priority"] for one in lab.records()[1:]] == [2, 7]


def test_before_is_what_the_database_held_even_where_nothing_was_loaded(lab: Lab) -> None:
    sample = Sample(code="S-1", volume=1.0)
    add(lab, sample)
    with acting(ZOE), lab.session() as session:
        loaded = session.get_one(Sample, sample.id)
        session.expire(loaded)
        loaded.volume = 2.0
        session.commit()
        session.merge(Sample(id=sample.id, code="S-1", volume=3.0, state=State.RECEIVED, priority=3))
        session.commit()
    assert [tuple(state["volume"] for state in sections(one)) for one in lab.records()[1:]] == [(1, 2), (2, 3)]


def test_relationships_are_changes_of_the_rows_that_refer(lab: Lab) -> None:
    one, other, sample = Batch(id="B-1", title="First"), Batch(id="B-2"), Sample(code="S-1")
    count = add(lab, one, other, sample)
    with acting(ZOE), lab.session() as session:
        first, second, moved = (
            session.get_one(Batch, "B-1"),
            session.get_one(Batch, "B-2"),
            session.get_one(Sample, sample.id),
        )
        first.samples.append(moved)
        session.commit()
        moved.batch = second
        session.commit()
        session.delete(second)  # which sets its samples' batch to null
        session.commit()
    assert lab.acts(count) == [
        ("update", "sample", str(sample.id)),
        ("update", "sample", str(sample.id)),
        ("update", "sample", str(sample.id)),
        ("delete", "batch", "B-2"),
    ]
    related = [record.record.related for record in lab.records()[count:]]
    assert related[:3] == [(("batch", "B-1"),), (("batch", "B-1"), ("batch", "B-2")), (("batch", "B-2"),)]


def test_many_to_many_rows_are_entities_that_relate_to_both_sides(lab: Lab) -> None:
    red, blue = Tag(word="red"), Tag(word="blue")
    sample = Sample(code="S-1", tags=[red])
    add(lab, sample, blue)
    joined = ("create", "sample_tag", f"{sample.id},{red.id}")
    assert joined in lab.acts()
    record = lab.records()[lab.acts().index(joined)].record
    assert record.related == (("sample", str(sample.id)), ("tag", str(red.id)))
    count = len(lab.records())
    with acting(ZOE), lab.session() as session:
        found = session.get_one(Sample, sample.id)
        found.tags = [session.get_one(Tag, blue.id)]
        session.commit()
        session.delete(found)
        session.commit()
    assert sorted(lab.acts(count)[:2]) == sorted(
        [("delete", "sample_tag", f"{sample.id},{red.id}"), ("create", "sample_tag", f"{sample.id},{blue.id}")]
    )
    assert sorted(lab.acts(count)[2:]) == sorted(
        [("delete", "sample_tag", f"{sample.id},{blue.id}"), ("delete", "sample", str(sample.id))]
    )


def test_without_an_actor_no_many_to_many_row_is_written(lab: Lab) -> None:
    sample, tag = Sample(code="S-1"), Tag(word="red")
    add(lab, sample, tag)
    with lab.session() as session:
        found = session.get_one(Sample, sample.id)
        found.tags.append(session.get_one(Tag, tag.id))
        with pytest.raises(NoActor):
            session.commit()


def test_orphans_composite_keys_and_version_counters(lab: Lab) -> None:
    sample = Sample(code="S-1", readings=[Reading(number=1, value=1.0), Reading(number=2, value=2.0)])
    count = add(lab, sample)
    with acting(ZOE), lab.session() as session:
        found = session.get_one(Sample, sample.id)
        first, second = found.readings
        first.value = 1.5
        session.commit()
        found.readings.remove(second)
        session.commit()
    updated, removed = lab.records()[count:]
    assert [state["version"] for state in sections(updated)] == [1, 2]
    assert (removed.record.action, removed.record.entity_id) == ("delete", f"{sample.id},2")


def test_a_change_that_lost_to_another_one_is_not_recorded(lab: Lab) -> None:
    sample = Sample(code="S-1", readings=[Reading(number=1, value=1.0)])
    count = add(lab, sample)
    with lab.session() as session:
        stale = session.scalars(select(Reading)).one()
        session.expunge(stale)
    with acting(ROBOT), lab.session() as session:
        session.scalars(select(Reading)).one().value = 9.0
        session.commit()
        stale.value = 2.0
        session.expunge_all()
        session.add(stale)
        with pytest.raises(StaleDataError):
            session.commit()
        session.rollback()
        session.commit()
    assert lab.acts(count) == [("update", "reading", f"{sample.id},1")]


def test_a_hierarchy_in_several_tables_is_one_entity(lab: Lab) -> None:
    freezer = Freezer(label="F-1", celsius=-80, pin="1234")
    add(lab, freezer, Equipment(label="E-1"))
    entity = ("equipment", str(freezer.id))
    with acting(ZOE), lab.session() as session:
        found = session.scalars(select(Equipment).where(Equipment.label == "F-1")).one()
        found.label = "F-2"
        session.commit()
        found.celsius = -20  # type: ignore[attr-defined]
        session.commit()
        session.delete(found)
        session.commit()
    last = {"id": freezer.id, "kind": "freezer", "label": "F-2", "site_id": None, "celsius": -20, "pin": "[masked]"}
    assert lab.acts(2) == [("update", *entity), ("update", *entity), ("delete", *entity)]
    assert lab.changes() == (last, None)


def test_a_hierarchy_in_one_table_has_each_class_with_its_columns(lab: Lab) -> None:
    add(lab, Note(text="n"), Deviation(text="d", severity=2), Draft(text="not audited"))
    assert sorted((sections(one)[1] for one in lab.records()), key=lambda state: state["kind"]) == [
        {"id": lab.changes(1)[1]["id"], "kind": "deviation", "text": "d", "severity": 2},
        {"id": lab.changes(0)[1]["id"], "kind": "note", "text": "n"},
    ]


def test_a_new_primary_key_is_an_update_that_relates_to_the_new_id(lab: Lab) -> None:
    add(lab, Protocol(code="P-1"))
    count = add(lab, Step(protocol_code="P-1"))
    with acting(ZOE), lab.session() as session:
        session.get_one(Protocol, "P-1").code = "P-2"
        session.commit()
    renamed, step = lab.records()[count:]
    assert (renamed.record.entity_id, renamed.record.related) == ("P-1", (("protocol", "P-2"),))
    assert [state["code"] for state in sections(renamed)] == ["P-1", "P-2"]
    assert [state["protocol_code"] for state in sections(step)] == ["P-1", "P-2"]  # by the database: ON UPDATE CASCADE


def test_a_row_that_takes_a_deleted_ones_place_is_an_update(lab: Lab) -> None:
    count = add(lab, Batch(id="B-1", title="old"))
    with acting(ZOE), lab.session() as session:
        session.delete(session.get_one(Batch, "B-1"))
        session.add(Batch(id="B-1", title="new"))
        session.commit()
    assert lab.acts(count) == [("update", "batch", "B-1")]
    assert [state["title"] for state in lab.changes()] == ["old", "new"]


def test_what_the_database_deletes_along_is_recorded(lab: Lab) -> None:
    sample = Sample(code="S-1")
    add(lab, sample)
    comment = Comment(sample_id=sample.id, text="a")
    add(lab, comment)
    answer = Comment(answers=comment.id, text="b")
    add(lab, answer)
    count = add(lab, Comment(answers=answer.id, text="c"), Comment(text="of another sample"))
    with acting(ZOE), lab.session() as session:
        session.delete(session.get_one(Sample, sample.id))
        session.commit()
        assert session.scalars(select(Comment.text)).all() == ["of another sample"]
    assert sorted(sections(one)[0]["text"] for one in lab.records()[count:] if one.record.entity_type == "comment") == [
        "a", "b", "c",
    ]  # fmt: skip
    assert {record.record.action for record in lab.records()[count:]} == {"delete"}


def test_what_the_database_changes_along_with_a_row_that_is_not_audited_is_recorded(lab: Lab) -> None:
    site = Site()
    add(lab, site)
    freezer = Freezer(label="F-1", celsius=-80, site_id=site.id)
    count = add(lab, freezer)
    with lab.session() as session:
        session.delete(session.get_one(Site, site.id))
        with pytest.raises(NoActor):
            session.commit()
        session.rollback()
        with acting(ZOE):
            session.delete(session.get_one(Site, site.id))
            session.commit()
    assert lab.acts(count) == [("update", "equipment", str(freezer.id))]
    assert [state["site_id"] for state in lab.changes()] == [site.id, None]


def test_a_statement_that_a_hook_runs_during_a_flush_is_recorded(lab: Lab) -> None:
    count = add(lab, Tag(word="red"), Sample(code="S-1"))

    def count_up(_mapper: Any, connection: Any, _target: Any) -> None:
        connection.execute(update(Tag).values(word=Tag.word + "!"))

    def rewrite(_mapper: Any, connection: Any, target: Any) -> None:
        connection.execute(update(Base.metadata.tables["sample"]).values(volume=7.0))

    event.listen(Sample, "before_update", count_up)
    event.listen(Sample, "after_update", rewrite)
    try:
        with acting(ZOE), lab.session() as session:
            session.scalars(select(Sample)).one().code = "S-2"
            session.commit()
    finally:
        event.remove(Sample, "before_update", count_up)
        event.remove(Sample, "after_update", rewrite)
    changed = {one.record.entity_type: sections(one)[1] for one in lab.records()[count:]}
    assert len(lab.acts(count)) == 2
    assert changed["tag"]["word"] == "red!"
    assert (changed["sample"]["code"], changed["sample"]["volume"]) == ("S-2", 7.0)


def test_each_change_has_the_actor_of_its_flush(lab: Lab) -> None:
    with lab.session() as session:
        for actor in (ZOE, ROBOT):
            with acting(actor):
                session.add(Tag(word=actor.id))
                session.flush()
        session.commit()
    assert [record.record.actor_id for record in lab.records()] == ["u-17", "nightly-recount"]


def test_very_many_changes_are_appended_as_they_come_and_undone_all_the_same(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_EVENTS", 3)
    with acting(ZOE), lab.session() as session:
        for number in range(4):
            session.add_all(Tag(word=f"{number}-{part}") for part in range(2))
            session.flush()
            with session.begin_nested() as savepoint:
                session.add_all(Tag(word="undone") for _ in range(5))
                session.flush()
                savepoint.rollback()
        assert len(lab.recorder.pending(session.connection()).events) <= 4
        session.commit()
        session.add_all(Tag(word="undone") for _ in range(9))
        session.flush()
        session.rollback()
        session.commit()
    assert [sections(one)[1]["word"] for one in lab.records()] == [f"{n}-{p}" for n in range(4) for p in range(2)]


def test_an_act_of_another_name_is_recorded_with_the_change_and_undone_with_it(lab: Lab) -> None:
    with acting(ZOE, context={"request_id": "r-1"}), lab.session() as session:
        session.add(Batch(id="B-1"))
        session.flush()
        lab.recorder.act(session, "approve", "batch", "B-1", reason="within limits", context={"form": "F-9"})
        session.commit()
        lab.recorder.act(session, "reject", "batch", "B-1")
        session.rollback()
        session.commit()
    assert [act[0] for act in lab.acts()] == ["create", "approve"]
    assert context(lab.records()[1]) == {"request_id": "r-1", "form": "F-9"}
    assert lab.records()[1].record.reason == "within limits"
    with lab.session() as session, pytest.raises(NoActor):
        lab.recorder.act(session, "approve", "batch", "B-1")


def test_who_is_asked_for_is_who_acts_when_the_flush_happens(lab: Lab) -> None:
    assert current().actor is None
    with lab.session() as session:
        session.add(Tag(word="added by nobody"))
        with acting(ZOE):
            session.commit()
    assert lab.records()[0].record.actor_id == "u-17"
