"""The report as PDF, tagged for accessibility (PDF/UA-1), with every font embedded.

Typst sets it, in parts that are joined (`pdf_join`), so that memory stays flat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson
import typst

from flasktrack.errors import ExportFailed
from flasktrack.export.new_file import NewFile
from flasktrack.export.pdf_join import JoinedPdf
from flasktrack.export.pdf_text import FOLDERS, plain, printed
from flasktrack.export.report import EXPLANATION, SIGNATURE, TITLE, Closing, Cover, cover
from flasktrack.export.report_record import Entry, entries
from flasktrack.export.selection import ExportOptions, Selection

MOST_RECORDS: Final = 100_000
"""Records of one report: about 17,000 pages. Memory would not end it; who opens the file would."""
_PART_RECORDS, _PART_CELLS, _PART_CHARACTERS = 250, 8_000, 500_000  # what a part holds at most: about 100 MB to typeset
_REMEMBERED: Final = 10
"""Compilations for which Typst keeps what it has laid out: so many empty ones, and it lets go of a part's 100 MB."""
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TEMPLATE: Final = Path(__file__).with_name("report.typ").read_bytes()


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the report. Raises ExportFailed, also where there are more than `MOST_RECORDS`."""
    if selection.total > MOST_RECORDS:
        raise ExportFailed(
            f"A PDF holds at most {MOST_RECORDS:,} records, and {selection.total:,} meet the filter.",
            "Narrow the filter, for example to a shorter time, or take the format html, csv or xlsx.",
        )
    front, closing = cover(selection, options), Closing()
    pdf = _Report(file, front)
    pdf.add(TITLE, kind="cover", explanation=EXPLANATION, **_cover(front))
    first = 1
    for some in _parts(entries(selection, options.zone, closing)):
        heading = f"Records {first:,} to {first + len(some) - 1:,} of {selection.total:,}"
        pdf.add(heading, kind="records", heading=heading, records=[asdict(one) | {"marks": one.marks} for one in some])
        first += len(some)
    pdf.add("End of the records", kind="closing", sentences=closing.sentences, signature=SIGNATURE)
    pdf.finish()


def _cover(front: Cover) -> dict[str, Any]:
    counts = [
        {"title": one.title, "lines": [(name, f"{number:,}", number / one.largest) for name, number in one.lines]}
        for one in front.counts
    ]
    return {
        "status": front.status,
        "facts": list(front.facts.items()),
        "findings": front.findings,
        "chart": front.chart,
        "chart-says": front.chart_says,
        "counts": counts,
    }


def _parts(all_entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """The entries in lists, each small enough to be typeset at once."""
    some: list[Entry] = []
    cells = characters = 0
    for one in all_entries:
        more = sum(len(row) for row in one.rows) + len(one.facts)
        length = sum(len(cell) for row in one.rows for cell in row) + sum(len(value) for _, value in one.facts)
        full = len(some) == _PART_RECORDS or cells + more > _PART_CELLS or characters + length > _PART_CHARACTERS
        if some and full:
            yield some
            some, cells, characters = [], 0, 0
        some.append(one)
        cells, characters = cells + more, characters + length
    if some:
        yield some


class _Report:
    """Typesets parts of one report and joins them."""

    def __init__(self, file: NewFile, front: Cover) -> None:
        self._pdf = JoinedPdf(file.write)
        self._common = {
            "title": TITLE,
            "organization": front.organization,
            "author": front.facts["Asked for by"],
            "footer": f"Times in {front.zone}; made {front.made_at}",
        }

    def add(self, title: str, **data: Any) -> None:
        self._pdf.add(_typeset({**self._common, "pages-before": self._pdf.pages, **data}, tagged=True), title)

    def finish(self) -> None:
        total = {**self._common, "kind": "total", "total": f"{self._pdf.pages:,}"}
        self._pdf.finish(_typeset(total, tagged=False))


def _typeset(data: dict[str, Any], *, tagged: bool) -> bytes:
    """A part as a PDF. What a font can't show, against expectation, is written by number."""
    try:
        return _compile(_each_text(data, printed), tagged=tagged)
    except typst.TypstError:
        pass
    try:
        return _compile(_each_text(data, plain), tagged=tagged)
    except typst.TypstError as problem:
        raise ExportFailed(
            f"The report can't be typeset ({str(problem)[:200]}).",
            "Take the format html, and please report it. Nothing was left behind.",
        ) from None


def _compile(data: Any, *, tagged: bool) -> bytes:
    sources = {"main": _TEMPLATE, "data.json": orjson.dumps(data)}
    made = typst.compile(sources, font_paths=_fonts(), pdf_standards="ua-1" if tagged else None, pdf_tags=tagged)  # type: ignore[call-overload]  # its stub lacks the dict of sources
    for _ in range(_REMEMBERED + 1):
        typst.compile(b"", font_paths=_fonts())
    return bytes(made)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """The data with every text in it changed, but for the drawing, and for a hash, which has a line of its own.

    Both are known by their names: a record's text may look like either.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: item if _as_it_is(key, item) else _each_text(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, change) for item in value]
    return value


def _as_it_is(name: str, value: Any) -> bool:
    return name == "chart" or (name == "hash" and _HASH.fullmatch(value) is not None)


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    """Noto's fonts and those that Typst brings along; none of the machine's."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=list(map(str, FOLDERS)))
