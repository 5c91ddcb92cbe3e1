"""The chart of a report: records over time by people and machines, as an SVG that prints and loads nothing."""

from __future__ import annotations

from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from flasktrack.export.report_counts import OverTime

WIDTH, HEIGHT = 680, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 22, 24  # around the bars
_PEOPLE, _MACHINES = "#6f4aa8", "#d9822b"  # as on the pages; they differ in grey, too
_WRITTEN: Final = {"hour": "%Y-%m-%d %H:%M", "month": "%Y-%m"}


def in_words(counted: OverTime, zone: ZoneInfo) -> str:
    """What the chart shows, for those who don't see it."""
    starts = counted.starts
    busiest = max(starts, key=lambda start: _height(counted, start))
    return (
        f"Records by {counted.step} from {_said(counted, starts[0])} to {_said(counted, starts[-1])} ({zone.key}): "
        f"{counted.people.total():,} by people, {counted.machines.total():,} by machines; the most in the "
        f"{counted.step} of {_said(counted, busiest)}: {_height(counted, busiest):,}."
    )


def chart(counted: OverTime, zone: ZoneInfo) -> str:
    """The SVG."""
    starts = counted.starts
    seconds = [(start - starts[0]).total_seconds() for start in starts]
    step = min((later - earlier for earlier, later in pairwise(seconds)), default=1.0)
    most = max(_height(counted, start) for start in starts)
    scale, floor = (WIDTH - _LEFT - _RIGHT) / (seconds[-1] + step), float(HEIGHT - _BOTTOM)
    high = (floor - _TOP) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(in_words(counted, zone))}" '
        'font-family="Noto Sans, sans-serif" font-size="10">',
        f'<text x="0" y="11" font-weight="bold">Records by {counted.step}</text>',
        _key(150, _PEOPLE, f"people {counted.people.total():,}"),
        _key(300, _MACHINES, f"machines {counted.machines.total():,}"),
        f'<path d="M{_LEFT} {_TOP}H{WIDTH - _RIGHT}M{_LEFT} {floor}H{WIDTH - _RIGHT}" stroke="#9aa7b1" fill="none"/>',
        _text(_LEFT - 5, _TOP + 4, f"{most:,}", "end"),
        _text(_LEFT - 5, floor + 4, "0", "end"),
        _text(_LEFT, HEIGHT - 8, _said(counted, starts[0]), "start"),
    ]
    if len(starts) > 1:
        parts.append(_text(WIDTH - _RIGHT, HEIGHT - 8, _said(counted, starts[-1]), "end"))
    for start, second in zip(starts, seconds, strict=True):
        top = floor
        for colour, number in ((_PEOPLE, counted.people[start]), (_MACHINES, counted.machines[start])):
            top -= number * high
            if number:
                parts.append(
                    f'<rect x="{_LEFT + second * scale:.2f}" y="{top:.2f}" width="{max(0.85 * step * scale, 0.5):.2f}" '
                    f'height="{number * high:.2f}" fill="{colour}"/>'
                )
    return "".join(parts) + "</svg>"


def _height(counted: OverTime, start: datetime) -> int:
    return counted.people[start] + counted.machines[start]


def _said(counted: OverTime, start: datetime) -> str:
    return f"{start:{_WRITTEN.get(counted.step, '%Y-%m-%d')}}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _key(x: int, colour: str, text: str) -> str:
    return f'<rect x="{x}" y="3" width="9" height="9" fill="{colour}"/>{_text(x + 14, 11, text, "start")}'
