"""The report as PDF: whole, readable by machines and by people who see nothing, whatever the records hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typst
from pypdf import PdfReader
from pypdf.generic import Destination, DictionaryObject
from sqlalchemy import Engine

from flasktrack.errors import ExportFailed
from flasktrack.export import report_pdf
from flasktrack.export.pdf_text import printed
from flasktrack.export.report import SIGNATURE
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import initialize, open_engine
from tests.export.report_samples import SCRIPTS, nasty_lab, pdf, words
from tests.store.samples import event, organizations, record


@pytest.fixture
def lab(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'lab.db'}")
    initialize(engine)
    return engine


def fill(engine: Engine, number: int) -> None:
    organizations(engine)
    record(engine, *(event(place) for place in range(1, number + 1)))


def structure(reader: PdfReader) -> Counter[str]:
    """How many elements of each role the document's structure has, each with its parent."""
    counted: Counter[str] = Counter()

    def walk(element: DictionaryObject, parent: DictionaryObject) -> None:
        assert element["/P"] == parent
        counted[str(element["/S"])] += 1
        kids: Any = element.get("/K", [])
        for kid in kids if isinstance(kids, list) else [kids]:
            if isinstance(kid.get_object(), DictionaryObject) and "/S" in kid.get_object():
                walk(kid.get_object(), element)

    root = reader.trailer["/Root"]["/StructTreeRoot"]  # type: ignore[index]
    (document,) = root["/K"]
    walk(document.get_object(), root)
    return counted


def test_whatever_records_hold_is_printed(lab: Engine, tmp_path: Path) -> None:
    total = nasty_lab(lab)
    made, reader = pdf(lab, tmp_path)
    text = words(reader)
    assert made.records == total
    for seq in range(1, total + 1):
        assert f"Record {seq}: " in text
    for script in ("Chinese", "Japanese", "Korean", "Hebrew", "signs"):  # readers give others' letters as drawn
        assert SCRIPTS[script].split()[0] in text or SCRIPTS[script].split()[0][::-1] in text
    assert "[U+12000]" in text
    assert "999,000 more characters are left out here" in text.replace("\n", " ")
    fonts = {
        font["/BaseFont"]: "/FontFile2" in descriptor or "/FontFile3" in descriptor
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
        for descriptor in [font["/DescendantFonts"][0]["/FontDescriptor"]]
    }
    assert len(fonts) > 6
    assert all(fonts.values())


