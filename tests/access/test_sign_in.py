"""Signing in: who is told what, what is on record, and that no secret is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import Connection, Engine, Row, event, select, text, update

from flasktrack.access import accounts, passwords, sign_in
from flasktrack.access.claims import ClaimRules
from flasktrack.access.lockout import forgive
from flasktrack.access.members import add_member, principal_for
from flasktrack.access.passwords import hash_password
from flasktrack.access.roles import Role
from flasktrack.access.sessions import Session, find_session, hash_token
from flasktrack.access.sign_in import Answer, Visit, change_password, note_failure, oidc_sign_in, proxy_sign_in
from flasktrack.errors import ClaimRefused, PasswordRefused
from flasktrack.settings import Settings
from flasktrack.store.engine import writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.schema import audit_payload, audit_record, sign_in_session
from flasktrack.store.scope import machine_scope

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LAB, OTHER = "northwind-labs", "cascade-assays"
PASSWORD, NEW = "a few words will do", "quite another lot of words"
SETTINGS = Settings(sign_in="local", url="https://audit.example.org")
VISIT = Visit("203.0.113.7", None, {"ip": "203.0.113.7", "method": "POST", "path": "/sign-in"}, NOON)

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """Two organizations; Anna, who belongs to the first."""
    with writing(engine) as connection:
        for organization in (LAB, OTHER):
            create_organization(connection, organization)
        accounts.add_account(connection, "anna", "Anna Berg", hash_password(PASSWORD))
    add_member(engine, machine_scope(LAB), "user:anna", "Anna Berg", {Role.QA_LEAD}, reason="Head of QA")
    return engine


def acts(engine: Engine, organization: str = LAB) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Who did what, how it ended and in which context: of records about sessions."""
    return [
        (f"{row.actor_type}:{row.actor_id}", row.action, row.outcome, orjson.loads(row.context or "null"))
        for row in recorded(engine, organization, "session")
    ]


def recorded(engine: Engine, organization: str, entity_type: str) -> Sequence[Row[Any]]:
    record, payload = audit_record.c, audit_payload.c
    here = (payload.organization_id == record.organization_id) & (payload.seq == record.seq)
    wanted = record.organization_id == organization, record.entity_type == entity_type
    with engine.connect() as connection:
        return connection.execute(
            select(audit_record, payload.context).join(audit_payload, here).where(*wanted).order_by(record.seq)
        ).all()


def later(visit: Visit, **passed: float) -> Visit:
    return replace(visit, now=visit.now + timedelta(**passed))


def opened(engine: Engine, token: str | None, now: datetime = NOON) -> Session | None:
    return find_session(engine, hash_token(token or ""), "local", idle=SETTINGS.session_idle, now=now)


def test_the_right_password_begins_a_session_that_is_on_record(lab: Engine) -> None:
    attempt = sign_in.sign_in(lab, SETTINGS, VISIT, " Anna ", PASSWORD)
    assert attempt.answer is Answer.SIGNED_IN
    session = opened(lab, attempt.token)
    assert session is not None
    assert session.subject == "user:anna"
    sign_in.sign_out(lab, session, {"ip": "203.0.113.7"})
    assert opened(lab, attempt.token) is None
    sign_in.sign_out(lab, session, {})  # once is enough
    assert acts(lab) == [
        ("user:anna", "sign_in", "success", {**VISIT.context, "sign_in": "local"}),
        ("user:anna", "sign_out", "success", {"ip": "203.0.113.7"}),
    ]
    assert acts(lab, OTHER) == []


