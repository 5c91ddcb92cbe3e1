"""The report as HTML: what is in records is text in it, and nothing in it runs, loads or leaves."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from sqlalchemy import Engine

from flasktrack.export.report import SIGNATURE
from flasktrack.export.report_html import POLICY
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.engine import initialize, open_engine
from tests.export.report_samples import SCRIPTS, nasty_lab
from tests.export.samples import export
from tests.store.samples import event, organizations, record
from tests.ui.nasty import NASTY

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "span", "table", "caption",
    "thead", "tbody", "tr", "th", "td", "ul", "li", "i", "svg", "rect", "path", "text", "div", "article", "dl", "dt",
    "dd", "bdi",
}  # fmt: skip


class Page(HTMLParser):
    """The elements, their attributes, and the text, as a browser would take them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(engine: Engine, folder: Path, chosen: RecordFilter | None = None) -> tuple[str, Page]:
    source = export(engine, folder / "report.html", chosen or RecordFilter()).path.read_text()
    return source, Page(source)


def lab(folder: Path) -> Engine:
    engine = open_engine(f"sqlite:///{folder / 'lab.db'}")
    initialize(engine)
    return engine


def test_records_are_data_in_a_page_that_loads_and_runs_nothing(tmp_path: Path) -> None:
    engine = lab(tmp_path)
    nasty_lab(engine)
    source, read = page(engine, tmp_path)
    assert read.tags <= ALLOWED
    assert not {
        name for name in read.attributes if name.startswith("on") or name in ("href", "src", "srcset", "action")
    }
    assert not read.open
    assert f'content="{POLICY}"' in source
    assert "script" not in POLICY
    assert not re.search(r"url\(|@import|expression", source.partition("</style>")[0])
    assert NASTY in read.text
    for text in SCRIPTS.values():
        assert text in read.text
    engine.dispose()


def test_it_says_what_was_asked_and_has_a_place_for_a_signature(tmp_path: Path) -> None:
    engine = lab(tmp_path)
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 6)))
    source, read = page(engine, tmp_path, RecordFilter(actions=("update",), seq_first=2))
    for said in ("with action update", "from position 2", "Europe/Berlin", "command line", "Not checked", "4 records"):
        assert said in read.text
    for line in SIGNATURE:
        assert line in read.text
    assert 'counter(page) " of " counter(pages)' in source
    assert source.count("<article>") == 4
    engine.dispose()


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    engine = lab(tmp_path)
    organizations(engine)
    _, read = page(engine, tmp_path)
    assert "No record meets the filter." in read.text
    engine.dispose()
