"""How every page begins: check who may open it, say where one is and what its numbers rest on."""

from __future__ import annotations

import streamlit as st

from flasktrack.access.permissions import decide
from flasktrack.errors import NotPermitted
from flasktrack.ui.links import CURRENT_PAGE
from flasktrack.ui.registry import PAGES, pages_for
from flasktrack.ui.session import Context, current
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
    context = current()
    decision = decide(context.principal, context.organization.id, page.permission)
    if not decision.allowed:
        own = ", ".join(entry.title for entry in pages_for(context.scope.permissions))
        raise NotPermitted(f"The page {page.title} is not open to you. {decision.reason}", f"Open to you: {own}.")
    st.session_state[CURRENT_PAGE] = key
    look, rests_on = chain_verdict(context)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(page.title, width="content", anchor=False)
        badge(look)
        st.caption(literal(f"{context.organization.name}: {rests_on}. Times in {context.zone.key}."), width="content")
    if page.counts:
        draw_standing(context)
    return context
