"""A click does what its person may do by then, and not what they might when the page was drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine, func, select, update
from streamlit.runtime.context import ContextProxy

from flasktrack.access.accounts import add_account
from flasktrack.access.members import add_member, change_roles
from flasktrack.access.roles import Role
from flasktrack.access.sessions import end_session, find_session, hash_token, start_session
from flasktrack.core.times import format_time, utc_now
from flasktrack.settings import LOCAL
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.schema import api_key, saved_filter, sign_in_session
from flasktrack.store.schema import export as export_table
from flasktrack.store.scope import machine_scope
from flasktrack.ui import make_export, signin, verify_now
from flasktrack.ui.door import SESSION_HEADER
from tests.ui.app import App, OpenApp

SMALL = "small-lab"
OPERATOR = machine_scope(SMALL)
TOKEN = hash_token("a token")
_MADE = (api_key, export_table, saved_filter)


@pytest.fixture
def engine(small_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database in which Anna is signed in, and may do everything; the app knows her by her session."""
    engine, now = open_engine(small_url), utc_now()
    for subject, name in (("user:anna", "Anna"), ("user:carl", "Carl")):
        add_member(engine, OPERATOR, subject, name, {Role.QA_LEAD, Role.ADMINISTRATOR}, reason="founds the lab")
    with writing(engine) as connection:
        add_account(connection, "anna", "Anna", "no password")
        start_session(connection, TOKEN, "anna", LOCAL, expires=now + timedelta(hours=1), now=now)
    monkeypatch.setenv("FLASKTRACK_SIGN_IN", LOCAL)
    monkeypatch.setattr(ContextProxy, "headers", property(lambda _: {SESSION_HEADER: TOKEN.hex()}))
    monkeypatch.setattr(make_export, "run_beside", lambda *_: None)
    yield engine
    engine.dispose()


def nothing(_: Engine) -> None: ...


def signed_out(engine: Engine) -> None:
    with writing(engine) as connection:
        end_session(connection, TOKEN)


def other_work(engine: Engine) -> None:
    change_roles(engine, OPERATOR, "user:anna", {Role.LAB_MANAGER}, reason="other work")


def export(app: App) -> None:
    app.click(next(label for label in app.buttons if label.startswith("Export ")))


def share_filter(app: App) -> None:
    app.test.text_input(key="saved_filter_name").set_value("All")
    app.test.checkbox(key="saved_filter_shared").set_value(True)
    app.click("Save")


def issue_key(app: App) -> None:
    form = f"issue_key_{SMALL}"
    app.test.text_input(key=f"{form}_name").set_value("LIMS")
    app.test.text_input(key=f"{form}_reason").set_value("SOP-12")
    app.test.checkbox(key=f"{form}_read").set_value(True)
    app.click("Issue the key")


@pytest.mark.parametrize("change", [nothing, signed_out, other_work])
@pytest.mark.parametrize(("page", "act"), [("exports", share_filter), ("exports", export), ("keys", issue_key)])
def test_who_is_out_or_has_lost_a_role_does_nothing_with_a_page_from_before(
    open_app: OpenApp, small_url: str, engine: Engine, page: str, act: Callable[[App], None],
    change: Callable[[Engine], None],
) -> None:  # fmt: skip
    app = open_app(small_url, page, org=SMALL)
    assert app.errors == []
    change(engine)
    act(app)
    with engine.connect() as connection:
        made = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in _MADE]
    assert sum(made) == (change is nothing)


class Unending:
    """A job that runs until it is cancelled."""

    share = checked = total = 0
    problem = None

    def __init__(self, *_: object, **__: object) -> None:
        self.cancelled = False

    @property
    def running(self) -> bool:
        return not self.cancelled

    def cancel(self) -> None:
        self.cancelled = True


@pytest.mark.parametrize("change", [nothing, signed_out, other_work])
def test_who_is_out_or_has_lost_a_role_cancels_no_verification(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, change: Callable[[Engine], None]
) -> None:
    job = Unending()
    monkeypatch.setattr(verify_now, "Job", lambda *_, **__: job)
    app = open_app(small_url, "integrity", org=SMALL)
    app.click("Verify now")
    change(engine)
    app.click("Cancel")
    assert job.cancelled == (change is nothing)
    job.cancel()


class MadeAnew(Exception):
    """In the place of what Streamlit raises for st.rerun."""


@pytest.mark.parametrize(("page", "begin"), [("exports", export), ("integrity", lambda app: app.click("Verify now"))])
def test_what_refreshes_by_itself_ends_with_the_session_and_does_not_keep_it_open(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, page: str,
    begin: Callable[[App], None],
) -> None:  # fmt: skip
    drawn: list[Callable[[], Any]] = []

    def fragment(draw: Callable[..., Any], run_every: float) -> Callable[..., Any]:
        def once(*arguments: Any) -> None:
            drawn.append(lambda: draw(*arguments))
            draw(*arguments)

        return once

    def rerun() -> None:
        raise MadeAnew

    job = Unending()
    monkeypatch.setattr(verify_now, "Job", lambda *_, **__: job)
    monkeypatch.setattr(st, "fragment", fragment)
    app = open_app(small_url, page, org=SMALL)
    begin(app)
    monkeypatch.setattr(st, "rerun", rerun)
    refresh, seen = drawn[-1], format_time(utc_now() - timedelta(minutes=9))
    with writing(engine) as connection:
        connection.execute(update(sign_in_session).values(seen_at=seen))
    if page == "integrity":
        refresh()
    with engine.connect() as connection:
        assert connection.execute(select(sign_in_session.c.seen_at)).scalar_one() == seen
    signed_out(engine)
    with pytest.raises(MadeAnew):
        refresh()
    job.cancel()


def test_a_run_looks_once_who_is_signed_in_and_each_run_anew(
    open_app: OpenApp, small_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bytes] = []

    def counted(engine: Engine, token_hash: bytes, *arguments: Any, **options: Any) -> Any:
        looks.append(token_hash)
        return find_session(engine, token_hash, *arguments, **options)

    monkeypatch.setattr(signin, "find_session", counted)
    app = open_app(small_url, "integrity", org=SMALL)
    assert app.headers == ["Integrity"]
    assert looks == [TOKEN]
    other_work(engine)
    app.run()
    assert "not open to you" in app.errors[0]
    signed_out(engine)
    app.run()
    assert looks == [TOKEN] * 3
    assert "You are not signed in, or not any more" in app.test.warning[0].value
    assert app.headers == []