def test_no_password_token_or_cookie_is_kept_anywhere(lab: Engine) -> None:
    visit = replace(VISIT, browser="browser-token")
    attempt = sign_in.sign_in(lab, SETTINGS, visit, "anna", PASSWORD)
    change_password(lab, SETTINGS, later(visit, seconds=1), "anna", PASSWORD, NEW)
    note_failure(lab, visit, sign_in.sign_in(lab, SETTINGS, visit, "anna", "secret mistyped"))
    sign_in.sign_in(lab, SETTINGS, visit, "secret in the wrong field", "x")
    with lab.connect() as connection:
        tables = ("account", "sign_in_session", "known_browser", "sign_in_attempts", "audit_record", "audit_payload")
        kept = repr([connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
    for secret in (PASSWORD, NEW, "secret mistyped", "wrong field", "browser-token", str(attempt.token)):
        assert secret not in kept
        assert secret not in repr((attempt, visit))


def test_nothing_tells_an_unknown_name_from_a_wrong_password(lab: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    work: list[str] = []

    class Counted:
        """Argon2id, as it is asked for."""

        @staticmethod
        def verify_phc_encoded(password: bytes, kept: str) -> None:
            work.append(kept.rpartition("$")[0].rpartition("$")[0])
            Argon2id.verify_phc_encoded(password, kept)

    passwords.check_password("warm", None)  # makes what unknown names are compared with
    monkeypatch.setattr(passwords, "Argon2id", Counted)
    done = []
    for name in ("anna", "nobody"):
        with statements(lab) as made:
            attempt = sign_in.sign_in(lab, SETTINGS, VISIT, name, "a wrong password")
        done.append((attempt.answer, attempt.wait, made, work.copy()))
        work.clear()
    assert done[0] == done[1]
    assert done[0][0] is Answer.WRONG
    assert len(done[0][3]) == 1
    for _ in range(4):
        assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", "x").answer is Answer.WRONG
        assert sign_in.sign_in(lab, SETTINGS, VISIT, "nobody", "x").answer is Answer.WRONG
    waits = {sign_in.sign_in(lab, SETTINGS, VISIT, name, PASSWORD).wait for name in ("anna", "nobody")}
    assert len(waits) == 1
    assert waits != {timedelta()}


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    made: list[str] = []

    def note(_: Connection, __: Any, statement: str, *___: Any) -> None:
        made.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield made
    event.remove(engine, "before_cursor_execute", note)


def test_failures_of_a_member_are_gathered_and_those_of_nobody_are_nowhere(lab: Engine) -> None:
    for _ in range(8):
        for name in ("anna", "nobody"):
            note_failure(lab, VISIT, sign_in.sign_in(lab, SETTINGS, VISIT, name, "wrong"))
    told = {**VISIT.context, "failed_attempts": 1}
    assert acts(lab) == [("user:anna", "sign_in", "failure", told)] * 5  # enough to be seen as a series
    visit = later(VISIT, minutes=12)
    note_failure(lab, visit, sign_in.sign_in(lab, SETTINGS, visit, "anna", "wrong"))
    note_failure(lab, visit, sign_in.sign_in(lab, SETTINGS, visit, "anna", "wrong"))
    assert acts(lab)[5:] == [("user:anna", "sign_in", "failure", {**told, "failed_attempts": 4})]
    sign_in.sign_in(lab, SETTINGS, later(VISIT, minutes=80), "anna", PASSWORD)
    told = {**VISIT.context, "sign_in": "local", "failed_attempts": 1}
    assert acts(lab)[6:] == [("user:anna", "sign_in", "success", told)]
    assert acts(lab, OTHER) == []


def test_a_known_browser_is_let_in_while_strangers_wait(lab: Engine) -> None:
    mine = sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD)
    while sign_in.sign_in(lab, SETTINGS, VISIT, "anna", "guess").answer is not Answer.WAIT:
        pass
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).answer is Answer.WAIT
    known = replace(VISIT, browser=mine.browser)
    assert sign_in.sign_in(lab, SETTINGS, known, "anna", PASSWORD).answer is Answer.SIGNED_IN
    with writing(lab) as connection:
        forgive(connection, "anna")
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).answer is Answer.SIGNED_IN


