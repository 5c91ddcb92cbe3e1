"""Where in the chain: every position from the first to the newest as one bar, with what was checked and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from flasktrack.core.finding import ERROR, INFO, WARNING, Finding
from flasktrack.store.verifications import Verification
from flasktrack.ui.figures import drawing, palette, plotly_text, whole_numbers

_LANES = {"records": 0, "findings": 1}
_GONE = "gone"
_SEALED, _CHECKED, _ERROR, _WARNING = "#2e8b57", "#c9a227", "#c0392b", "#c77700"


class Stretch(NamedTuple):
    """Positions from `first` to `last`, both included, and what they are."""

    name: str
    first: int
    last: int
    colour: str


def stretches(done: Verification, size: int, findings: Sequence[Finding]) -> list[Stretch]:
    """The chain by what was checked of it, and then what is gone of it."""
    neutral = palette(dark=False).plain
    spans = [
        Stretch("checked by an earlier verification", 1, done.first_seq - 1, neutral),
        Stretch("sealed and checked", done.first_seq, min(done.sealed, done.last_seq), _SEALED),
        Stretch("checked, not sealed", max(done.first_seq, done.sealed + 1), done.last_seq, _CHECKED),
        Stretch("not checked", done.last_seq + 1, size, neutral),
        *(Stretch(_GONE, first, last, _ERROR) for first, last in _gone(findings, size)),
    ]
    return [span for span in spans if span.last >= span.first]


def coverage(done: Verification, size: int, findings: Sequence[Finding], *, dark: bool) -> go.Figure:
    """The chain by position; the customdata of a stretch, and of a finding, is its first position."""
    colours = palette(dark=dark)
    figure = drawing(dark=dark, height=150)
    end = max(size, done.last_seq, *(finding.seq_end for finding in findings), 1)
    spans = stretches(done, size, findings)
    gone = _gone(findings, size)
    numbers: dict[str, int] = {}  # of records by what they are, where a stretch is of positions
    for name, first, last, colour in spans:
        figure.add_bar(
            orientation="h",
            base=[first - 1],
            x=[last - first + 1],
            y=[_LANES["records"]],
            width=0.5,
            marker={"color": colour},
            hoverinfo="text",
            hovertext=[f"{first:,} to {last:,}: {name}"],
            customdata=[[first]],
        )
        lacking = 0 if name == _GONE else sum(max(0, min(last, b) - max(first, a) + 1) for a, b in gone)
        numbers[name] = numbers.get(name, 0) + last - first + 1 - lacking
    of = {name: colour for name, _, _, colour in spans}
    heading = ["Where in the chain"]
    heading += [f'<span style="color:{of[name]}">■</span> {name} {number:,}' for name, number in numbers.items()]
    for severity, symbol, colour in (
        (ERROR, "x", _ERROR),
        (WARNING, "triangle-up", _WARNING),
        (INFO, "circle", colours.plain),
    ):
        shown = [finding for finding in findings if finding.severity == severity]
        figure.add_scatter(
            mode="markers",
            cliponaxis=False,
            x=[(finding.seq + finding.seq_end) / 2 for finding in shown],
            y=[_LANES["findings"]] * len(shown),
            marker={"symbol": symbol, "color": colour, "size": 12, "line": {"width": 1, "color": colours.ground}},
            hovertext=[f"{finding.code}<br>{plotly_text(finding.detail, 160)}" for finding in shown],
            hoverinfo="text",
            customdata=[[finding.seq] for finding in shown],
        )
    figure.update_layout(
        title={"text": "   ".join(heading)},
        barmode="overlay",
        xaxis={"title": {"text": "Position"}, "range": [0, end], "tickformat": ",d", **whole_numbers(end)},
        yaxis={"tickvals": list(_LANES.values()), "ticktext": list(_LANES), "range": [-0.5, 1.5]},
    )
    return figure.figure()


def _gone(findings: Sequence[Finding], size: int) -> list[tuple[int, int]]:
    """From where to where records are gone; several findings may say so of the same ones."""
    gone: list[tuple[int, int]] = []
    for finding in sorted(findings, key=lambda finding: finding.seq):
        if finding.code in ("record_missing", "chain_truncated") or finding.seq > size:
            if gone and finding.seq <= gone[-1][1]:
                gone[-1] = (gone[-1][0], max(gone[-1][1], finding.seq_end))
            else:
                gone.append((finding.seq, finding.seq_end))
    return gone
