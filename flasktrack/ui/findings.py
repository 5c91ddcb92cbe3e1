"""Findings in groups: what each kind means, what may be behind it, what to do, and a way to each record."""

from __future__ import annotations

from itertools import groupby

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.finding import SEVERITY, Finding
from flasktrack.store.verifications import Verification
from flasktrack.ui import address, theme
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.finding_words import FINDING_WORDS
from flasktrack.ui.text import count

MOST_FINDINGS = 1000
"""Findings that are drawn; `verify --json` prints all."""

_ORDER = list(SEVERITY)


def draw_findings(shown: Verification) -> None:
    """Draw what a verification found, errors first; a click opens the record."""
    if not shown.findings:
        if shown.records and not shown.remarks:
            st.success("No findings.", icon=":material/check_circle:")
        return
    listed = sorted(shown.findings[:MOST_FINDINGS], key=lambda finding: (_ORDER.index(finding.code), finding.seq))
    if len(shown.findings) > MOST_FINDINGS:
        st.caption(f"The first {MOST_FINDINGS:,} of {len(shown.findings):,} findings are drawn; verify --json has all.")
    for code, found in groupby(listed, key=lambda finding: finding.code):
        _group(shown, code, list(found))


def _group(shown: Verification, code: str, found: list[Finding]) -> None:
    words, look = FINDING_WORDS[code], theme.SEVERITY[SEVERITY[code]]
    title = f":{look.colour}[{look.icon} {look.word}: {words.title.lower()}] ({count(len(found), 'finding')}) `{code}`"
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.text(f"{words.cause} {words.advice}")
        frame = pd.DataFrame(
            [(_where(finding), display(finding.detail)) for finding in found], columns=["where", "detail"]
        )
        column = st.column_config
        clickable_table(
            frame,
            f"findings_{shown.id}_{code}",
            lambda row: address.write(record=found[row].seq),
            height=table_height(len(frame), 200),
            column_config={
                "where": column.TextColumn("Position", width=130, help="A click opens the record."),
                "detail": column.TextColumn("What was found", width=780),
            },
        )


def _where(finding: Finding) -> str:
    return f"{finding.seq:,}" if finding.seq == finding.seq_end else f"{finding.seq:,} to {finding.seq_end:,}"