def test_a_temporary_password_opens_nothing_but_the_way_to_ones_own(lab: Engine) -> None:
    with writing(lab) as connection:
        accounts.set_password(connection, "anna", hash_password(PASSWORD), temporary=True)
    attempt = sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD)
    assert (attempt.answer, attempt.token) == (Answer.TEMPORARY, None)
    for new in (PASSWORD, "short", "anna berg anna berg"):
        with pytest.raises(PasswordRefused):
            change_password(lab, SETTINGS, VISIT, "anna", PASSWORD, new)
    assert change_password(lab, SETTINGS, VISIT, "anna", "wrong", NEW).answer is Answer.WRONG
    attempt = change_password(lab, SETTINGS, VISIT, "anna", PASSWORD, NEW)
    assert opened(lab, attempt.token) is not None
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).answer is Answer.WRONG
    again = change_password(lab, SETTINGS, VISIT, "anna", NEW, PASSWORD)
    assert opened(lab, attempt.token) is None  # what the former password had opened
    assert opened(lab, again.token) is not None
    assert [act[1] for act in acts(lab)] == ["change_password", "sign_in"] * 2


def test_a_disabled_account_is_told_so_by_the_right_password_alone(lab: Engine) -> None:
    token = sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).token
    with writing(lab) as connection:
        accounts.disable(connection, "anna")
    assert opened(lab, token) is None
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", "wrong").answer is Answer.WRONG
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).answer is Answer.DISABLED
    with pytest.raises(ClaimRefused, match="disabled"):
        proxy_sign_in(lab, SETTINGS, VISIT, "anna")


def test_names_that_no_database_holds_are_nobodys(lab: Engine) -> None:
    for name in ("", "an\0na", "\ud800", "x" * 5000, "anna'--"):
        assert sign_in.sign_in(lab, SETTINGS, VISIT, name, "a\0\ud800").answer in (Answer.WRONG, Answer.WAIT)


def test_the_people_of_an_altered_chain_get_in(lab: Engine) -> None:
    with writing(lab) as connection:
        create_organization(connection, "third-lab")
    add_member(lab, machine_scope("third-lab"), "user:anna", "Anna", {Role.LAB_MANAGER}, reason="Helps out")
    with writing(lab) as connection:
        connection.execute(text("UPDATE chain_head SET size = 7 WHERE organization_id = :id"), {"id": LAB})
    assert sign_in.sign_in(lab, SETTINGS, VISIT, "anna", PASSWORD).answer is Answer.SIGNED_IN
    assert (len(acts(lab)), len(acts(lab, "third-lab"))) == (0, 1)


# Identity providers and proxies

RULES = ClaimRules.from_secrets(
    {"role_claim": "groups", "roles": {"qa": [f"{LAB}:qa-lead"], "boss": f"{LAB}:administrator"}}
)
CLAIMS = {
    "sub": "auth0|7",
    "name": "Berta Berg",
    "iat": NOON.timestamp(),
    "exp": NOON.timestamp() + 3600,
    "groups": ["qa"],
}


def provided(engine: Engine, visit: Visit = VISIT, **claims: Any) -> Session | None:
    return oidc_sign_in(engine, SETTINGS, visit, RULES.read(CLAIMS | claims, visit.now))


def roles(engine: Engine, subject: str = "user:auth0|7") -> set[Role]:
    person = principal_for(engine, subject, "test")
    return set() if person is None else set(person.memberships.get(LAB, ()))


def test_a_provider_signs_in_once_until_its_token_expires_or_the_session_ends(lab: Engine) -> None:
    session = provided(lab)
    assert session is not None
    assert (session.subject, session.name, session.way) == ("user:auth0|7", "Berta Berg", "oidc")
    assert provided(lab, later(VISIT, minutes=20)) == session
    assert provided(lab, later(VISIT, minutes=31)) is None  # idle for too long, and the same word begins no other
    again = provided(lab, nonce="2", iat=NOON.timestamp() + 1)
    assert again is not None
    sign_in.sign_out(lab, again, {})
    assert provided(lab, nonce="2", iat=NOON.timestamp() + 1) is None
    assert provided(lab, later(VISIT, minutes=11), nonce="3") is None  # a cookie that was put aside unused
    with pytest.raises(ClaimRefused, match="time is over"):
        provided(lab, later(VISIT, hours=1))
    assert [act[1:3] for act in acts(lab)] == [("sign_in", "success"), ("sign_in", "success"), ("sign_out", "success")]


