"""A file is imported whole and in order, or not at all; importing it again adds nothing."""

from __future__ import annotations

import json
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.capture import importing
from flasktrack.capture.importing import ImportResult, import_file
from flasktrack.cli import main
from flasktrack.core.record import Content, Event, check_event
from flasktrack.errors import ImportFailed, InvalidOrganization
from flasktrack.store.organizations import get_organization, list_organizations
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests.capture.events import EVENTS, as_line

LAB = "northwind-labs"
PERMIT_MAPPING = Path(__file__).parents[2] / "docs" / "examples" / "permit-applications.toml"


def line(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "actor": {"type": "user", "id": "u-1"},
        "action": "update",
        "entity": {"type": "sample", "id": f"S-{number}"},
        "occurred_at": "2026-11-24T05:06:07Z",
        "record_id": str(uuid.UUID(int=number)),
        **changes,
    }


def jsonl(folder: Path, *lines: dict[str, Any] | str, name: str = "events.jsonl") -> Path:
    path = folder / name
    path.write_text("".join((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in lines))
    return path


def entities(engine: Engine, organization_id: str = LAB) -> list[str]:
    """Ids of the entities that the records name, in order; every record is sound."""
    found = list(Ledger(engine, machine_scope(organization_id)).stream())
    assert [checked.record.seq for checked in found] == list(range(1, len(found) + 1))
    assert not any(checked.findings for checked in found)
    return [checked.record.entity_id for checked in found]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_EVENTS", 3)


@pytest.mark.usefixtures("small_batches")
def test_events_are_appended_in_the_files_order_and_a_second_time_adds_nothing(engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, *(line(n) for n in (5, 3, 8, 1, 9, 2, 7)))
    assert import_file(engine, path, LAB) == ImportResult(LAB, 7, 7, 0, 1, 7)
    assert entities(engine) == ["S-5", "S-3", "S-8", "S-1", "S-9", "S-2", "S-7"]
    assert import_file(engine, path, LAB) == ImportResult(LAB, 7, 0, 7, None, None)
    grown = jsonl(tmp_path, *(line(n) for n in (5, 3, 8, 1, 9, 2, 7, 4, 6)))
    assert import_file(engine, grown, LAB) == ImportResult(LAB, 9, 2, 7, 8, 9)
    assert len(entities(engine)) == 9


def test_events_without_record_ids_are_added_again(engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, line(1, record_id=None), line(1, record_id=None))
    assert import_file(engine, path, LAB).added == 2
    assert import_file(engine, path, LAB) == ImportResult(LAB, 2, 2, 0, 3, 4)


def test_a_line_that_comes_twice_with_its_record_id_is_one_record(engine: Engine, tmp_path: Path) -> None:
    assert import_file(engine, jsonl(tmp_path, line(1), line(1), line(2)), LAB) == ImportResult(LAB, 3, 2, 1, 1, 2)


def test_a_new_organization_is_made_with_its_zone(engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, line(1))
    import_file(engine, path, LAB)
    import_file(engine, path, "south-lab", time_zone="Europe/Berlin")
    assert get_organization(engine, LAB).time_zone == "UTC"
    assert get_organization(engine, "south-lab").time_zone == "Europe/Berlin"
    import_file(engine, path, "south-lab", time_zone="Europe/Berlin")


def test_an_import_does_not_change_an_organizations_zone(engine: Engine, tmp_path: Path) -> None:
    import_file(engine, jsonl(tmp_path, line(1)), LAB, time_zone="Europe/Berlin")
    with pytest.raises(ImportFailed, match="Europe/Berlin, not Asia/Tokyo"):
        import_file(engine, jsonl(tmp_path, line(2)), LAB, time_zone="Asia/Tokyo")
    assert entities(engine) == ["S-1"]


@pytest.mark.parametrize(
    ("organization_id", "time_zone"), [("Northwind Labs", None), (LAB, "Mars/Olympus"), ("", None)]
)
def test_an_organization_that_cannot_be_made_is_refused(
    engine: Engine, tmp_path: Path, organization_id: str, time_zone: str | None
) -> None:
    with pytest.raises(InvalidOrganization):
        import_file(engine, jsonl(tmp_path, line(1)), organization_id, time_zone=time_zone)
    assert list_organizations(engine) == []


BAD = [
    (line(99, occurred_at="2026-01-01"), "occurred_at"),  # found when it is read
    (line(99, action="Update!"), "action"),  # found by the writer
    (line(99, after={"text": "\ud800"}), "after"),
    (line(99, actor={"type": "user", "id": "u" * 256}), "actor.id"),
    (line(99, action="erase", entity={"type": "organization", "id": LAB}, after={"seq": 1}), "action"),  # reserved
    (line(99, record_id="no-uuid"), "record_id"),
    (line(2, action="delete"), "record_id"),  # another line's, in the same batch or an earlier one
    ("{", None),
]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("place", [3, 4, 8])
@pytest.mark.parametrize(("bad", "field"), BAD)
def test_a_bad_line_is_named_and_nothing_is_imported(
    sqlite_engine: Engine, tmp_path: Path, bad: dict[str, Any] | str, field: str | None, place: int
) -> None:
    lines: list[dict[str, Any] | str] = [line(1), line(2), *(line(n) for n in range(3, 10))]
    lines[place - 1] = bad
    with pytest.raises(ImportFailed) as failure:
        import_file(sqlite_engine, jsonl(tmp_path, "", *lines), LAB)  # a blank line comes first
    assert (failure.value.line, failure.value.field) == (place + 1, field)
    assert str(failure.value).endswith("Nothing was imported.")
    assert list_organizations(sqlite_engine) == []


def test_nothing_of_a_bad_file_is_added_to_what_is_there(engine: Engine, tmp_path: Path, small_batches: None) -> None:
    import_file(engine, jsonl(tmp_path, line(1)), LAB)
    with pytest.raises(ImportFailed, match=r"^line 6, outcome: "):
        import_file(engine, jsonl(tmp_path, *(line(n) for n in range(2, 7)), line(7, outcome="won")), LAB)
    assert entities(engine) == ["S-1"]
    assert import_file(engine, jsonl(tmp_path, line(2)), LAB).first_seq == 2


def test_the_first_bad_line_is_the_one_that_is_named(sqlite_engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, line(1), line(2, action="Bad"), "{")
    with pytest.raises(ImportFailed, match=r"^line 2, action: "):
        import_file(sqlite_engine, path, LAB)


@pytest.mark.usefixtures("small_batches")
def test_a_record_id_that_stands_for_another_record_names_that_record(engine: Engine, tmp_path: Path) -> None:
    import_file(engine, jsonl(tmp_path, line(1), line(2)), LAB)
    with pytest.raises(ImportFailed) as failure:
        import_file(engine, jsonl(tmp_path, *(line(n) for n in (3, 4, 5, 6)), line(2, reason="late")), LAB)
    assert str(failure.value) == (
        "line 5, record_id: stands for record 2 already, which has other content. Nothing was imported."
    )
    assert entities(engine) == ["S-1", "S-2"]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("place", [4, 6, 8])
def test_a_record_id_of_an_earlier_line_names_that_line(engine: Engine, tmp_path: Path, place: int) -> None:
    import_file(engine, jsonl(tmp_path, line(50)), LAB)
    lines: list[dict[str, Any] | str] = [line(1), "", line(2), *(line(n) for n in range(3, 9))]
    lines[place - 1] = line(2, action="delete")
    with pytest.raises(ImportFailed) as failure:
        import_file(engine, jsonl(tmp_path, *lines), LAB)
    assert str(failure.value) == (
        f"line {place}, record_id: stands for line 3 already, which has other content. Nothing was imported."
    )
    assert entities(engine) == ["S-50"]


def test_a_pipe_that_names_a_record_id_twice_is_not_read_again(sqlite_engine: Engine, tmp_path: Path) -> None:
    pipe = tmp_path / "events.jsonl"
    os.mkfifo(pipe)
    writing = threading.Thread(target=lambda: jsonl(tmp_path, line(1), line(1, reason="late")))
    writing.start()
    with pytest.raises(ImportFailed, match=r"^line 2, record_id: stands for an earlier line already"):
        import_file(sqlite_engine, pipe, LAB)
    writing.join()


@pytest.mark.parametrize("content", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_events_adds_nothing(sqlite_engine: Engine, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    assert import_file(sqlite_engine, path, LAB) == ImportResult(LAB, 0, 0, 0, None, None)
    assert entities(sqlite_engine) == []


def test_the_command_line_says_that_a_file_holds_no_events(
    sqlite_engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["import", "--organization", LAB, "--database", sqlite_engine.url.render_as_string()]
    path = jsonl(tmp_path, "", name="empty.jsonl")
    assert main([*command, str(path)]) == 0
    assert capsys.readouterr().out == f"{LAB}: {path} holds no events, so nothing was added.\n"
    assert main([*command, str(jsonl(tmp_path, line(1)))]) == 0
    assert capsys.readouterr().out == f"{LAB}: 1 events read, 1 records added.\n"
    assert main([*command, str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["read"] == 0


def test_what_cannot_be_read_makes_no_organization(sqlite_engine: Engine, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(ImportFailed):
            import_file(sqlite_engine, path, LAB)
    assert list_organizations(sqlite_engine) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"format": "xml"}, "'xml' can't be imported. The formats are jsonl, csv, cloudtrail,"),
        ({"format": "csv"}, "needs a mapping file"),
        ({"mapping": PERMIT_MAPPING}, "A mapping is for CSV"),
    ],
)
def test_format_and_mapping_have_to_fit(
    sqlite_engine: Engine, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ImportFailed) as failure:
        import_file(sqlite_engine, jsonl(tmp_path, line(1)), LAB, **options)
    assert says in str(failure.value)


def test_a_file_named_csv_is_taken_for_one(sqlite_engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, line(1), name="events.CSV")
    with pytest.raises(ImportFailed, match="needs a mapping file"):
        import_file(sqlite_engine, path, LAB)
    assert import_file(sqlite_engine, path, LAB, format="jsonl").added == 1


@pytest.mark.usefixtures("small_batches")
def test_progress_counts_the_files_bytes_up_to_its_size(sqlite_engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, *(line(n) for n in range(1, 9)))
    calls: list[tuple[int, int]] = []
    import_file(sqlite_engine, path, LAB, progress=lambda *call: calls.append(call))
    size = path.stat().st_size
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert len(calls) == 3
    assert calls[-1] == (size, size)


def test_a_batch_ends_at_its_bytes_too(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_BYTES", 1)
    calls: list[int] = []
    path = jsonl(tmp_path, *(line(n) for n in range(1, 5)))
    assert import_file(sqlite_engine, path, LAB, progress=lambda done, _: calls.append(done)).added == 4
    assert len(calls) == 4


def test_an_error_in_the_callers_progress_imports_nothing(sqlite_engine: Engine, tmp_path: Path) -> None:
    def interrupted(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(sqlite_engine, jsonl(tmp_path, line(1)), LAB, progress=interrupted)
    assert list_organizations(sqlite_engine) == []


@pytest.mark.usefixtures("small_batches")
def test_the_same_file_imported_twice_at_once_is_recorded_once(engine: Engine, tmp_path: Path) -> None:
    path = jsonl(tmp_path, *(line(n) for n in range(1, 60)))

    def run(_: int) -> int:
        try:
            return import_file(engine, path, LAB).added
        except ImportFailed:  # the other one had just made the organization
            return 0

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(run, range(2))) == [0, 59]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, range(2))) == [0, 0]
    assert len(entities(engine)) == 59


PERMITS = """\
case:channel,case:concept:name,case:deadline,case:department,case:enddate,case:enddate_planned,case:group,\
case:responsible,case:startdate,concept:instance,concept:name,lifecycle:transition,org:group,org:resource,time:timestamp
Desk,case-1,2020-06-01 10:00:00+02:00,General,,2020-06-01 10:00:00.010000+02:00,Group 9,Mara,2020-03-20 10:00:00+01:00,\
task-1,Confirmation of receipt,complete,Group 1,Mara,2020-03-28 23:30:00.250000+01:00
Desk,case-1,2020-06-01 10:00:00+02:00,General,,2020-06-01 10:00:00.010000+02:00,Group 9,Mara,2020-03-20 10:00:00+01:00,\
task-2,T06 Determine necessity of stop advice,complete,EMPTY,Ivo,2020-03-29 08:15:00+02:00
Post,case-2,2020-07-01 10:00:00+02:00,Experts,2020-05-02 09:00:00+02:00,2020-06-30 10:00:00+02:00,,Ivo,\
2020-04-01 10:00:00+02:00,task-3,Confirmation of receipt,complete,Group 1,Ivo,2020-04-01 10:00:00+02:00
"""


def test_the_mapping_in_the_docs_imports_a_permit_log(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "permit-applications.csv"
    path.write_text(PERMITS)
    assert import_file(engine, path, "permits", mapping=PERMIT_MAPPING, time_zone="Europe/Amsterdam").added == 3
    first, second, third = Ledger(engine, machine_scope("permits")).stream()
    assert [checked.record.occurred_at for checked in (first, second, third)] == [
        "2020-03-28T22:30:00.250000Z",
        "2020-03-29T06:15:00.000000Z",
        "2020-04-01T08:00:00.000000Z",
    ]
    assert second.record.action == "t06_determine_necessity_of_stop_advice"
    assert (first.record.actor_role, second.record.actor_role) == ("Group 1", None)
    assert (first.record.entity_seq, second.record.entity_seq, third.record.entity_seq) == (1, 2, 1)
    assert third.record.related == (("task", "task-3"),)
    assert third.context is not None
    assert json.loads(third.context.body) == {
        "activity": "Confirmation of receipt",
        "case": {
            "channel": "Post",
            "department": "Experts",
            "group": None,
            "responsible": "Ivo",
            "started": "2020-04-01 10:00:00+02:00",
            "ended": "2020-05-02 09:00:00+02:00",
            "planned_end": "2020-06-30 10:00:00+02:00",
            "deadline": "2020-07-01 10:00:00+02:00",
        },
    }
    assert import_file(engine, path, "permits", mapping=PERMIT_MAPPING).added == 0
    path.write_text(PERMITS.replace("Ivo,2020-04-01 10:00:00+02:00\n", "Ivo,2020-04-01 10:00:01+02:00\n"))
    with pytest.raises(ImportFailed, match=r"^line 4, record_id: stands for record 3 already"):
        import_file(engine, path, "permits", mapping=PERMIT_MAPPING)


def test_a_csv_whose_rows_share_an_id_is_refused_by_line(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "permit-applications.csv"
    path.write_text(PERMITS.replace("task-2", "task-1"))
    with pytest.raises(ImportFailed, match=r"^line 3, record_id .*the same as in line 2"):
        import_file(engine, path, "permits", mapping=PERMIT_MAPPING)
    assert list_organizations(engine) == []


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(EVENTS, min_size=1, max_size=5))
def test_any_valid_events_written_as_jsonl_are_recorded_with_the_same_content(
    engine: Engine, tmp_path: Path, events: list[Event]
) -> None:
    organization_id = f"lab-{uuid.uuid4()}"
    path = jsonl(tmp_path, *(as_line(event) for event in events))
    assert import_file(engine, path, organization_id).added == len(events)
    recorded = list(Ledger(engine, machine_scope(organization_id)).stream())
    assert not any(checked.findings for checked in recorded)
    for event, (record, before, after, context, _) in zip(events, recorded, strict=True):
        sections = {
            name: section and section.body
            for name, section in (("before", before), ("after", after), ("context", context))
        }
        fields: dict[str, Any] = {name: getattr(record, name) for name in Content._fields if name not in sections}
        assert Content(**fields | sections) == check_event(event)
        assert event.record_id in (None, record.record_id)
