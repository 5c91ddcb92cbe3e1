"""An evidence package holds what was asked for and claims what is so; what could not be verified is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from flasktrack.core.note import parse_note
from flasktrack.errors import ExportFailed, Unsealed
from flasktrack.export import verify_package
from flasktrack.export.csv_table import defuse
from flasktrack.export.exporting import export_records
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.scope import machine_scope
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust
from tests import adversary
from tests.export.packages import MARKUP, ORGANIZATION, RANGE, SIZE, Lab, Package
from tests.export.samples import BERLIN
from tests.verify.chains import event, grow
from tests.verify.sealed import Sealed, make_sealed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory to be changed."""
    made = Lab(tmp_path)
    yield made
    made.engine.dispose()


def check(package: Package) -> verify_package.Result:
    return verify_package.check_package(io.BytesIO(package.zip()), package.lab.keys)


def codes(result: verify_package.Result) -> list[tuple[str, int | None, int | None, str | None]]:
    return [(one.code, one.seq, one.seq_end, one.section) for one in result.findings]


def refused(lab: Lab, kind: type[ExportFailed], words: str, chosen: RecordFilter = RANGE, *withheld: str) -> None:
    """The export is refused, and leaves nothing behind."""
    before = sorted(lab.folder.iterdir())
    with pytest.raises(kind, match=words):
        lab.export(chosen, *withheld, path=lab.folder / "refused.zip")
    assert sorted(lab.folder.iterdir()) == before


DAY = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "applied", "complete", "seqs"),
    [
        (RecordFilter(), {"seq": ["1-12"]}, "range", range(1, 13)),
        (RecordFilter(seq_first=3, seq_last=7), {"seq": ["3-7"]}, "range", range(3, 8)),
        (RecordFilter(seq_first=9), {"seq": ["9-12"]}, "range", range(9, 13)),
        (RecordFilter(seq_last=99), {"seq": ["1-12"]}, "range", range(1, 13)),
        (RecordFilter(seq_first=5, seq_last=5), {"seq": ["5"]}, "range", [5]),
        (RecordFilter(entities=("sample:S-1",)), {"entity": ["sample:S-1"]}, "entity", [1, 5, 9]),
        (RecordFilter(actors=("user:u-1",)), {"actor": ["user:u-1"]}, "actor", [1, 4, 7, 10]),
        (
            RecordFilter(entities=("batch:B-4",), with_related=True),
            {"entity": ["batch:B-4"], "with_related": ["1"]},
            "none",
            [4],
        ),
        (
            RecordFilter(entities=("sample:S-1", "sample:S-2")),
            {"entity": ["sample:S-1", "sample:S-2"]},
            "none",
            [1, 2, 5, 6, 9, 10],
        ),
        (
            RecordFilter(entities=("sample:S-1",), seq_last=99),
            {"entity": ["sample:S-1"]},
            "entity",
            [1, 5, 9],
        ),
        (
            RecordFilter(entities=("sample:S-1",), seq_last=11),
            {"entity": ["sample:S-1"], "seq": ["-11"]},
            "none",
            [1, 5, 9],
        ),
        (RecordFilter(occurred_from=DAY), {"from": ["2026-11-24T00:00:00Z"]}, "none", range(1, 13)),
    ],
)
def test_it_claims_to_be_complete_for_ranges_and_whole_histories_alone(
    lab: Lab, chosen: RecordFilter, applied: dict[str, Any], complete: str, seqs: list[int]
) -> None:
    package = lab.package(chosen)
    manifest = package.manifest
    assert (manifest["filter"], manifest["complete"]) == (applied, complete)
    assert [line["header"]["seq"] for line in package.lines] == list(seqs)
    assert (manifest["records"], manifest["first_seq"], manifest["last_seq"]) == (len(seqs), seqs[0], seqs[-1])
    result = check(package)
    assert (result.status, codes(result), result.records) == ("verified", [], len(seqs))