def test_roles_follow_the_claims_at_the_sign_in_and_each_change_is_on_record(lab: Engine) -> None:
    provided(lab, nonce="1")
    assert roles(lab) == {Role.QA_LEAD}
    provided(lab, nonce="2", groups=["qa", "boss", "tennis"])
    assert roles(lab) == {Role.QA_LEAD, Role.ADMINISTRATOR}
    session = provided(lab, nonce="3", groups=[])  # the last administrator stays
    assert roles(lab) == {Role.QA_LEAD, Role.ADMINISTRATOR}
    add_member(lab, machine_scope(LAB), "user:carl", "Carl", {Role.ADMINISTRATOR}, reason="Second administrator")
    provided(lab, nonce="4", groups=None)
    assert roles(lab) == set()
    assert session is not None
    assert roles(lab, "user:anna") == {Role.QA_LEAD}
    told = [row for row in recorded(lab, LAB, "member") if row.entity_id == "user:auth0|7"]
    assert [(row.action, row.actor_type, row.actor_id) for row in told] == [
        (action, "system", "sign-in") for action in ("create", "update", "delete")
    ]


def test_a_session_that_has_ended_gives_no_roles_back(lab: Engine) -> None:
    session = provided(lab)
    assert session is not None
    sign_in.sign_out(lab, session, {})
    provided(lab, nonce="2", groups=[])
    assert provided(lab) is None
    assert roles(lab) == set()


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"sub": None}, "no sub"),
        ({"sub": ["x"]}, "no sub"),
        ({"sub": "a b"}, "can't be used"),
        ({"sub": "x" * 256}, "can't be used"),
        ({"sub": "demo-qa-lead"}, "can't be used"),
        ({"exp": None}, "no exp"),
        ({"exp": True}, "no exp"),
        ({"exp": 1e300}, "no exp"),
        ({"iat": "now"}, "no iat"),
    ],
)
def test_claims_that_say_too_little_sign_nobody_in(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(ClaimRefused, match=says):
        RULES.read(CLAIMS | claims, NOON)


def test_an_address_counts_where_the_provider_has_verified_it() -> None:
    rules = ClaimRules.from_secrets({"user_claim": "email"})
    for verified in (None, False, "true"):
        with pytest.raises(ClaimRefused, match="verified"):
            rules.read(CLAIMS | {"email": "anna@example.org", "email_verified": verified}, NOON)
    said = rules.read(CLAIMS | {"email": "Anna@Example.org", "email_verified": True}, NOON)
    assert (said.id, said.roles) == ("anna@example.org", {})
    assert ClaimRules(role_claim="realm_access.roles", roles=RULES.roles).read(
        CLAIMS | {"realm_access": {"roles": ["qa"]}}, NOON
    ).roles == {LAB: {Role.QA_LEAD}}


def test_a_proxy_has_one_session_for_a_person_however_many_ask_at_once(lab: Engine) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: proxy_sign_in(lab, SETTINGS, VISIT, "anna"), range(6)))
    assert len({session.token_hash for session in found if session is not None}) == 1
    assert [act[1:3] for act in acts(lab)] == [("sign_in", "success")]
    with writing(lab) as connection:
        accounts.end_sessions(connection, "anna")
    assert proxy_sign_in(lab, SETTINGS, later(VISIT, seconds=1), "anna") not in (None, found[0])
    with writing(lab) as connection:
        connection.execute(update(sign_in_session).values(ended_at=None))
        assert len(connection.scalars(select(sign_in_session.c.way)).all()) == 2
