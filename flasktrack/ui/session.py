"""Who looks at which organization in which database: the context of a page, made anew at every run.

In a demo, organization and role are chosen in a switcher that says so, and kept in the address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import streamlit as st
from sqlalchemy import Engine

from flasktrack.access.acting import renewed
from flasktrack.access.demo import demo_principal
from flasktrack.access.permissions import scope_for
from flasktrack.access.principal import Principal
from flasktrack.access.roles import Role
from flasktrack.errors import EmptyDatabase, NotPermitted, UnknownOrganization
from flasktrack.insight.copy import Copy
from flasktrack.insight.following import Follower, Standing, follow
from flasktrack.settings import Settings
from flasktrack.store.engine import check_schema, open_engine
from flasktrack.store.organizations import Organization, check_time_zone, list_organizations
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import Permission, Scope
from flasktrack.ui import address, signin
from flasktrack.ui.registry import ROLES_WITH_PAGES


@dataclass(frozen=True, slots=True)
class Context:
    """What a page needs to ask its questions: in `scope`, for `principal`.

    `organizations` are those that the person belongs to.
    """

    engine: Engine
    copy: Copy
    standing: Standing
    organization: Organization
    organizations: tuple[Organization, ...]
    zone: ZoneInfo
    principal: Principal
    scope: Scope

    def may(self, permission: Permission) -> bool:
        """Whether the person may do something here; what does it checks again."""
        return permission in self.scope.permissions


def database() -> Engine:
    """The engine of the database that the settings name; shared by all sessions. Raises DatabaseError."""
    return _open(Settings.from_environment().database_url)


@st.cache_resource(show_spinner=False)
def _open(url: str) -> Engine:
    return open_engine(url)


@st.cache_resource(show_spinner=False)
def _follower(url: str, analytics_url: str | None) -> Follower:
    """What keeps the copy that all sessions ask."""
    return follow(_open(url), analytics_url)


_OF_THIS_RUN = "context_of_this_run"


def begin_run() -> Context:
    """As `current`, for app.py, which hands it on to the page that it runs next: a run looks once who asks."""
    st.session_state.pop(_OF_THIS_RUN, None)  # of a run that broke off
    context = current()
    st.session_state[_OF_THIS_RUN] = context
    return context


def of_page() -> Context:
    """What `begin_run` handed on, to one page alone: no later run finds it. As `current` where there is nothing."""
    context: Context | None = st.session_state.pop(_OF_THIS_RUN, None)
    return context or current()


def current() -> Context:
    """The context of this run, from the address.

    Raises DatabaseError or SchemaError where the database can't be used, UnknownOrganization, InvalidAddress for a
    role that doesn't exist.
    """
    engine = database()
    check_schema(engine)
    there = list_organizations(engine)
    principal = _principal(engine, [organization.id for organization in there])
    organizations = tuple(one for one in there if one.id in principal.memberships)
    organization = _chosen(organizations, address.value(address.ORGANIZATION))
    scope = scope_for(principal, organization.id)
    zone = check_time_zone(organization.time_zone)
    follower = _follower_of_settings()
    standing = follower.keep_up(organization.id)
    mine = of_organization(engine, organization.id)
    return Context(mine, follower.copy, standing, organization, organizations, zone, principal, scope)


def _principal(engine: Engine, organization_ids: list[str]) -> Principal:
    """Who is signed in; in a demo, its person of the role that the address names."""
    if not signin.is_demo():
        return signin.current_principal(engine)
    role = Role(address.choice(address.ROLE, [str(role) for role in ROLES_WITH_PAGES], Role.QA_LEAD))
    return demo_principal(role, organization_ids, signin.request_context())


def of_click(context: Context, permission: Permission) -> Context:
    """The context for what a click does, with what its person may do by now.

    A click's work runs before the page is made anew, with what was at hand when the page was drawn; since then its
    session may have ended, and its person may have lost a role. Raises NotPermitted.
    """
    return _anew(context, permission, used=True)


def of_refresh(context: Context, permission: Permission) -> Context:
    """The context for a part of a page that refreshes by itself, as `of_click`; this keeps no session open.

    Where its person may not see it any more, the page is made anew, and says so: it ends the run.
    """
    try:
        return _anew(context, permission, used=False)
    except NotPermitted:
        st.rerun()


def _anew(context: Context, permission: Permission, *, used: bool) -> Context:
    if not signin.is_demo():
        session = signin.current_session(context.engine, used=used)
        if session is None or session.subject != context.principal.subject:
            raise NotPermitted("You are not signed in any more.", "Sign in, and do it again.")
    return replace(context, scope=renewed(context.engine, context.scope, permission))


def keep_up(context: Context) -> Standing:
    """How far the copy has come by now."""
    return _follower_of_settings().keep_up(context.organization.id)


def _follower_of_settings() -> Follower:
    settings = Settings.from_environment()
    return _follower(settings.database_url, settings.analytics_url)


def _chosen(organizations: tuple[Organization, ...], wanted: str | None) -> Organization:
    if not organizations:
        raise EmptyDatabase(
            "The database holds no organization yet.",
            "Run python -m flasktrack import FILE --organization ID, or for a look: python -m flasktrack demo",
        )
    if wanted is None:
        return organizations[0]
    for organization in organizations:
        if organization.id == wanted:
            return organization
    known = ", ".join(organization.id for organization in organizations[:5])
    raise UnknownOrganization(f"There is no organization {wanted[:63]!r} here.", f"Known ones: {known}.")
