"""How every page begins: check who may open it, say where one is and what its numbers rest on."""

from __future__ import annotations

import streamlit as st

from flasktrack.access.permissions import decide
from flasktrack.errors import NotPermitted
from flasktrack.store.scope import Permission
from flasktrack.ui import address
from flasktrack.ui.links import CURRENT_PAGE
from flasktrack.ui.looking import turned_away
from flasktrack.ui.registry import PAGES, pages_for
from flasktrack.ui.session import Context, of_page
from flasktrack.ui.standing import draw_standing
from flasktrack.ui.text import literal
from flasktrack.ui.theme import badge
from flasktrack.ui.verdict import chain_verdict


def open_page(key: str) -> Context:
    """The context of a page, which calls this before anything else.

    Raises NotPermitted where the person's roles do not open it, and what `session.current` raises; the router shows
    either.
    """
    page = PAGES[key]
    context = of_page()
    decision = decide(context.principal, context.organization.id, page.permission)
    if not decision.allowed:
        mine = pages_for(context.scope.permissions)
        if not page.url_path and mine:  # the address without a page is nobody's choice
            st.switch_page(mine[0].path, query_params=address.shared())
        turned_away(context, key)
        own = ", ".join(entry.title for entry in mine)
        raise NotPermitted(f"The page {page.title} is not open to you. {decision.reason}", f"Open to you: {own}.")
    st.session_state[CURRENT_PAGE] = key
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(page.title, width="content", anchor=False)
        if context.may(Permission.SEE_ACTIVITY):
            look, rests_on = chain_verdict(context)
            badge(look)
            said = f"{context.organization.name}: {rests_on}. Times in {context.zone.key}."
        else:
            said = f"{context.organization.name}. Times in {context.zone.key}."
        st.caption(literal(said), width="content")
    if page.counts:
        draw_standing(context)
    return context