def test_the_manifest_says_who_when_and_what_in_the_form_of_the_specification(lab: Lab) -> None:
    package = lab.package()
    note = parse_note(package.files["manifest.note"].decode())
    said = json.loads(note.text)
    assert note.text == json.dumps(said, sort_keys=True, indent=2) + "\n"
    assert (said["format"], said["organization_id"], said["created_by"]) == (
        "flasktrack-evidence/1", ORGANIZATION, "user:u-9",
    )  # fmt: skip
    assert (said["origin"], said["tree_size"]) == (f"lab.example/{ORGANIZATION}", SIZE)
    assert set(said["files"]) == {
        "checkpoint.note", "records.jsonl", "records.csv", "report.html", "README.txt", "verify.py",
    }  # fmt: skip
    (signature,) = note.signatures
    assert (signature.name, len(signature.signature)) == (said["origin"], 64)


def test_withheld_sections_are_absent_and_still_proved(lab: Lab) -> None:
    package = lab.package(RANGE, "after", "context")
    assert package.manifest["withheld"] == ["after", "context"]
    for line in package.lines:
        assert line["after"] is line["context"] is None
        assert line["header"]["after"] is not None
        assert (line["before"] is None) == (line["header"]["before"] is None)
    for name in ("records.jsonl", "records.csv", "report.html"):
        assert b"request" not in package.files[name], "the context of every record says it"
    assert check(package).status == "verified"


def test_an_erased_section_is_explained_by_the_record_of_its_erasure(own: Lab) -> None:
    own.erase(5, 6, "before")
    result = check(own.package(RecordFilter()))
    assert (result.status, codes(result)) == ("verified", [("payload_erased", 5, 6, "before")])
    assert result.findings[0].detail == "Records 5 to 6: the section before was erased; record 13 says why."
    result = check(own.package(RecordFilter(entities=("sample:S-1",))))
    assert (result.status, codes(result)) == ("verified", [("payload_absent", 5, 5, "before")])


def test_records_above_the_last_checkpoint_are_refused_until_they_are_sealed(own: Lab) -> None:
    grow(own.engine, ORGANIZATION, event(13), event(14))
    refused(own, Unsealed, "2 records lie above the last checkpoint.* Seal them first", RecordFilter())
    refused(own, Unsealed, "1 record lies above", RecordFilter(entities=("sample:S-1",)))
    assert check(own.package()).status == "verified", "what is asked for is sealed"
    own.seal()
    assert own.package(RecordFilter()).manifest["tree_size"] == 14


def test_nothing_is_made_of_nothing(lab: Lab) -> None:
    refused(lab, ExportFailed, "No record meets the filter", RecordFilter(actions=("levitate",)))


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit_record SET action = 'delete' WHERE seq = 3", "Record 3 was altered"),
        ("UPDATE audit_payload SET after = '{}' WHERE seq = 3", "'after' is not what was recorded"),
        ("UPDATE audit_payload SET after = NULL, after_salt = NULL WHERE seq = 3", "'after' was recorded but is gone"),
        ("DELETE FROM audit_record WHERE seq = 4", "There is no proof of what|Proofs can't be made"),
        ("UPDATE checkpoint SET root = zeroblob(32)", "not stored as it was signed"),
        ("UPDATE checkpoint SET note = replace(note, 'lab.example', 'lab.elsewhere')", "can't be believed"),
        ("UPDATE audit_record SET hash = zeroblob(32) WHERE seq = 12", "There is no proof of what"),
    ],
)
def test_what_no_inspector_could_verify_is_refused(own: Lab, sql: str, words: str) -> None:
    adversary.run_sql(own.engine, sql)
    refused(own, ExportFailed, words)


def test_an_altered_tree_is_not_passed_on(own: Lab) -> None:
    """A neighbour that is not in the package was altered: its records' proofs would not lead to the signed root."""
    adversary.run_sql(own.engine, "UPDATE audit_record SET hash = zeroblob(32) WHERE seq = 2")
    refused(own, ExportFailed, "Record 5: the proof does not lead", RecordFilter(seq_first=5, seq_last=6))


def test_a_cancelled_export_leaves_nothing(lab: Lab) -> None:
    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = sorted(lab.folder.iterdir())
    options = ExportOptions(BERLIN, trust=Trust(lab.keyring, None))
    with pytest.raises(KeyboardInterrupt):
        export_records(
            lab.engine,
            machine_scope(ORGANIZATION),
            RANGE,
            "evidence",
            lab.folder / "x.zip",
            options=options,
            progress=cancel,
        )
    assert sorted(lab.folder.iterdir()) == before


