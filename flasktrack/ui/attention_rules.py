"""The rules of what needs attention, with their regulatory reasons, and the form in which a QA lead sets thresholds."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from flasktrack.errors import FlaskTrackError
from flasktrack.insight.attention.rule import Rule, Threshold
from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import InForce, Values, set_thresholds, thresholds_of
from flasktrack.store.scope import Permission
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.links import page_link
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import literal
from flasktrack.ui.theme import ATTENTION

_CHANGED, _REFUSED = "thresholds_changed", "thresholds_refused"


def regulation(rule: Rule) -> str:
    """Where a rule comes from, in one line."""
    return "; ".join(f"{one.source}, {one.clause}: {one.says}" for one in rule.citations) + "."


def draw_rules(context: Context, in_force: InForce, opened: str) -> None:
    """Draw the table of rules, and beside it the one that the address opens."""
    names = list(RULES)
    opened = opened or names[0]
    left, right = st.columns([5, 6])
    with left:
        _table(context, in_force, names)
        if in_force.seq:
            page_link(
                context, "overview", f"Set by record {in_force.seq:,}", place="thresholds", seq=str(in_force.seq),
                record=in_force.seq,
            )  # fmt: skip
        else:
            st.caption("All thresholds are defaults: none was ever set.")
    with right, st.container(border=True):
        _rule(context, in_force, RULES[opened])


def _table(context: Context, in_force: InForce, names: list[str]) -> None:
    frame = pd.DataFrame(
        [
            (
                RULES[name].title,
                ATTENTION[RULES[name].severity].word,
                "on" if in_force.thresholds[name]["on"] else "off",
            )
            for name in names
        ],
        columns=["rule", "severity", "on"],
    )
    column = st.column_config
    clickable_table(
        frame,
        f"rules_{context.organization.id}",
        lambda row: address.write(rule=names[row]),
        height=table_height(len(frame), 600),
        column_config={
            "rule": column.TextColumn("Rule", width=290, help="A click shows it."),
            "severity": column.TextColumn("Severity", width=70),
            "on": column.TextColumn("", width=40),
        },
    )


def _rule(context: Context, in_force: InForce, rule: Rule) -> None:
    """One rule: what it looks for, why, where that is asked for, and its thresholds."""
    st.markdown(f"**{literal(rule.title)}** `{rule.name}`")
    st.markdown(f"Looks for {rule.looks_for}. {rule.why}")
    st.table(
        pd.DataFrame(
            [(f"{one.source}, {one.clause}", one.says) for one in rule.citations], columns=["Where", "asks for"]
        )
    )
    if context.may(Permission.SET_THRESHOLDS):
        _form(context, in_force, rule)
    else:
        _values(in_force.thresholds[rule.name], rule)
    _outcome(context, rule)


def _values(values: Values, rule: Rule) -> None:
    """The thresholds, for those who may not change them."""
    for threshold in thresholds_of(rule):
        st.text(f"{threshold.label}: {_shown(threshold, values[threshold.name])}")
    st.caption("A QA lead may change them.")


def _shown(threshold: Threshold, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else f"{value} {threshold.unit}".strip()


def _form(context: Context, in_force: InForce, rule: Rule) -> None:
    """The thresholds to change; the key is new with every change, so that fields show what is in force."""
    key = f"threshold_{context.organization.id}_{in_force.seq}_{rule.name}"
    values = in_force.thresholds[rule.name]
    with st.form(key, border=False):
        beside = st.container(horizontal=True)
        for threshold in thresholds_of(rule):
            lists = isinstance(threshold.default, (bool, tuple))
            with st.container() if lists else beside:
                _field(f"{key}_{threshold.name}", threshold, values[threshold.name])
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why, such as the procedure that says so")
        st.form_submit_button(
            "Change thresholds", type="primary", on_click=_change, args=(context, in_force, rule, key),
            help="The change is a record, with your name, the reason, and the values before and after.",
        )  # fmt: skip


def _field(key: str, threshold: Threshold, value: Any) -> None:
    label = f"{threshold.label} ({threshold.unit})" if threshold.unit else threshold.label
    if isinstance(threshold.default, bool):
        st.checkbox(label, value=value, key=key)
    elif isinstance(threshold.default, int):
        st.number_input(label, threshold.least, threshold.most, value, key=key, width=220)
    elif isinstance(threshold.default, str):
        st.text_input(label, value, key=key, width=220, placeholder="07:00")
    else:
        options = list(dict.fromkeys((*threshold.choices, *threshold.default, *value)))
        st.multiselect(label, options, list(value), key=key, accept_new_options=not threshold.choices)


def _change(context: Context, in_force: InForce, rule: Rule, key: str) -> None:
    given = {one.name: st.session_state[f"{key}_{one.name}"] for one in thresholds_of(rule)}
    try:
        after = in_force.thresholds.with_values(rule.name, given)
        record = set_thresholds(
            context.engine, of_click(context, Permission.SET_THRESHOLDS).scope, in_force, after,
            reason=st.session_state[f"{key}_reason"],
        )  # fmt: skip
    except FlaskTrackError as problem:
        st.session_state[_REFUSED] = (rule.name, str(problem))
    else:
        st.session_state[_CHANGED] = (rule.name, record.seq)


def _outcome(context: Context, rule: Rule) -> None:
    """What came of the last change, once."""
    if (refused := st.session_state.get(_REFUSED)) and refused[0] == rule.name:
        del st.session_state[_REFUSED]
        st.warning(f"Nothing was changed. {literal(refused[1])}", icon=":material/warning:")
    if (changed := st.session_state.get(_CHANGED)) and changed[0] == rule.name:
        del st.session_state[_CHANGED]
        st.success(f"Changed: record {changed[1]:,} says so.", icon=":material/check_circle:")
