"""What carries a meaning looks the same everywhere: the chain's states, findings and outcomes.

People and machines have their colours in figures.py.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import streamlit as st

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


class Look(NamedTuple):
    """A meaning as colour, icon and word: any one of the three would do for a reader who misses the others."""

    word: str
    icon: str
    colour: Colour


STATUS = {
    "verified": Look("Verified", ":material/verified:", "green"),
    "unsealed": Look("Unsealed", ":material/lock_open:", "yellow"),
    "not_checked": Look("Not checked", ":material/help:", "gray"),
    "broken": Look("Broken", ":material/gpp_bad:", "red"),
}
"""The chain's states (spec section 5)."""

SEVERITY = {
    "error": Look("Error", ":material/error:", "red"),
    "warning": Look("Warning", ":material/warning:", "orange"),
    "info": Look("Note", ":material/info:", "gray"),
}

ATTENTION = {
    "high": Look("High", ":material/priority_high:", "red"),
    "medium": Look("Medium", ":material/flag:", "orange"),
    "low": Look("Low", ":material/info:", "gray"),
}
"""How soon somebody should look at what a rule found."""

OUTCOME = {
    "success": Look("Success", ":material/check:", "gray"),
    "failure": Look("Failure", ":material/close:", "orange"),
    "denied": Look("Denied", ":material/block:", "red"),
}


def is_dark() -> bool:
    """Whether the reader sees the dark theme."""
    return bool(st.context.theme.type == "dark")


def badge(look: Look) -> None:
    """Draw a meaning where the page stands now."""
    st.badge(look.word, icon=look.icon, color=look.colour)


def apply_style() -> None:
    """Hide the button that Streamlit gives each table for saving it as CSV.

    It would save what happens to be drawn, in part, without the check on formulas; the page Exports writes it all.
    """
    st.html(
        '<style>[data-testid="stElementToolbarButton"]:has([aria-label="Download as CSV"]) { display: none }</style>'
    )
