"""A figure as it is put together: Plotly's own way of writing one, without its checks.

Plotly looks at every value of a figure, which takes longer than all the rest of drawing a page. What the app's figures
say doesn't depend on the data, so that tests have it checked instead (`tests/ui/test_figures.py`).
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go


class Drawing:
    """Traces and a layout, by Plotly's names (but none of its short ones, as `title_text`)."""

    def __init__(self, **layout: Any) -> None:
        self._traces: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {}
        self.update_layout(**layout)

    def add_bar(self, **values: Any) -> None:
        self._traces.append({"type": "bar", **values})

    def add_scatter(self, **values: Any) -> None:
        self._traces.append({"type": "scatter", **values})

    def update_layout(self, **values: Any) -> None:
        _merge(self._layout, values)

    def update_xaxes(self, **values: Any) -> None:
        self.update_layout(xaxis=values)

    def update_yaxes(self, **values: Any) -> None:
        self.update_layout(yaxis=values)

    def figure(self) -> go.Figure:
        """The figure, for Plotly to draw."""
        return go.Figure({"data": self._traces, "layout": self._layout}, _validate=False)


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif value is not None:
            into[name] = value