def test_it_is_made_from_either_database(engine: Engine, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys", "lab.example")
    keyring.create()
    sealed = make_sealed(Sealed(engine, ORGANIZATION, keyring, Anchors(tmp_path / "anchors")), 300)
    path = tmp_path / "package.zip"
    options = ExportOptions(BERLIN, withheld=("context",), trust=sealed.trust)
    made = export_records(
        engine, machine_scope(ORGANIZATION), RecordFilter(actors=("user:u-1",)), "evidence", path, options=options
    )
    with path.open("rb") as file:
        result = verify_package.check_package(file, verify_package.read_keys(keyring.vkeys([ORGANIZATION])))
    assert (result.status, result.findings, result.records) == ("verified", [], made.records)
    assert made.records == 100


# What is in the package


def test_verify_py_stands_alone(lab: Lab, tmp_path: Path) -> None:
    """Unpacked in a folder of its own, it finds nothing of FlaskTrack; and without `cryptography` it says so."""
    whole, altered = lab.export(RANGE, path=tmp_path / "whole.zip"), tmp_path / "altered.zip"
    altered.write_bytes(lab.package().text('"action":"update"', '"action":"delete"').zip())
    with zipfile.ZipFile(whole) as archive:
        archive.extract("verify.py", tmp_path)
    keys = tmp_path / "keys.txt"
    keys.write_text("\n".join(["# of Northwind", "", *lab.vkeys]))

    def run(*arguments: object, without: str = "") -> tuple[int, str, str]:
        blocked = f"import sys; sys.modules['{without}'] = None; " if without else ""
        code = f"{blocked}import runpy; runpy.run_path('verify.py', run_name='__main__')"
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    status, out, _ = run(whole, "--trust", keys)
    assert (status, out.splitlines()[0]) == (0, "VERIFIED: 12 records read.")
    status, out, _ = run(altered, "--trust", keys)
    assert (status, out.splitlines()[0]) == (1, "BROKEN: 12 records read.")
    assert "- error record_modified: Record 1: the header does not give the hash." in out
    status, out, _ = run(whole, "--trust", keys, "--json", without="cryptography.exceptions")
    answer = json.loads(out)
    assert (status, answer["status"], answer["findings"]) == (1, "not_checked", [])
    assert len(answer["unchecked"]) == 3, "an Ed25519 signature of the manifest, both of the checkpoint"
    status, out, _ = run(whole)
    assert (status, out.splitlines()[0]) == (1, "NOT CHECKED: 12 records read.")
    for wrong in ((tmp_path / "absent.zip",), (whole, "--trust", whole)):
        status, out, err = run(*wrong)
        assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_the_readme_says_what_the_manifest_says(lab: Lab) -> None:
    text = lab.package(RANGE, "context").files["README.txt"].decode()
    assert f"Origin      lab.example/{ORGANIZATION}\n" in text
    assert "Records     12, positions 1 to 12\n" in text
    assert "Withheld    context\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_no_text_of_a_record_can_end_the_reports_data(lab: Lab) -> None:
    package = lab.package()
    assert package.lines[7]["header"]["reason"] == MARKUP
    assert b"<" not in package.files["records.jsonl"]
    assert package.files["records.jsonl"] in package.files["report.html"]


@given(st.text(st.sampled_from("=+-@\uff1d;'\"\t\r\n \u200b\ufeff\x00a1") | st.characters(codec="utf-8")))
def test_formulas_are_defused_as_in_every_other_table(text: str) -> None:
    assert verify_package.defuse(text) == defuse(text)


def test_what_is_written_is_what_is_checked(lab: Lab) -> None:
    """The copy in the package is this module, to the byte."""
    assert lab.package().files["verify.py"] == Path(verify_package.__file__).read_bytes()
    with closing(io.BytesIO(lab.package().zip())) as file:
        assert verify_package.check_package(file, lab.keys).signed == {"manifest.note", "checkpoint.note"}
