"""The sidebar: the pages that the person may open, who is signed in, and the demo's switcher."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from flasktrack.access.demo import demo_role
from flasktrack.ui import address, signin
from flasktrack.ui.registry import ROLES_WITH_PAGES, pages_for
from flasktrack.ui.session import Context, database


def draw_sidebar(context: Context, current: str) -> None:
    """Draw links that carry on organization, role and filter, and below them the switcher.

    `current` is the url_path of the page that is shown.
    """
    with st.sidebar:
        st.markdown("**FlaskTrack**")
        for section, pages in groupby(pages_for(context.scope.permissions), key=lambda page: page.section):
            st.caption(section)
            for page in pages:
                if page.url_path == current:  # back to the page's beginning; a link would leave the address as it is
                    st.button(
                        f"**{page.title}**", key=f"page_{page.key}", type="secondary", width="stretch",
                        on_click=address.replace, args=(address.shared(),),
                    )  # fmt: skip
                else:
                    st.page_link(page.path, label=page.title, query_params=address.shared())
        st.divider()
        if signin.is_demo():
            _switcher(context)
            return
        if len(context.organizations) > 1:
            _select_organization(context)
        signin.draw_account(database(), context.principal.shown, context.principal.subject, context.principal.how)


def _switcher(context: Context) -> None:
    with st.container(border=True):
        st.badge(
            "demo",
            icon=":material/science:",
            color="gray",
            help="Nobody signs in here: anybody at this machine may choose.",
        )
        _select_organization(context)
        role = str(demo_role(context.principal.subject))
        _select("Role", address.ROLE, {str(role): role.title for role in ROLES_WITH_PAGES}, role)


def _select_organization(context: Context) -> None:
    names = {one.id: one.name if one.name == one.id else f"{one.name} ({one.id})" for one in context.organizations}
    _select("Organization", address.ORGANIZATION, names, context.organization.id)


def _select(label: str, parameter: str, options: dict[str, str], chosen: str) -> None:
    key = f"switch_{parameter}"
    st.session_state[key] = chosen  # the address decides; the widget follows

    def switch() -> None:
        if parameter == address.ORGANIZATION:
            address.reset()  # another organization has other actors, entities and positions
        address.write(**{parameter: st.session_state[key]})

    st.selectbox(label, list(options), format_func=lambda option: options[option], key=key, on_change=switch)
