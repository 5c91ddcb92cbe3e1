"""What a fresh clone relies on: dependencies that are declared and pinned, and a server that keeps to this machine."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from streamlit import config

ROOT = Path(__file__).resolve().parent.parent
OWN = {"flasktrack", "pages", "app", "tests", "benchmarks", "examples"}
OPTIONS = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())


def requirements(file: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("-r ")]


def distributions(file: str) -> set[str]:
    return {normalized(re.split(r"[\[~=<>! ]", line)[0]) for line in requirements(file)}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(*folders: str) -> set[str]:
    """The distributions that the sources in these folders (or files) import."""
    files = [path for folder in folders for path in ([ROOT / folder], ROOT.glob(f"{folder}/**/*.py"))]
    modules: set[str] = set()
    for file in (path for group in files for path in group if path.is_file()):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    installed = packages_distributions()
    return {normalized(installed[module][0]) for module in modules - OWN - sys.stdlib_module_names}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_dependency_is_pinned_compatibly(file: str) -> None:
    assert [line for line in requirements(file) if not re.fullmatch(r"[\w.-]+(\[\w+\])?~=[\d.]+", line)] == []


OPTIONAL = {"distributed"}
"""What only one option needs, which says so where it is missing; developers have it, so that it is tested."""


def test_what_the_app_imports_is_in_requirements() -> None:
    needed = third_party("flasktrack", "pages", "app.py") - OPTIONAL
    assert needed - distributions("requirements.txt") == set()
    assert distributions("requirements-dev.txt") >= OPTIONAL


def test_what_tests_benchmarks_and_examples_import_is_in_either_file() -> None:
    declared = distributions("requirements.txt") | distributions("requirements-dev.txt")
    assert third_party("tests", "benchmarks", "examples") - declared == set()


def options(table: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in table.items():
        flat |= options(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def test_streamlit_knows_every_option() -> None:
    assert [name for name in options(OPTIONS) if name not in config.get_config_options()] == []


def test_app_keeps_to_this_machine_and_shows_no_internals() -> None:
    expected = {
        "server.address": "127.0.0.1",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "viewer",
        "runner.magicEnabled": False,
        "browser.gatherUsageStats": False,
    }
    assert expected.items() <= options(OPTIONS).items()
    assert "http" not in (ROOT / ".streamlit" / "config.toml").read_text()
