"""The address is read with suspicion, and links carry on what belongs to every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from flasktrack.ui.address import FILTER, SHARED
from tests.ui.app import OpenApp


def run(code: str, **params: str | list[str]) -> AppTest:
    """A page that writes into its session what `code` sets as `answer`."""
    lines = "\n".join(f"    {line}" for line in code.splitlines())
    script = (
        "import streamlit as st\nfrom flasktrack.ui import address\nanswer = None\n"
        f"try:\n{lines}\nexcept address.InvalidAddress as problem:\n    answer = str(problem)\n"
        "st.session_state['answer'] = answer\n"
    )
    test = AppTest.from_string(script, default_timeout=30)
    test.query_params.update(params)
    test.run()
    assert not test.exception
    return test


@pytest.mark.parametrize(
    ("given", "read"),
    [("1", 1), ("0042", 42), ("9" * 18, int("9" * 18)), ("", None)],
)
def test_a_position_is_read(given: str, read: int | None) -> None:
    assert run("answer = address.position('record')", record=given).session_state["answer"] == read


NO_POSITIONS = ["0", "-1", "+1", "1.0", "1e3", " 1", "\u0661", "\u00b2", "9" * 19, "0x10", "1_000", "null"]


@pytest.mark.parametrize("given", NO_POSITIONS)
def test_what_is_no_position_is_refused_by_name(given: str) -> None:
    said = run("answer = address.position('record')", record=given).session_state["answer"]
    assert "record" in said
    assert "no position" in said


def test_an_absent_parameter_is_none_and_has_no_values() -> None:
    test = run("answer = [address.value('x'), address.values('x'), address.position('x')]")
    assert test.session_state["answer"] == [None, [], None]


def test_a_choice_is_one_of_those_allowed() -> None:
    code = "answer = address.choice('role', ['a', 'b'], 'b')"
    assert run(code).session_state["answer"] == "b"
    assert run(code, role="a").session_state["answer"] == "a"
    assert "none of a, b" in run(code, role="c").session_state["answer"]


def test_writing_sets_lists_and_removes() -> None:
    test = run("address.write(a=1, b=['x', 'y'], c=None, d='', e=[], from_='2026-11-01')", c="1", d="1", e="1", f="1")
    assert test.query_params == {"a": "1", "b": ["x", "y"], "from": "2026-11-01", "f": "1"}


def test_a_reset_keeps_organization_and_role() -> None:
    assert run("address.reset()", org="o", role="r", text="t", record="5").query_params == {"org": "o", "role": "r"}


def test_links_carry_on_what_every_page_shares() -> None:
    test = run(
        "answer = address.shared(action=None, text='new', from_='2026-11-01')",
        org="o", action=["a", "b"], text="old", outcome=["denied", "failure"], record="5", run="r", foreign="x",
    )  # fmt: skip
    assert test.session_state["answer"] == {
        "org": ["o"], "outcome": ["denied", "failure"], "text": ["new"], "from": ["2026-11-01"],
    }  # fmt: skip


def test_every_parameter_of_a_filter_is_shared() -> None:
    assert set(FILTER) < set(SHARED)


def test_a_pages_own_parameters_end_with_it(open_app: OpenApp, lab_url: str) -> None:
    app = open_app(lab_url, "entities", find="S-26", action="delete", record="7", before="9")
    app.click_link("Records")
    assert app.params == {"action": ["delete"]}