def test_parts_are_joined_into_one_tagged_document(
    lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lab, 20)
    monkeypatch.setattr(report_pdf, "_PART_RECORDS", 8)
    _, reader = pdf(lab, tmp_path)
    total = len(reader.pages)
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text()
        assert f"Page {number}" in text
        assert f"of {total}" in text
        assert "Times in Europe/Berlin" in text
    assert [item.title for item in reader.outline if isinstance(item, Destination)] == [
        "Audit trail report", "Records 1 to 8 of 20", "Records 9 to 16 of 20", "Records 17 to 20 of 20",
        "End of the records",
    ]  # fmt: skip
    found = structure(reader)
    assert found["/Document"] == 1
    assert found["/Part"] == 5
    assert found["/H2"] == 20 + 2
    assert found["/Table"] > 20
    assert found["/Figure"] == 1
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 (a PDF's own boolean)
    assert b"pdfuaid:part>1<" in root["/Metadata"].get_data()
    assert b"NPages>%d<" % total in root["/Metadata"].get_data()
    _check_indexes(root["/StructTreeRoot"], reader)
    for line in SIGNATURE:
        assert line.split()[0] in reader.pages[-1].extract_text()


def _check_indexes(tree: Any, reader: PdfReader) -> None:
    """Each page's marked content leads to elements of that page; each name of a heading cell is there once."""
    keys: dict[int, Any] = {}
    for leaf in tree["/ParentTree"]["/Kids"]:
        numbers = leaf["/Nums"]
        keys |= dict(zip(numbers[::2], numbers[1::2], strict=True))
        assert [numbers[0], numbers[-2]] == leaf["/Limits"]
    assert sorted(keys) == list(range(tree["/ParentTreeNextKey"]))
    page: Any
    for page in reader.pages:
        for element in keys[page["/StructParents"]].get_object():
            assert element.get_object()["/Pg"] == page
    names = [name for leaf in tree["/IDTree"]["/Kids"] for name in leaf["/Names"][::2]]
    assert names == sorted(set(names))
    elements = [item for leaf in tree["/IDTree"]["/Kids"] for item in leaf["/Names"][1::2]]
    assert [item.get_object()["/ID"] for item in elements] == names


@pytest.mark.parametrize("number", [0, 1])
def test_none_and_one_record_make_a_report_too(lab: Engine, tmp_path: Path, number: int) -> None:
    fill(lab, number)
    _, reader = pdf(lab, tmp_path)
    assert len(reader.pages) == 2 + number
    assert ("No record meets the filter." in words(reader)) == (number == 0)


def test_more_than_a_pdf_holds_is_refused_with_advice(
    lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lab, 3)
    monkeypatch.setattr(report_pdf, "MOST_RECORDS", 2)
    with pytest.raises(ExportFailed, match=r"at most 2 records, and 3 meet the filter\. Narrow the filter"):
        pdf(lab, tmp_path)
    assert not list(tmp_path.glob("*.pdf"))
    made, _ = pdf(lab, tmp_path, RecordFilter(seq_last=2))
    assert made.records == 2


def test_what_cant_be_typeset_is_written_by_number_after_all(
    lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    organizations(lab)
    record(lab, event(1, entity_name="𒀀 tablet"))
    monkeypatch.setattr(report_pdf, "printed", lambda text: text)
    _, reader = pdf(lab, tmp_path)
    assert "[U+12000] tablet" in words(reader)

    def refuse(*_: object, **__: object) -> bytes:
        raise typst.TypstError("no room", "no room")

    monkeypatch.setattr(typst, "compile", refuse)
    (tmp_path / "report.pdf").unlink()
    with pytest.raises(ExportFailed, match="no room"):
        pdf(lab, tmp_path)
    assert not list(tmp_path.glob("*.pdf"))


def test_a_text_that_looks_like_a_drawing_or_a_hash_is_text(lab: Engine, tmp_path: Path) -> None:
    organizations(lab)
    record(lab, event(1, reason="<svg 𒀀", entity_name="a" * 64))
    _, reader = pdf(lab, tmp_path)
    assert "<svg [U+12000]" in words(reader)
    shown = report_pdf._each_text({"records": [{"rows": (("a" * 64,),), "hash": "a" * 64}]}, printed)
    assert shown["records"][0]["hash"] == "a" * 64
    assert "\u200b" in shown["records"][0]["rows"][0][0], "a long word must have places to break"


def test_a_part_is_as_large_as_memory_allows_and_no_larger(lab: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from flasktrack.export.report_record import Entry

    def entry(rows: int, length: int = 1) -> Entry:
        return Entry("1", "t", (), "h", (), ("a", "b"), (("x" * length, "y"),) * rows, ())

    def sizes(*entries: Entry) -> list[int]:
        return [len(part) for part in report_pdf._parts(iter(entries))]

    monkeypatch.setattr(report_pdf, "_PART_RECORDS", 3)
    monkeypatch.setattr(report_pdf, "_PART_CELLS", 20)
    monkeypatch.setattr(report_pdf, "_PART_CHARACTERS", 500)
    assert sizes() == []
    assert sizes(*[entry(1)] * 7) == [3, 3, 1]
    assert sizes(entry(4), entry(6), entry(100), entry(1)) == [2, 1, 1]
    assert sizes(entry(1, 300), entry(1, 300), entry(1, 3)) == [1, 2]
