"""Whatever an address says, a page answers with a sentence: no parameter of any page makes it fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flasktrack.errors import InvalidFilter
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import HOME
from flasktrack.ui.address import FILTER, ORGANIZATION, ROLE
from flasktrack.ui.registry import PAGES
from tests.ui.app import App, OpenApp

READERS = ("value", "values", "position", "choice")
FAILED = "failed where it should not"  # what a page says of a fault of our own


def names_in_sources() -> Iterator[str]:
    """Every parameter that a page reads, from the calls of `address` with a name."""
    for path in (*HOME.glob("flasktrack/ui/*.py"), *HOME.glob("pages/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                owner = getattr(called.value, "id", "") if isinstance(called, ast.Attribute) else "address"
                if name in READERS and owner == "address":
                    yield str(node.args[0].value)


NAMES = sorted({*names_in_sources(), *FILTER, ORGANIZATION, ROLE})
VALUES = st.sampled_from(
    [
        "", " ", "0", "1", "-1", "5", "9" * 18, "9" * 40, "1e9", "NaN", "\u0661\u0662", "true", "null", "[]", "=1+1",
        "2026-02-30", "0000-00-00", "2026-11-24T05:06:07Z", "9999-12-31T23:59:59.999999Z", "-4000-01-01",
        "new-lab", "nobody", "NEW-LAB", "../../etc", "late_entry", "mon-fri:8-18", "mon:99",
        "user:u-17", "user:", ":", "sample:S-100", "a:b:c", "sample:" + "x" * 5000, "1-3", "3-1", "1,2,3",
        "1-" + "9" * 30, "'; DROP TABLE audit_record; --", "%s%n", "<script>alert(1)</script>", "[x](https://example.org)",
        "{{7*7}}", "\0", "\u202e\u200b", "\ufffd", "\U0001f9ea",
    ]
) | st.text(max_size=30)  # fmt: skip
PARAMS = st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=3)
sessions: dict[str, App] = {}


def test_the_parameters_are_found() -> None:
    assert {"record", "run", "view", "severity", "find", "actor", "seq", "org", "role"} <= set(NAMES)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(page=st.sampled_from(sorted(PAGES)), params=PARAMS)
def test_no_address_makes_a_page_fail(
    page: str, params: dict[str, list[str]], open_app: OpenApp, nasty_url: str
) -> None:
    if nasty_url not in sessions:
        sessions[nasty_url] = open_app(nasty_url)
    app = sessions[nasty_url]
    given_names = {f"{name}_" if name == "from" else name: value for name, value in params.items()}
    app.go(page, **given_names)
    assert not app.test.exception
    for said in app.errors:
        assert FAILED not in said
        assert said.rstrip(" *").endswith((".", "?"))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FILTER), st.lists(VALUES, max_size=4)))
def test_no_address_makes_the_filter_fail(params: dict[str, list[str]]) -> None:
    with suppress(InvalidFilter):
        chosen = RecordFilter.from_params(params, zone=ZoneInfo("Europe/Berlin"))
        assert RecordFilter.from_params(chosen.to_params()) == chosen
