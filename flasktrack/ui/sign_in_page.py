"""The page at which people sign in: a plain form of ours, outside of Streamlit, so that nothing runs before it.

    GET  /sign-in             the form, or a link to the identity provider
    POST /sign-in             name and password; the answer sets the session's cookie
    GET  /sign-in/password    the form for another password, also where the one that somebody was given is temporary
    POST /sign-in/password
    GET  /sign-in/provider    on to the identity provider, as st.login does

The session's cookie is HttpOnly (no script reads it), SameSite=Lax (no other site's form or web socket carries it, a
link to a page does), and Secure with the prefix __Host- wherever the app is reached by TLS; it ends with the browser,
and its session on the server long before. A form is taken from this origin alone, with the token that it was given out
with, which a second cookie holds (SameSite=Strict): nobody can be signed in by another site either.
"""

from __future__ import annotations

import hmac
import logging
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from html import escape
from math import ceil
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, quote

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit.user_info import generate_login_redirect_url

from flasktrack.access.accounts import count_accounts
from flasktrack.access.passwords import LONGEST, SHORTEST
from flasktrack.access.sessions import BROWSER_KNOWN, new_token
from flasktrack.access.sign_in import Answer, Attempt, change_password, note_failure, sign_in
from flasktrack.errors import ClaimRefused, FlaskTrackError, PasswordRefused, SignInBusy
from flasktrack.settings import LOCAL, OIDC
from flasktrack.ui.door import NEXT, SIGN_IN, find_visitor, safe_next, visit_of
from flasktrack.ui.entrance import Entrance

PASSWORD, PROVIDER = f"{SIGN_IN}/password", f"{SIGN_IN}/provider"
FORM, BROWSER = "form", "browser"
_LONGEST_FORM = 16 * 1024  # bytes; names and passwords are far shorter
_LONGEST_FIELD = 1024
_HERE = Path(__file__).parent
_PAGE = Template((_HERE / "sign_in.html").read_text(encoding="utf-8"))
_STYLE = (_HERE / "sign_in.css").read_text(encoding="utf-8")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # and no less: without a referrer, browsers send forms without an origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAID = {
    Answer.WRONG: "Name or password is wrong.",
    Answer.DISABLED: "This account is disabled. Ask an administrator of FlaskTrack.",
}
_TEMPORARY = "The password that you were given is good for this alone: choose one that nobody else knows."
_log = logging.getLogger(__name__)

Form = Mapping[str, str]


