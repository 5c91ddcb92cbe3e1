"""The report as one HTML file: readable without a network, printable with page numbers, and written as a stream.

Nothing in it runs or loads: it has no script, and its content security policy forbids all but its own style sheet.
Text from records is escaped, and each value is isolated, so that one written from right to left turns no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

from flasktrack.export.new_file import NewFile
from flasktrack.export.report import EXPLANATION, SIGNATURE, TITLE, Closing, Cover, cover
from flasktrack.export.report_counts import Counts
from flasktrack.export.report_record import Entry, entries
from flasktrack.export.selection import ExportOptions, Selection

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE: Final = Path(__file__).with_name("report.css").read_text()


def write(selection: Selection, options: ExportOptions, file: NewFile) -> None:
    """Write the report, in constant memory. Raises ExportFailed."""
    front = cover(selection, options)
    file.write(_head(front).encode())
    closing = Closing()
    for printed in entries(selection, options.zone, closing):
        file.write(_article(printed).encode())
    file.write(_end(closing).encode())


def _head(front: Cover) -> str:
    style = _STYLE.replace("ZONE", _css(f"Times in {front.zone}")).replace(
        "TITLE", _css(f"{TITLE}: {front.organization}")
    )
    findings = "".join(f"<li>{_text(one)}</li>" for one in front.findings)
    tone = {"Verified": "verified", "Broken": "broken"}.get(front.status, "quiet")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(TITLE)}: {_text(front.organization)}</title><style>{style}</style></head>\n<body><main>"
        f"<h1>{escape(TITLE)}</h1><p>{_text(front.organization)}</p>"
        f'<h2>State of the chain: <span class="{tone}">{escape(front.status)}</span></h2>'
        f"{_facts(front.facts)}{f'<ul>{findings}</ul>' if findings else ''}"
        f'<p class="quiet">{escape(EXPLANATION)}</p>'
        f"<h2>Summary</h2>{front.chart}<p>{_text(front.chart_says)}</p>"
        f'<div class="counts">{"".join(map(_counts, front.counts))}</div><h2>Records</h2>\n'
    )


def _end(closing: Closing) -> str:
    said = "".join(f"<p>{_text(sentence)}</p>" for sentence in closing.sentences)
    lines = "".join(f'<tr><th scope="row">{escape(name)}</th><td></td></tr>' for name in SIGNATURE)
    table = f'<table class="signature"><tbody>{lines}</tbody></table>'
    return f"<h2>End of the records</h2>{said}{table}</main></body></html>\n"


def _facts(facts: dict[str, str]) -> str:
    lines = (f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in facts.items())
    return f'<table class="facts"><tbody>{"".join(lines)}</tbody></table>'


def _counts(counts: Counts) -> str:
    lines = (
        f'<tr><td>{_text(name)}</td><td class="bar"><i style="width:{100 * number / counts.largest:.1f}%"></i></td>'
        f'<td class="number">{number:,}</td></tr>'
        for name, number in counts.lines
    )
    return f"<table><caption>{escape(counts.title)}</caption><tbody>{''.join(lines)}</tbody></table>"


def _article(printed: Entry) -> str:
    parts = [f"<article><h3>Record {_text(printed.seq)} <span>{_text(printed.title)}</span></h3>"]
    parts += (f'<p class="alert">{_text(alert)}</p>' for alert in printed.alerts)
    facts = (f"<div><dt>{escape(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in printed.facts)
    hash_ = f'<div><dt>Hash</dt><dd class="hash">{_text(printed.hash)}</dd></div>'
    parts.append(f"<dl>{''.join(facts)}{hash_}</dl>")
    if printed.rows:
        titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in printed.columns)
        rows = (f"<tr{_row_class(printed, row)}>{_cells(row)}</tr>" for row in printed.rows)
        parts.append(f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    parts += (f'<p class="quiet">{_text(note)}</p>' for note in printed.notes)
    return f"{''.join(parts)}</article>\n"


def _row_class(printed: Entry, row: tuple[str, ...]) -> str:
    return ' class="marked"' if printed.marks and row[-1] else ""


def _cells(row: Iterable[str]) -> str:
    return "".join(f"<td>{_text(cell)}</td>" for cell in row)


def _text(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>" if not text.isascii() else escape(text)


def _css(text: str) -> str:
    """Text inside a string of CSS inside HTML: letters, digits and spaces as they are, all else by number."""
    return "".join(char if char.isascii() and (char.isalnum() or char == " ") else f"\\{ord(char):x} " for char in text)
