"""Records that a report must print whatever they hold, and reports as tests read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from sqlalchemy import Engine

from flasktrack.core.record import Event
from flasktrack.export.exporting import ExportResult
from flasktrack.insight.filter import RecordFilter
from tests.export.samples import EVERYTHING, export
from tests.store.samples import event, organizations, record
from tests.ui.nasty import HIDDEN, NASTY

SCRIPTS = {
    "Arabic": "تم تغيير القيمة 12",
    "Hebrew": "שלום עולם 34",
    "Chinese": "样品已更改",
    "Japanese": "サンプルを変更した",
    "Korean": "샘플 변경",
    "Devanagari": "नमूना क्षत्रिय",
    "Thai": "ตัวอย่าง",
    "Tamil": "மாதிரி",
    "emoji": "👩‍🔬 🧪 ✅ 🇩🇪 👍🏽 ❤️",
    "signs": "µ ° ± ≤ → ∑ ½ Ω",
}
NO_FONT = "𒀀𒁀 བོད ᠮᠣᠩ \ue000 \U0010ffff a\u0951 ے\u093c"
DEEP: Any = "bottom"
for _ in range(200):
    DEEP = {"d": DEEP}


def nasty_events() -> list[Event]:
    """One of each that could break a page."""
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # clocks change in Berlin half an hour later
    contents: list[dict[str, Any]] = [
        {"before": None, "after": SCRIPTS},
        {"before": SCRIPTS, "after": dict.fromkeys(SCRIPTS, NO_FONT)},
        {"before": {"x": NASTY}, "after": {NASTY: HIDDEN, "x": NASTY[::-1]}, "reason": NASTY, "actor_name": NASTY},
        {"before": None, "after": {"text": "long " * 200_000}},  # 1 MB
        {"before": None, "after": {f"field {number:05}": number for number in range(20_000)}},
        {"before": {"word": "B" * 900}, "after": {"word": "W" * 5000, "k" * 900: "ü" * 900}},
        {"entity_name": "N" * 1000, "actor_name": "名" * 1000, "before": None, "after": {}},
        {"before": DEEP, "after": DEEP | {"e": DEEP}},
        {"before": None, "after": None, "related": [("batch", f"B-{number}") for number in range(100)]},
        {"before": {"a": 1, "b": [1, 2]}, "after": None, "action": "delete"},
        {"before": None, "after": [[]], "outcome": "denied", "context": {"path": "/" + "p" * 5000}},
        {"before": "x", "after": None, "reason": "\\(unbalanced ) paren (( <<>> %PDF 1 0 R endobj stream"},
    ]
    return [
        event(number, occurred_at=start + timedelta(minutes=20 * number), entity_id=f"S-{number}", **content)
        for number, content in enumerate(contents, start=1)
    ]


def nasty_lab(engine: Engine) -> int:
    """Fill a database with them; how many there are."""
    organizations(engine)
    return len(record(engine, *nasty_events()))


def pdf(engine: Engine, folder: Path, chosen: RecordFilter = EVERYTHING, **more: Any) -> tuple[ExportResult, PdfReader]:
    """Export as PDF, and read it strictly."""
    made = export(engine, folder / "report.pdf", chosen, **more)
    return made, PdfReader(BytesIO(made.path.read_bytes()), strict=True)


def words(reader: PdfReader) -> str:
    """The text of all pages, without the places at which a long word may break."""
    return "\n".join(page.extract_text() for page in reader.pages).replace("\u200b", "")
