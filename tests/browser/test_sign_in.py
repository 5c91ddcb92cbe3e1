"""People sign in and out in a real browser: by an account of this deployment, and at an identity provider."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, select
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from benchmarks.app import free_port, running_app
from flasktrack.access.accounts import add_account
from flasktrack.access.members import add_member, remove_member
from flasktrack.access.passwords import hash_password
from flasktrack.access.roles import Role
from flasktrack.store.engine import open_engine, writing
from flasktrack.store.schema import audit_record
from flasktrack.store.scope import machine_scope
from tests.browser.app import MILLISECONDS, open_page, settle
from tests.identity_provider import CLIENT, SECRET, running_provider
from tests.store.samples import NORTHWIND, event, organizations, record

GIVEN, OWN = "a few words will do", "quite another lot of words"
ADMINISTRATOR = machine_scope(NORTHWIND)


@pytest.fixture
def lab(made_sqlite_file: Path, tmp_path: Path) -> Iterator[Engine]:
    """A database with an organization of five records, and Carl, who administrates it."""
    shutil.copyfile(made_sqlite_file, tmp_path / "lab.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'lab.db'}")
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 6)))
    add_member(engine, ADMINISTRATOR, "user:carl", "Carl", {Role.ADMINISTRATOR}, reason="The first one")
    yield engine
    engine.dispose()


def acts(engine: Engine, person: str) -> list[str]:
    """What is on record of a person's sessions, in order."""
    of_sessions = audit_record.c.entity_type == "session", audit_record.c.entity_id == person
    with engine.connect() as connection:
        return list(connection.scalars(select(audit_record.c.action).where(*of_sessions).order_by(audit_record.c.seq)))


def sign_out(page: Page) -> None:
    settle(page)  # what the page before drew may still stand beside it
    page.get_by_test_id("stSidebar").get_by_role("button", name="Sign out").click()


def is_drawn(page: Page, who: str) -> None:
    """The page of records, for somebody who is signed in."""
    page.wait_for_selector('[data-testid="stSidebarContent"]', timeout=MILLISECONDS)
    settle(page)
    expect(page.get_by_test_id("stSidebar").get_by_text(f"Signed in as {who}")).to_be_visible(timeout=MILLISECONDS)
    expect(page.get_by_role("heading", name="Records", exact=True)).to_be_visible(timeout=MILLISECONDS)


def test_somebody_signs_in_with_a_password_of_their_own(lab: Engine, page: Page) -> None:
    with writing(lab) as connection:
        add_account(connection, "anna", "Anna Berg", hash_password(GIVEN), temporary=True)
    add_member(lab, ADMINISTRATOR, "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="Head of QA")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        "FLASKTRACK_DATABASE_URL": str(lab.url), "FLASKTRACK_SIGN_IN": "local", "FLASKTRACK_URL": address,
    }  # fmt: skip
    with running_app(environment, port) as app:
        # A fresh server, on which nobody has opened app.py yet: no web socket runs a page.
        stream = f"ws://127.0.0.1:{port}/_stcore/stream"
        with connect(stream, subprotocols=[Subprotocol("streamlit"), Subprotocol("x")], origin=Origin(address)) as raw:
            message = ForwardMsg()
            message.ParseFromString(raw.recv(timeout=20, decode=False))
            assert message.auth_redirect.url == "/sign-in"
            with pytest.raises(Exception, match="1000"):
                raw.recv(timeout=20)
        page.goto(f"{address}/records?org={NORTHWIND}")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("Anna")
        page.keyboard.press("Tab")
        page.keyboard.type(GIVEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("choose one that nobody else knows")
        for label, text in (("Present password", GIVEN), ("New password", OWN), ("New password again", OWN)):
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Change and sign in").click()
        is_drawn(page, "Anna Berg")
        assert page.url == f"{address}/records?org={NORTHWIND}"
        page.reload()
        is_drawn(page, "Anna Berg")
        with page.context.new_page() as other:
            open_page(other, f"{address}/records")
            sign_out(page)
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=MILLISECONDS)
            other.get_by_test_id("stSidebar").get_by_role("link", name="Actors").click()
            expect(other.get_by_role("heading", name="Sign in")).to_be_visible(timeout=MILLISECONDS)
            assert other.url.endswith("/sign-in?next=/actors")
        assert acts(lab, "anna") == ["change_password", "sign_in", "sign_out"]
        assert OWN not in app.log.read_text()


def test_somebody_signs_in_at_an_identity_provider_and_is_out_when_removed(
    lab: Engine, page: Page, tmp_path: Path
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running_provider() as provider:
        provider.claims["groups"] = ["quality"]
        secrets = tmp_path / "secrets.toml"
        secrets.write_text(
            f"""
            [auth]
            redirect_uri = "{address}/oauth2callback"
            cookie_secret = "{"c" * 64}"
            client_id = "{CLIENT}"
            client_secret = "{SECRET}"
            server_metadata_url = "{provider.issuer}/.well-known/openid-configuration"
            [flasktrack]
            role_claim = "groups"
            [flasktrack.roles]
            quality = ["{NORTHWIND}:qa-lead"]
            """
        )
        environment = {
            "FLASKTRACK_DATABASE_URL": str(lab.url), "FLASKTRACK_SIGN_IN": "oidc", "FLASKTRACK_URL": address,
            "STREAMLIT_SECRETS_FILES": str(secrets),
        }  # fmt: skip
        with running_app(environment, port):
            page.goto(f"{address}/records?org={NORTHWIND}")
            page.get_by_role("link", name="Sign in").click()
            is_drawn(page, "Anna Berg")
            assert page.url == f"{address}/records?org={NORTHWIND}"
            kept = page.context.cookies()
            remove_member(lab, ADMINISTRATOR, "user:auth0|7", reason="Left the lab")
            page.get_by_test_id("stSidebar").get_by_role("link", name="Actors").click()
            expect(page.get_by_text("belong to no organization here")).to_be_visible(timeout=MILLISECONDS)
            sign_out(page)
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=MILLISECONDS)
            assert provider.signed_out == 1
            page.context.add_cookies(kept)  # type: ignore[arg-type]  # what somebody has copied before
            page.goto(f"{address}/records?org={NORTHWIND}")
            expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        assert provider.refused == []
    assert acts(lab, "auth0|7") == ["sign_in"]  # the sign-out is in no chain: they belonged to no organization then
