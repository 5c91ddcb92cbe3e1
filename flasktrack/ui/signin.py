"""Who is signed in, asked anew at every run of a page; and signing out.

The door has looked at the request that the web socket began with, and says under which session it was let in. Whether
that session is open still is asked here: who was signed out elsewhere, disabled, or idle for too long is out at the
next click.
"""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import streamlit as st
from sqlalchemy import Engine
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

from flasktrack.access.members import principal_for
from flasktrack.access.principal import Principal
from flasktrack.access.sessions import Session, find_session, note_use
from flasktrack.access.sign_in import sign_out as end_session
from flasktrack.core.times import utc_now
from flasktrack.errors import NotPermitted
from flasktrack.settings import DEMO, LOCAL, OIDC, PROXY, Settings
from flasktrack.ui.door import ADDRESS_HEADER, NEXT, SESSION_HEADER, SIGN_IN, safe_next
from flasktrack.ui.entrance import base_path
from flasktrack.ui.text import literal

_OWNER = "signed_in_as"


def is_demo() -> bool:
    """Whether nobody signs in here: whoever is at this machine chooses an organization and a role."""
    return Settings.from_environment().sign_in == DEMO


def current_session(engine: Engine, *, used: bool = True) -> Session | None:
    """The session that this run belongs to; None where nobody is signed in, or not any more. Raises DatabaseError.

    It is `used` where somebody does something; what a page does by itself keeps no session from ending unused.
    """
    settings, now = Settings.from_environment(), utc_now()
    try:
        token_hash = bytes.fromhex(st.context.headers.get(SESSION_HEADER) or "")
    except ValueError:
        return None
    if not token_hash or settings.sign_in == DEMO:
        return None
    session = find_session(engine, token_hash, settings.sign_in, idle=settings.session_idle, now=now)
    # What Streamlit remembers for a tab belongs to whom it began for.
    if session is None or st.session_state.setdefault(_OWNER, session.subject) != session.subject:
        return None
    if used:
        note_use(engine, session, now=now)
    return session


def current_principal(engine: Engine) -> Principal:
    """Who is signed in, with their roles by the database now; anybody else is asked to sign in.

    Raises NotPermitted for somebody who belongs to no organization.
    """
    session = current_session(engine)
    if session is None:
        ask_to_sign_in()
    principal = principal_for(engine, session.subject, session.way, request_context())
    if principal is None:
        with st.sidebar:
            draw_account(engine, session.name, session.subject, session.way)
        raise NotPermitted(
            f"You are signed in as {session.name} ({session.subject}), and belong to no organization here.",
            "Ask an administrator to make you a member, then reload this page.",
        )
    return principal


def draw_account(engine: Engine, name: str, subject: str, way: str) -> None:
    """Draw who is signed in, and the way out."""
    with st.container(border=True, gap="small"):
        st.markdown(f"Signed in as **{literal(name)}**", help=literal(subject))
        if way != PROXY and st.button("Sign out", icon=":material/logout:", width="stretch"):
            session = current_session(engine)
            if session is None:
                ask_to_sign_in()
            sign_out(engine, session)
        if way == LOCAL:
            st.caption(f"[Change your password]({base_path()}{SIGN_IN}/password)")


def request_context() -> dict[str, Any]:
    """What records of an act say of the request that it came by: address and user agent."""
    headers = st.context.headers
    told = {"ip": headers.get(ADDRESS_HEADER), "user_agent": (headers.get("User-Agent") or "")[:512]}
    return {name: value for name, value in told.items() if value}


def ask_to_sign_in() -> NoReturn:
    """Send the browser to the sign-in, and from there back to this address; end the run."""
    path, query = (
        urlsplit(st.context.url or "").path,
        urlencode({name: st.query_params.get_all(name) for name in st.query_params}, doseq=True),
    )
    wanted = safe_next(f"{path}?{query}" if query else path)
    address = f"{base_path()}{SIGN_IN}{f'?{NEXT}={quote(wanted)}' if wanted and wanted != '/' else ''}"
    st.session_state.clear()
    st.warning(f"You are not signed in, or not any more. [Sign in]({address})", icon=":material/lock:")
    _go(address)
    st.stop()


def sign_out(engine: Engine, session: Session) -> NoReturn:
    """End the session, on record, and leave; end the run."""
    end_session(engine, session, request_context())
    st.session_state.clear()
    if session.way == OIDC:
        st.logout()  # at the identity provider, too, where it has an address for that
    else:
        _go(f"{base_path()}{SIGN_IN}")
    st.stop()


def _go(address: str) -> None:
    """Let the browser go to another address, as Streamlit does for st.login."""
    running = get_script_run_ctx()
    if running is not None:
        message = ForwardMsg()
        message.auth_redirect.url = address
        running.enqueue(message)
