"""The figure of an entity's relations: what it relates to on the left, what relates to it on the right.

A node is an entity, or all further ones of a type together. Its customdata is what a click on it asks for:
["entity", "sample:S-1"] or ["type", "sample"].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from flasktrack.ui.figures import drawing, palette, plotly_text

_LETTERS = 50
_ROW = 23  # pixels


class Node(NamedTuple):
    """An entity next to the one in the middle, or several of a type: `data` is what a click asks for, None for
    nothing; `hint` is shown beside the pointer."""

    label: str
    hint: str
    data: tuple[str, str] | None
    several: bool = False


def relations(
    middle: str, to: Sequence[Node], from_: Sequence[Node], numbers: tuple[int, int], *, dark: bool
) -> go.Figure:
    """The graph. `numbers` are how many entities there are on the left and on the right, drawn or not."""
    colours = palette(dark=dark)
    rows = max(len(to), len(from_), 2)
    figure = drawing(dark=dark, height=74 + _ROW * rows)
    heads = []
    centre = (rows - 1) / 2
    for nodes, x in ((to, -1.0), (from_, 1.0)):
        places = [(rows - len(nodes)) / 2 + place for place in range(len(nodes))]
        lines_x = [value for _ in nodes for value in (0, x, None)]
        lines_y = [value for place in places for value in (centre, place, None)]
        figure.add_scatter(
            mode="lines", x=lines_x, y=lines_y, hoverinfo="skip", line={"color": colours.low, "width": 2}
        )
        figure.add_scatter(
            mode="markers+text",
            x=[x] * len(nodes),
            y=places,
            text=[plotly_text(node.label, _LETTERS) for node in nodes],
            textposition="middle left" if x < 0 else "middle right",
            textfont={"color": colours.text, "size": 12},
            hovertext=[plotly_text(node.hint, 160) for node in nodes],
            hoverinfo="text",
            customdata=[list(node.data) if node.data else [None, None] for node in nodes],
            marker={
                "color": colours.plain,
                "size": [13 if node.several else 10 for node in nodes],
                "symbol": ["square" if node.several else "circle" for node in nodes],
            },
        )
        # An arrow lies where one entity names the other: from the one that does.
        heads += [
            _arrow(0, (rows - 1) / 2, x, place) if x < 0 else _arrow(x, place, 0, (rows - 1) / 2) for place in places
        ]
    figure.add_scatter(
        mode="markers", x=[0], y=[centre], hoverinfo="skip", customdata=[[None, None]],
        marker={"color": colours.high, "size": 16},
    )  # fmt: skip
    figure.update_layout(
        title={
            "text": f"It relates to {numbers[0]:,}; {numbers[1]:,} {'relates' if numbers[1] == 1 else 'relate'} to it"
        },
        annotations=[
            *(arrow | {"arrowcolor": colours.muted} for arrow in heads),
            {
                "x": 0,
                "y": centre,
                "yshift": 20,
                "text": plotly_text(middle, _LETTERS),
                "showarrow": False,
                "font": {"color": colours.text, "size": 13},
                "bgcolor": colours.ground,
            },
        ],
        xaxis={"visible": False, "range": [-2.5, 2.5]},
        yaxis={"visible": False, "range": [rows - 0.4, -1.1]},
    )
    return figure.figure()


def _arrow(x: float, y: float, to_x: float, to_y: float) -> dict[str, Any]:
    """An arrow's head in the middle of a line."""
    along = {"x": x + (to_x - x) * 0.55, "y": y + (to_y - y) * 0.55, "ax": x + (to_x - x) / 2, "ay": y + (to_y - y) / 2}
    axes = {"xref": "x", "yref": "y", "axref": "x", "ayref": "y"}
    return {**along, **axes, "showarrow": True, "arrowhead": 2, "arrowwidth": 1, "text": ""}
