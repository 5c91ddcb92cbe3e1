"""Members: who belongs to the organization, in which roles, and by which record."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pandas as pd
import streamlit as st

from flasktrack.access.members import Member, add_member, change_roles, list_members, remove_member
from flasktrack.access.roles import Role, role_titles
from flasktrack.core.display import display
from flasktrack.store.scope import Permission, Scope
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.links import page_link
from flasktrack.ui.outcome import attempt, draw_outcome
from flasktrack.ui.page import open_page
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import count, literal

_HEIGHT = 430
_MEMBER = "member"


def main() -> None:
    context = open_page("members")
    found = list_members(context.engine, context.scope)
    st.text(_sentence(found))
    left, right = st.columns([3, 2])
    with left:
        _table(context, found)
    wanted = address.value(_MEMBER)
    opened = next((one for one in found if one.subject == wanted), None)
    with right, st.container(border=True):
        _add(context) if opened is None else _change(context, opened)


def _sentence(found: list[Member]) -> str:
    if not found:
        return "Nobody is a member yet. The first one should be an administrator."
    numbers = Counter(role for one in found for role in one.roles)
    roles = ", ".join(count(numbers[role], role.title) for role in Role if numbers[role])
    altered = sum(one.problem is not None for one in found)
    said = f"{count(len(found), 'member')}: {roles}." if roles else f"{count(len(found), 'member')}."
    return f"{said} {count(altered, 'membership')} can't be relied on." if altered else said


def _table(context: Context, found: list[Member]) -> None:
    if not found:
        st.info(
            "Add the people who work with this history, each with the roles that they need.", icon=":material/info:"
        )
        return
    frame = pd.DataFrame(
        [
            (
                display(one.name),
                display(one.subject.removeprefix("user:")),
                "altered" if one.problem is not None else role_titles(one.roles),
                one.seq,
            )
            for one in found
        ],
        columns=["name", "subject", "roles", "seq"],
    )
    column = st.column_config
    clickable_table(
        frame,
        f"members_{context.organization.id}_{max(one.seq for one in found)}_{len(found)}",
        lambda row: address.write(**{_MEMBER: found[row].subject}),
        height=table_height(len(frame), _HEIGHT),
        column_config={
            "name": column.TextColumn("Name", width=150, help="A click shows the member."),
            "subject": column.TextColumn("Signs in as", width=130),
            "roles": column.TextColumn("Roles", width=190),
            "seq": column.NumberColumn("Record", format="localized", width=70, help="The record that says so."),
        },
    )


def _add(context: Context) -> None:
    key = f"add_member_{context.organization.id}"
    with st.form(key, border=False, enter_to_submit=False):
        st.markdown("**Add a member**")
        st.text_input("Signs in as", key=f"{key}_subject", placeholder="Such as: anna or anna@example.org")
        st.text_input("Name", key=f"{key}_name", placeholder="As records are to name them")
        _roles(f"{key}_roles", [])
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why, such as: new in the laboratory")
        st.form_submit_button("Add the member", type="primary", on_click=_added, args=(context, key))
    draw_outcome("members")
    st.caption(
        "Each change is a record, with your name, the reason, and what was before and after. It counts at the person's "
        "next click."
    )


def _change(context: Context, one: Member) -> None:
    key = f"change_member_{context.organization.id}_{one.subject}_{one.seq}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(one.name)}** ({literal(one.subject)})")
        st.button("Close", type="tertiary", icon=":material/close:", on_click=address.write, kwargs={_MEMBER: None})
    if one.problem is not None:
        st.error(literal(one.problem), icon=":material/gpp_bad:")
    with st.form(key, border=False, enter_to_submit=False):
        st.text_input("Name", one.name, key=f"{key}_name")
        _roles(f"{key}_roles", [role for role in Role if role in one.roles])
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why")
        with st.container(horizontal=True):
            st.form_submit_button("Change", type="primary", on_click=_changed, args=(context, one, key))
            st.form_submit_button(
                "Remove the member", icon=":material/person_remove:", on_click=_removed, args=(context, one, key)
            )
    draw_outcome("members")
    page_link(context, "records", f"Record {one.seq:,} says so", seq=str(one.seq), record=one.seq)


def _roles(key: str, given: list[Role]) -> None:
    st.multiselect("Roles", list(Role), given, key=key, format_func=lambda role: role.title, placeholder="One or more")


def _added(context: Context, key: str) -> None:
    subject, name, roles, reason = (
        st.session_state[f"{key}_{part}"] for part in ("subject", "name", "roles", "reason")
    )
    subject = f"user:{subject.strip().removeprefix('user:')}"

    def add() -> str:
        record = add_member(context.engine, _scope(context), subject, name.strip() or None, roles, reason=reason)
        for part in ("subject", "name", "reason"):
            st.session_state[f"{key}_{part}"] = ""
        st.session_state[f"{key}_roles"] = []
        return f"{subject} is a member: record {record.seq:,} says so."

    attempt("members", add)


def _changed(context: Context, one: Member, key: str) -> None:
    name, roles, reason = (st.session_state[f"{key}_{part}"] for part in ("name", "roles", "reason"))

    def change() -> str:
        record = change_roles(context.engine, _scope(context), one.subject, roles, reason=reason, name=name.strip())
        return f"{one.subject} is changed: record {record.seq:,} says so."

    attempt("members", change)


def _removed(context: Context, one: Member, key: str) -> None:
    attempt("members", partial(_remove, context, one, st.session_state[f"{key}_reason"]))


def _remove(context: Context, one: Member, reason: str) -> str:
    record = remove_member(context.engine, _scope(context), one.subject, reason=reason)
    address.write(**{_MEMBER: None})
    return f"{one.subject} is no member any more: record {record.seq:,} says so."


def _scope(context: Context) -> Scope:
    return of_click(context, Permission.MANAGE_MEMBERS).scope


main()