class _Refused(Exception):
    """A form that was not ours, or can't be read."""


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The routes of one entrance. `engine` gives the database."""

    entrance: Entrance
    engine: Callable[[], Engine]

    def routes(self) -> list[BaseRoute]:
        """The routes, for Streamlit's server to serve beside its own."""
        base, way = self.entrance.base, self.entrance.settings.sign_in
        if way == LOCAL:
            return [
                Route(f"{base}{SIGN_IN}", self._sign_in, methods=["GET", "POST"]),
                Route(f"{base}{PASSWORD}", self._password, methods=["GET", "POST"]),
            ]
        if way == OIDC:
            return [
                Route(f"{base}{SIGN_IN}", self._provider_page, methods=["GET"]),
                Route(f"{base}{PROVIDER}", self._to_provider, methods=["GET"]),
            ]
        return [Route(f"{base}{SIGN_IN}", self._go_on, methods=["GET"])]

    async def _sign_in(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._answered(request, self._form, self._try_password)
        if await self._is_signed_in(request):
            return await self._go_on(request)
        told = ""
        if not await run_in_threadpool(self._has_accounts):
            told = _note("There are no accounts yet. On the server: <code>python -m flasktrack users add ID</code>")
        return self._form(request, {}, told)

    async def _password(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._answered(request, self._password_form, self._try_new_password)
        return self._password_form(request, {}, "")

    async def _go_on(self, request: Request) -> Response:
        return RedirectResponse(self._wanted(request.query_params.get(NEXT)), 303)

    async def _provider_page(self, request: Request) -> Response:
        told = ""
        try:
            if await run_in_threadpool(find_visitor, self.entrance, self.engine, request) is not None:
                return await self._go_on(request)
        except ClaimRefused as problem:
            told = _bad(str(problem))
        except (FlaskTrackError, SQLAlchemyError) as problem:
            _log.error("Nobody can sign in: %s", problem)
            told = _bad("Nobody can sign in now: FlaskTrack's log says why.")
        wanted = safe_next(request.query_params.get(NEXT) or "")
        query = f"?{NEXT}={quote(wanted, safe='/')}" if wanted else ""
        link = f'<a class="button" href="{escape(self.entrance.base + PROVIDER + query)}">Sign in</a>'
        return self._page("Sign in", told + link, "", "You sign in at your organization's identity provider.")

    async def _to_provider(self, request: Request) -> Response:
        response = RedirectResponse(generate_login_redirect_url("default"), 303, headers={"Cache-Control": "no-store"})
        wanted = safe_next(request.query_params.get(NEXT) or "")
        if wanted:
            self._set(response, NEXT, quote(wanted, safe="/"), timedelta(minutes=15), "lax")
        return response

    async def _answered(
        self,
        request: Request,
        form_again: Callable[[Request, Form, str], Response],
        attempt: Callable[[Request, Form], Attempt],
    ) -> Response:
        """What follows from a form that was sent; a failure is put on record when the answer is out."""
        try:
            form = await self._read(request)
        except _Refused as problem:
            return _with_status(form_again(request, {}, _bad(str(problem))), 403)
        try:
            done = await run_in_threadpool(attempt, request, form)
        except PasswordRefused as problem:
            return _with_status(form_again(request, form, _bad(str(problem))), 400)
        except SignInBusy as problem:
            return _with_status(form_again(request, form, _bad(str(problem))), 503)
        except (FlaskTrackError, SQLAlchemyError) as problem:
            _log.error("Nobody can sign in: %s", problem)
            return _with_status(
                form_again(request, form, _bad("Nobody can sign in now: FlaskTrack's log says why.")), 503
            )
        if done.answer is Answer.SIGNED_IN:
            response: Response = RedirectResponse(self._wanted(form.get(NEXT)), 303)
            self._set(response, "", done.token or "", None, "lax")
            self._set(response, BROWSER, done.browser or "", BROWSER_KNOWN, "strict")
            self._remove(response, FORM)
            return response
        if done.answer is Answer.TEMPORARY:
            return self._password_form(request, form, _note(_TEMPORARY))
        if done.answer is Answer.WAIT:
            minutes = ceil(done.wait / timedelta(minutes=1))
            told = f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
            response = _with_status(form_again(request, form, _bad(told)), 429)
            response.headers["Retry-After"] = str(ceil(done.wait.total_seconds()))
        else:
            response = _with_status(form_again(request, form, _bad(_SAID[done.answer])), 403)
        response.background = BackgroundTask(self._note_failure, request, done)
        return response

    def _try_password(self, request: Request, form: Form) -> Attempt:
        visit = visit_of(self.entrance, request)
        return sign_in(self.engine(), self.entrance.settings, visit, form.get("name", ""), form.get("password", ""))

    def _try_new_password(self, request: Request, form: Form) -> Attempt:
        new = form.get("new", "")
        if new != form.get("again", ""):
            raise PasswordRefused("The two new passwords differ.", "Type the same one twice.")
        visit, name, password = visit_of(self.entrance, request), form.get("name", ""), form.get("password", "")
        return change_password(self.engine(), self.entrance.settings, visit, name, password, new)

    def _note_failure(self, request: Request, attempt: Attempt) -> None:
        try:
            note_failure(self.engine(), visit_of(self.entrance, request), attempt)
        except (FlaskTrackError, SQLAlchemyError) as problem:
            _log.error("A failed sign-in is not on record: %s", problem)

    def _has_accounts(self) -> bool:
        try:
            return count_accounts(self.engine()) > 0
        except (FlaskTrackError, SQLAlchemyError):
            return True  # a form that is sent says what is wrong

    async def _is_signed_in(self, request: Request) -> bool:
        try:
            return await run_in_threadpool(find_visitor, self.entrance, self.engine, request) is not None
        except (FlaskTrackError, SQLAlchemyError):
            return False

    async def _read(self, request: Request) -> Form:
        """The form's fields. Raises _Refused where another site, or no form of ours, has sent it."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if (origin is not None and origin.lower() != self.entrance.settings.origin) or site in (
            "cross-site",
            "same-site",
        ):
            raise _Refused(
                f"This form was not sent from {self.entrance.settings.url}. Open that address, and sign in there."
            )
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise _Refused("This is no form that was given out here.")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                raise _Refused("This form is too long.")
        try:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10, errors="strict"))
        except ValueError:
            raise _Refused("This form can't be read.") from None
        given, expected = fields.pop(FORM, ""), request.cookies.get(self.entrance.cookie(FORM)) or ""
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            raise _Refused("This form has grown old. Please send it again.")
        return {name: value for name, value in fields.items() if len(value) <= _LONGEST_FIELD}

    def _form(self, request: Request, form: Form, told: str) -> Response:
        name = form.get("name", "")
        fields = _field("Name", "name", "text", "username", value=name, focus=not name) + _field(
            "Password", "password", "password", "current-password", focus=bool(name)
        )
        more = f'<a href="{escape(self.entrance.base + PASSWORD)}">Change your password</a>'
        return self._with_form(request, form, "Sign in", SIGN_IN, told, fields, "Sign in", more)

    def _password_form(self, request: Request, form: Form, told: str) -> Response:
        name = form.get("name", "")
        hint = f"{SHORTEST} characters or more. A few words in a row will do; there are no rules on their kinds."
        fields = (
            _field("Name", "name", "text", "username", value=name, focus=not name)
            + _field("Present password", "password", "password", "current-password", focus=bool(name))
            + _field("New password", "new", "password", "new-password", hint=hint, new=True)
            + _field("New password again", "again", "password", "new-password", new=True)
        )
        more = f'<a href="{escape(self.entrance.base + SIGN_IN)}">Sign in</a> without changing it.'
        return self._with_form(
            request, form, "Change your password", PASSWORD, told, fields, "Change and sign in", more
        )

    def _with_form(
        self, request: Request, form: Form, title: str, path: str, told: str, fields: str, button: str, more: str
    ) -> Response:
        token = request.cookies.get(self.entrance.cookie(FORM)) or new_token()
        wanted = safe_next(form.get(NEXT) or request.query_params.get(NEXT) or "") or ""
        hidden = f'<input type="hidden" name="{FORM}" value="{escape(token)}">' + (
            f'<input type="hidden" name="{NEXT}" value="{escape(wanted)}">' if wanted else ""
        )
        action = escape(self.entrance.base + path)
        body = f'<form method="post" action="{action}">{hidden}{fields}<button type="submit">{button}</button></form>'
        response = self._page(title, told, body, more)
        self._set(response, FORM, token, None, "strict")
        return response

    def _page(self, title: str, told: str, form: str, more: str) -> Response:
        text = _PAGE.substitute(
            title=title,
            base=escape(self.entrance.base),
            style=_STYLE,
            told=told,
            form=form,
            more=f'<p class="more">{more}</p>',
        )
        return HTMLResponse(text, headers=_HEADERS)

    def _wanted(self, wanted: str | None) -> str:
        return safe_next(wanted or "") or f"{self.entrance.base}/"

    def _set(self, response: Response, purpose: str, value: str, age: timedelta | None, site: str) -> None:
        response.set_cookie(
            self.entrance.cookie(purpose),
            value,
            max_age=None if age is None else int(age.total_seconds()),
            path="/",
            secure=self.entrance.secure,
            httponly=True,
            samesite="strict" if site == "strict" else "lax",
        )

    def _remove(self, response: Response, purpose: str) -> None:
        response.delete_cookie(
            self.entrance.cookie(purpose), path="/", secure=self.entrance.secure, httponly=True, samesite="strict"
        )


def _field(
    label: str,
    name: str,
    kind: str,
    complete: str,
    *,
    value: str = "",
    hint: str = "",
    focus: bool = False,
    new: bool = False,
) -> str:
    """A labelled field; `complete` tells a password manager what it is."""
    more = ' spellcheck="false" autocapitalize="none"' + (" autofocus" if focus else "")
    more += f' minlength="{SHORTEST}" maxlength="{LONGEST}"' if new else f' maxlength="{_LONGEST_FIELD}"'
    more += f' aria-describedby="{name}-hint"' if hint else ""
    shown = f' value="{escape(value)}"' if value else ""
    told = f'<p class="hint" id="{name}-hint">{hint}</p>' if hint else ""
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" type="{kind}" autocomplete="{complete}"'
        f"{shown}{more} required>{told}"
    )


def _bad(text: str) -> str:
    return f'<p class="bad" role="alert">{escape(text)}</p>'


def _note(markup: str) -> str:
    return f'<p class="note" role="status">{markup}</p>'


def _with_status(response: Response, status: int) -> Response:
    response.status_code = status
    return response
