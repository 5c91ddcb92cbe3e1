"""The rules of the house, checked from what the modules import.

1. Imports go down only: pages -> ui -> {insight, export, access, seal -> verify -> trust} -> store -> core, and core
   takes nothing from outside but the standard library, cryptography and orjson.
2. Streamlit only in app.py, pages/ and flasktrack/ui; Plotly only in flasktrack/ui.
3. No page lies directly in pages/, where Streamlit would serve it without app.py and its sign-in.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# One floor; its rooms may use each other, but not in a circle.
QUESTIONS = {"insight", "export", "seal", "verify", "trust", "access"}
COMMON = {"errors", "settings"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "core": {"errors"},
    "store": {"core", *COMMON},
    "capture": {"store", "core", *COMMON},
    "http_api": {"access", "capture", "export", "insight", "trust", "store", "core", *COMMON},
    "demo": {"verify", "store", "core", *COMMON},
    **{room: {*QUESTIONS, "store", "core", *COMMON} for room in QUESTIONS},
    "trust": {"store", "core", *COMMON},  # what a verification starts from, and a seal after it
    "verify": {"trust", "store", "core", *COMMON},
    "seal": {"verify", "trust", "store", "core", *COMMON},
    "ui": {*QUESTIONS, "capture", "store", "core", *COMMON},  # capture: what a request says of itself
    "cli": {
        *QUESTIONS,
        "cli_api_keys",
        "cli_chain",
        "cli_common",
        "cli_export",
        "cli_keys",
        "cli_members",
        "cli_package",
        "cli_serve",
        "cli_timestamp",
        "cli_triggers",
        "cli_users",
        "cli_witness",
        "capture",
        "demo",
        "store",
        "core",
        *COMMON,
    },
    "cli_api_keys": {"cli_common", "access", "store", "core", *COMMON},
    "cli_chain": {"cli_common", *QUESTIONS, "store", "core", *COMMON},
    "cli_export": {"cli_chain", "cli_common", *QUESTIONS, "store", "core", *COMMON},
    "cli_package": {"cli_common", "cli_files", "export", "errors"},
    "cli_members": {"cli_common", "access", "store", "core", *COMMON},
    "cli_keys": {"cli_common", "trust", "store", "core", *COMMON},
    "cli_serve": {"cli_common", "http_api", "capture", "errors"},
    "cli_users": {"cli_common", "access", "store", "core", *COMMON},
    "cli_witness": {"cli_common", "cli_files", *QUESTIONS, "store", "core", *COMMON},
    "cli_timestamp": {"cli_common", "cli_files", *QUESTIONS, "store", "core", *COMMON},
    "cli_triggers": {"cli_common", "capture", *QUESTIONS, "store", "core", *COMMON},
    "cli_files": {"errors"},
    "cli_common": {"access", "store", "core", *COMMON},
    "__main__": {"cli"},
    "pages": {"ui", *QUESTIONS, "store", "core", *COMMON},
    "app": {"ui", *QUESTIONS, "demo", "store", "core", *COMMON},
}
OUTSIDE_CORE = {"cryptography", "orjson"}
WITH_STREAMLIT = {"ui", "pages", "app"}
WITH_PLOTLY = {"ui"}


def room_of(path: Path) -> str:
    """The room that a file stands in: a package or module of flasktrack, `pages`, or `app`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "flasktrack" else parts[0]


def imports(source: str) -> Iterator[str]:
    """Every module that a source imports, wherever in it: `from flasktrack import x` is flasktrack.x."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "a relative import, which hides its room"
            elif node.module == "flasktrack":
                yield from (f"flasktrack.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def violations(room: str, source: str) -> list[str]:
    """The imports that a source in this room may not have."""
    return [module for module in imports(source) if not _allowed(room, module)]


def _allowed(room: str, module: str) -> bool:
    top, _, rest = module.partition(".")
    if " " in module:
        return False
    if top == "flasktrack":
        target = rest.partition(".")[0]
        return target in ("", room) or target in MAY_IMPORT[room]
    if top in ("pages", "app", "tests", "benchmarks"):
        return False
    if top == "streamlit":
        return room in WITH_STREAMLIT
    if top == "plotly":
        return room in WITH_PLOTLY
    return room != "core" or top in OUTSIDE_CORE or top in sys.stdlib_module_names


def sources() -> list[Path]:
    return [*sorted(ROOT.glob("flasktrack/**/*.py")), *sorted(ROOT.glob("pages/**/*.py")), *ROOT.glob("app.py")]


def test_there_are_modules_to_check() -> None:
    assert {"core", "store"} <= {room_of(path) for path in sources()}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    if path == ROOT / "flasktrack" / "__init__.py":
        assert not list(imports(path.read_text()))
        return
    room = room_of(path)
    assert room in MAY_IMPORT, f"{path.name} stands in a room that the house doesn't have"
    assert violations(room, path.read_text()) == []


def test_rooms_on_one_floor_do_not_import_each_other_in_a_circle() -> None:
    neighbours: dict[str, set[str]] = {room: set() for room in QUESTIONS}
    for path in sources():
        room = room_of(path)
        if room in QUESTIONS:
            targets = {module.split(".")[1] for module in imports(path.read_text()) if module.startswith("flasktrack.")}
            neighbours[room] |= (targets & QUESTIONS) - {room}
    try:
        TopologicalSorter(neighbours).prepare()
    except CycleError as circle:
        pytest.fail(f"these rooms import each other in a circle: {' -> '.join(circle.args[1])}")


def test_no_page_lies_directly_in_pages() -> None:
    assert [path.name for path in ROOT.glob("pages/*.py")] == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import numpy"),
        ("core", "from flasktrack.store import engine"),
        ("core", "from flasktrack.settings import Settings"),
        ("store", "from flasktrack.verify.runner import verify"),
        ("store", "from flasktrack import insight"),
        ("insight", "import streamlit as st"),
        ("insight", "def late():\n    from streamlit import cache_data"),
        ("export", "import plotly.express"),
        ("pages", "import plotly.graph_objects as go"),
        ("verify", "from flasktrack.ui.table import draw"),
        ("ui", "import pages.activity.overview"),
        ("ui", "from flasktrack.cli import main"),
        ("capture", "from flasktrack.verify import runner"),
        ("trust", "from flasktrack.verify import runner"),
        ("verify", "from flasktrack.seal import sealing"),
        ("cli", "from flasktrack.ui import table"),
        ("core", "from . import store"),
    ],
)
def test_forbidden_imports_are_seen(room: str, source: str) -> None:
    assert len(violations(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "import hashlib, orjson\nfrom cryptography.hazmat.primitives import hashes"),
        ("core", "from flasktrack.errors import FlaskTrackError\nfrom flasktrack.core.body import encode_body"),
        ("export", "from flasktrack.insight.filter import RecordFilter"),
        ("pages", "import streamlit as st\nfrom flasktrack.ui import table"),
        ("ui", "import plotly.graph_objects as go"),
    ],
)
def test_imports_that_go_down_are_let_through(room: str, source: str) -> None:
    assert violations(room, source) == []
