"""Links between pages: they carry on the organization, the role and, where it is wanted, the filter."""

from __future__ import annotations

import streamlit as st

from flasktrack.ui import address
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context
from flasktrack.ui.text import literal


def page_link(
    context: Context,
    key: str,
    label: str,
    *,
    keep_filter: bool = False,
    help: str | None = None,  # noqa: A002 (as in Streamlit)
    **params: address.Value,
) -> None:
    """Draw a link to a page, whose parameters are `params`; text alone where the role may not open that page.

    `label` is plain text. `from_` stands for `from`.
    """
    page = PAGES[key]
    if context.role not in page.roles:
        st.text(label, help=help)
        return
    dropped: dict[str, address.Value] = {} if keep_filter else dict.fromkeys(address.FILTER)
    st.page_link(page.path, label=literal(label), help=help, query_params=address.shared(**(dropped | params)))
