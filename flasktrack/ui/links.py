"""Links between pages: they carry on the organization, the role and, where it is wanted, the filter."""

from __future__ import annotations

import streamlit as st

from flasktrack.core.display import display
from flasktrack.ui import address
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.text import literal

CURRENT_PAGE = "current_page"
"""Where the session keeps the key of the page that it shows."""


def page_link(
    context: Context,
    key: str,
    label: str,
    *,
    keep_filter: bool = False,
    help: str | None = None,  # noqa: A002 (as in Streamlit)
    place: str = "",
    **params: address.Value,
) -> None:
    """Draw a link to a page, whose parameters are `params`; text alone where the person may not open that page.

    `label` is plain text. `place` tells links apart that have one label and one target. `from_` stands for `from`.
    """
    page = PAGES[key]
    if not context.may(page.permission):
        st.text(display(label), help=help)
        return
    dropped: dict[str, address.Value] = {} if keep_filter else dict.fromkeys(address.FILTER)
    target = address.shared(**(dropped | params))
    if st.session_state.get(CURRENT_PAGE) == key:  # a link from a page to itself would leave the address as it was
        st.button(
            literal(label), key=f"link_{place}_{label}_{sorted(target.items())}", help=help, type="tertiary",
            on_click=address.replace, args=(target,),
        )  # fmt: skip
    else:
        st.page_link(page.path, label=literal(label), help=help, query_params=target)
