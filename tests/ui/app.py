"""The app as a test uses it: opened at an address, read as text, clicked on. No browser, no server.

AppTest runs app.py as the server would; what it can't click (figures, cells of tables, links) is clicked here by
sending what a browser would send.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import pandas as pd
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Button, Element

from flasktrack.access.permissions import ROLES
from flasktrack.access.roles import Role
from flasktrack.settings import HOME
from flasktrack.ui.registry import PAGES

SECONDS = 60
_KINDS = ("multiselect", "text_input", "selectbox", "datetime_input", "checkbox")
_COUNT = re.compile(r"([\d,]+) records?, by position, newest first")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


class App:
    """One session of the app. `click_*` and `run` run the page again, as a browser would make it."""

    def __init__(self, page: str = "overview", theme: str = "light", **params: str | Sequence[str]) -> None:
        self.test = AppTest.from_file(HOME / "app.py", default_timeout=SECONDS)
        self.test.context["theme"] = theme
        self.go(page, **params)

    def go(self, page: str, **params: str | Sequence[str]) -> None:
        """Open a page's address; `from_` stands for `from`. The demo has a role that may open it."""
        if Role.QA_LEAD not in ROLES[PAGES[page].permission]:
            params = {"role": Role.ADMINISTRATOR, **params}
        self.test.query_params.clear()
        self.test.query_params.update({name.removesuffix("_"): value for name, value in params.items()})
        if PAGES[page].url_path or self.test._registered_pages:
            self.test.switch_page(PAGES[page].path)
        self.test.run()
        self.test._page_hash = ""  # from here on the session stays wherever the page leads

    def run(self) -> None:
        self.test.run()

    @property
    def params(self) -> dict[str, list[str]]:
        """The address's parameters."""
        return {
            name: [value] if isinstance(value, str) else list(value) for name, value in self.test.query_params.items()
        }

    @property
    def page(self) -> str:
        """The key of the page that the session is on."""
        path = self.test._registered_pages[self.test._finished_page_script_hash]["url_pathname"]
        return next(page.key for page in PAGES.values() if page.url_path == path)

    # What is drawn

    @property
    def headers(self) -> list[str]:
        return [header.value for header in self.test.main.header]

    @property
    def errors(self) -> list[str]:
        """Boxes that say what is wrong."""
        return [unescaped(error.value) for error in self.test.error]

    @property
    def text(self) -> str:
        """Everything that the page's main part says outside of tables and figures, as a reader sees it."""
        return "\n".join(_words(self.test.main))

    @property
    def counted(self) -> int:
        """The number of records that the records' table says there are."""
        if "No record meets the filter" in self.text:
            return 0
        found = _COUNT.search(self.text)
        assert found is not None
        return int(found[1].replace(",", ""))

    @property
    def links(self) -> list[str]:
        """What leads to another page, or to another address of this one."""
        labels = [link.proto.label for link in self.test.get("page_link")]
        return [unescaped(label) for label in (*labels, *(button.label for button in self._link_buttons()))]

    @property
    def buttons(self) -> list[str]:
        return [unescaped(button.label) for button in self.test.main.button]

    def table(self, prefix: str) -> pd.DataFrame:
        """The clickable table whose key begins so, as it is sent to the browser."""
        shown: pd.DataFrame = self._keyed("dataframe", prefix).value
        return shown

    def tables(self) -> list[str]:
        """The keys of the clickable tables."""
        return [str(element.key) for element in self.test.get("dataframe")]

    def plain_tables(self) -> list[pd.DataFrame]:
        """Tables that are text alone, unescaped as the browser's markdown does it."""
        return [table.value.map(lambda cell: unescaped(str(cell))) for table in self.test.table]

    def figure(self, prefix: str) -> dict[str, Any]:
        """The figure whose key begins so, as Plotly's JSON."""
        found: dict[str, Any] = json.loads(self._keyed("plotly_chart", prefix).proto.spec)
        return found

    def has_figure(self, prefix: str) -> bool:
        return any(str(element.key).startswith(prefix) for element in self.test.get("plotly_chart"))

    # What a reader does

    def button(self, label: str) -> Button:
        """The button that says so."""
        return next(button for button in self.test.button if unescaped(button.label) == label)

    def click(self, label: str) -> None:
        self.button(label).click().run()

    def filter(self, name: str) -> Any:
        """The filter bar's widget for a part of the filter: it is another one with every filter."""
        return next(widget for kind in _KINDS for widget in self.test.get(kind) if _is_filter(widget, name))

    def click_link(self, label: str) -> None:
        """Follow a link to another page, or to another address of this one."""
        for button in self._link_buttons():
            if unescaped(button.label).strip("*") == label:
                button.click().run()
                return
        link = next(link for link in self.test.get("page_link") if unescaped(link.proto.label) == label)
        page = next(page.key for page in PAGES.values() if page.url_path == link.proto.page)
        self.go(page, **parse_qs(link.proto.query_string.removeprefix("?")))

    def click_point(self, prefix: str, customdata: Any) -> None:
        """Click a point of a figure."""
        point = {"customdata": customdata, "curve_number": 0, "point_index": 0, "point_number": 0}
        selection = {"points": [point], "point_indices": [0], "box": [], "lasso": []}
        self._send(self._keyed("plotly_chart", prefix), {"selection": selection})

    def click_cell(self, prefix: str, row: int, column: str) -> None:
        """Click a cell of a table."""
        selection = {"rows": [], "columns": [], "cells": [[row, column]]}
        self._send(self._keyed("dataframe", prefix), {"selection": selection})

    def wait_for(self, button: str) -> None:
        """Look at the page, as its progress makes the browser do, until it has a button again."""
        deadline = time.monotonic() + SECONDS
        while button not in self.buttons:
            assert time.monotonic() < deadline, "it did not end"
            time.sleep(0.1)
            self.run()

    def _link_buttons(self) -> list[Button]:
        """Links to the page that one is on: they rewrite its address."""
        return [button for button in self.test.button if str(button.key).startswith(("link_", "page_"))]

    def _send(self, element: Element, state: Mapping[str, Any]) -> None:
        states = self.test._tree.get_widget_states()
        states.widgets.append(WidgetState(id=element.proto.id, string_value=json.dumps(state)))
        self.test._run(states)

    def _keyed(self, kind: str, prefix: str) -> Element:
        found = (element for element in self.test.get(kind) if isinstance(element, Element))
        return next(element for element in found if str(element.key).startswith(prefix))


OpenApp = Callable[..., App]
"""What the fixture `open_app` gives: open_app(url, page, theme, **parameters of the address)."""


def unescaped(markdown: str) -> str:
    """Markdown whose punctuation was escaped, as the text that it shows."""
    return _ESCAPE.sub(r"\1", markdown).replace("\u2060", "")


def _is_filter(widget: Element | Block, name: str) -> bool:
    return re.fullmatch(rf"filter_{name}_\d+", str(getattr(widget, "key", ""))) is not None


def _words(block: Block) -> list[str]:
    said: list[str] = []
    for child in block.children.values():
        if isinstance(child, Block):
            said += _words(child)
        elif child.type == "page_link":
            said.append(unescaped(child.proto.label))
        else:
            given = (getattr(child, name, None) for name in ("label", "value"))
            said += [unescaped(words) for words in given if isinstance(words, str)]
    return [words for words in said if words]
