"""API keys: which programs may record or read, as whom, until when; and the service accounts that they act as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st
from sqlalchemy import Connection

from flasktrack.core.display import display
from flasktrack.store.api_keys import (
    ACTIVE,
    ALTERED,
    ANY_ACTION,
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    ApiKey,
    issue_api_key,
    list_api_keys,
    revoke_api_key,
)
from flasktrack.store.engine import writing
from flasktrack.store.scope import Permission, Scope
from flasktrack.store.service_accounts import (
    ServiceAccount,
    add_service_account,
    list_service_accounts,
    retire_service_account,
)
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, table_height
from flasktrack.ui.links import page_link
from flasktrack.ui.outcome import attempt, draw_outcome
from flasktrack.ui.page import open_page
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import count, literal
from flasktrack.ui.times import short

_HEIGHT = 260
_KEY, _TOKEN = "key", "issued_token"
_OWN = ""


def main() -> None:
    context = open_page("keys")
    keys, accounts = list_api_keys(context.engine, context.scope), list_service_accounts(context.engine, context.scope)
    st.text(_sentence(keys, accounts))
    _issued(context)
    left, right = st.columns([3, 2])
    wanted = address.value(_KEY)
    opened = next((one for one in keys if one.id == wanted), None)
    with left:
        _keys(context, keys)
        _accounts(context, accounts)
    with right, st.container(border=True):
        if opened is None:
            _issue(context, [one for one in accounts if one.retired_at is None])
        else:
            _one(context, opened)


def _sentence(keys: Sequence[ApiKey], accounts: Sequence[ServiceAccount]) -> str:
    active = sum(key.status() == ACTIVE for key in keys)
    altered = sum(key.altered for key in keys)
    used = sum(one.retired_at is None for one in accounts)
    said = f"{count(active, 'API key')} in force, {count(used, 'service account')} in use."
    return f"{said} {count(altered, 'key')} can't be relied on: altered past FlaskTrack." if altered else said


def _keys(context: Context, keys: Sequence[ApiKey]) -> None:
    if not keys:
        st.info("No program has a key yet. Issue one to let it record what it does.", icon=":material/info:")
        return
    frame = pd.DataFrame(
        [
            (
                display(key.name),
                key.status(),
                display(key.service_account_id or "itself"),
                display(_allows(key)),
                short(key.expires_at, context.zone)[:16],
            )
            for key in keys
        ],
        columns=["name", "status", "account", "allows", "expires"],
    )
    column = st.column_config
    clickable_table(
        frame,
        f"keys_{context.organization.id}_{len(keys)}_{max(key.seq for key in keys)}",
        lambda row: address.write(**{_KEY: keys[row].id}),
        height=table_height(len(frame), _HEIGHT),
        column_config={
            "name": column.TextColumn("Name", width=130, help="A click shows the key."),
            "status": column.TextColumn("State", width=65),
            "account": column.TextColumn("Acts as", width=95),
            "allows": column.TextColumn("May", width=160),
            "expires": column.TextColumn("Until", help=f"In {context.zone.key}", width=125),
        },
    )


def _allows(key: ApiKey) -> str:
    recorded = "any action" if ANY_ACTION in key.actions else ", ".join(key.actions)
    parts = [f"record {recorded}"] if recorded else []
    parts += ["read"] if key.may_read else []
    parts += ["name users"] if key.may_name_users else []
    return "; ".join(parts)


def _issue(context: Context, accounts: Sequence[ServiceAccount]) -> None:
    key = f"issue_key_{context.organization.id}"
    names = {_OWN: "Itself", **{one.id: f"{one.name} ({one.id})" for one in accounts}}
    with st.form(key, border=False, enter_to_submit=False):
        st.markdown("**Issue an API key**")
        left, right = st.columns(2)
        left.text_input("Name", key=f"{key}_name", placeholder="Such as: LIMS")
        right.selectbox("Acts as", list(names), key=f"{key}_account", format_func=names.__getitem__)
        st.multiselect(
            "May record these actions", [ANY_ACTION], key=f"{key}_actions", accept_new_options=True,
            format_func=lambda action: "any action" if action == ANY_ACTION else action,
            placeholder="Such as create, update; or any action",
        )  # fmt: skip
        with st.container(horizontal=True):
            st.checkbox("May read", key=f"{key}_read")
            st.checkbox("May name users", key=f"{key}_users", help="It may say for which of its own users it records.")
        narrow, wide = st.columns([2, 3])
        narrow.number_input("Good for (days)", 1, MAX_LIFETIME.days, DEFAULT_LIFETIME.days, key=f"{key}_days")
        wide.text_input("Reason", key=f"{key}_reason", placeholder="Why")
        st.form_submit_button("Issue the key", type="primary", on_click=_issued_now, args=(context, key))
    draw_outcome("keys")


def _issued_now(context: Context, form: str) -> None:
    parts = ("name", "account", "actions", "read", "users", "days", "reason")
    given = {part: st.session_state[f"{form}_{part}"] for part in parts}

    def issue(connection: Connection, scope: Scope) -> str:
        made, token = issue_api_key(
            connection, scope, name=given["name"], reason=given["reason"], actions=given["actions"],
            may_read=given["read"], may_name_users=given["users"], service_account_id=given["account"] or None,
            lifetime=timedelta(days=given["days"]),
        )  # fmt: skip
        st.session_state[_TOKEN] = context.organization.id, made.name, token
        return f"The key {made.name} is issued: record {made.seq:,} says so."

    _write(context, issue)
    if _TOKEN in st.session_state:
        for part in ("name", "reason"):
            st.session_state[f"{form}_{part}"] = ""


def _issued(context: Context) -> None:
    """The token of a key that was just issued: it is kept nowhere, and shown until it is noted."""
    held = st.session_state.get(_TOKEN)
    if held is None or held[0] != context.organization.id:
        return
    with st.container(border=True):
        st.markdown(f"The token of **{literal(held[1])}** is shown this once. Keep it where the program can read it.")
        st.code(held[2], language=None, wrap_lines=True)
        st.button("It is noted", on_click=st.session_state.pop, args=(_TOKEN, None))


def _one(context: Context, opened: ApiKey) -> None:
    key = f"key_{opened.id}_{opened.seq}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(opened.name)}** `{opened.id}`")
        st.button("Close", type="tertiary", icon=":material/close:", on_click=address.write, kwargs={_KEY: None})
    status = opened.status()
    if status == ALTERED:
        st.error(
            "This key was changed past FlaskTrack: it lets nobody in. Revoke it, and issue another.",
            icon=":material/gpp_bad:",
        )
    st.text(f"It is {status}. It may {display(_allows(opened))}, until {short(opened.expires_at, context.zone)}.")
    if opened.revoked_at is None:
        with st.form(key, border=False, enter_to_submit=False):
            st.text_input("Reason", key=f"{key}_reason", placeholder="Why, such as: the program was replaced")
            st.form_submit_button("Revoke", type="primary", on_click=_revoked, args=(context, opened, f"{key}_reason"))
    draw_outcome("keys")
    page_link(context, "records", f"Record {opened.seq:,} says so", seq=str(opened.seq), record=opened.seq)


def _revoked(context: Context, opened: ApiKey, reason: str) -> None:
    def revoke(connection: Connection, scope: Scope) -> str:
        key = revoke_api_key(connection, scope, opened.id, reason=st.session_state[reason])
        return f"The key {key.name} is revoked: record {key.seq:,} says so."

    _write(context, revoke)


def _accounts(context: Context, accounts: Sequence[ServiceAccount]) -> None:
    """Service accounts: an account outlives its keys, and its history stays one actor's."""
    used = [one for one in accounts if one.retired_at is None]
    st.markdown(f"**Service accounts** ({len(accounts):,})")
    if accounts:
        frame = pd.DataFrame(
            [
                (display(one.name), display(one.id), "in use" if one.retired_at is None else "retired", one.seq)
                for one in accounts
            ],
            columns=["Name", "Id", "State", "Record"],
        )
        record = st.column_config.NumberColumn(format="localized", width=70, help="The record that says so.")
        height = table_height(len(frame), 200)
        st.dataframe(frame, hide_index=True, height=height, column_config={"Record": record})
    with st.container(horizontal=True):
        with st.popover("Add an account", icon=":material/add:"):
            _add_account(context)
        with st.popover("Retire an account", icon=":material/block:", disabled=not used):
            _retire_account(context, used)
    draw_outcome("accounts")


def _add_account(context: Context) -> None:
    key = f"add_account_{context.organization.id}"
    with st.form(key, border=False, clear_on_submit=True, enter_to_submit=False):
        st.text_input("Id", key=f"{key}_id", placeholder="Such as: lims")
        st.text_input("Name", key=f"{key}_name", placeholder="Such as: LIMS of the laboratory")
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why")
        st.form_submit_button("Add the account", type="primary", on_click=_account_added, args=(context, key))


def _account_added(context: Context, form: str) -> None:
    id_, name, reason = (st.session_state[f"{form}_{part}"] for part in ("id", "name", "reason"))

    def add(connection: Connection, scope: Scope) -> str:
        made = add_service_account(connection, scope, id_.strip(), name.strip(), reason=reason)
        return f"The service account {made.id} is there: record {made.seq:,} says so."

    _write(context, add, "accounts")


def _retire_account(context: Context, used: Sequence[ServiceAccount]) -> None:
    key = f"retire_account_{context.organization.id}"
    with st.form(key, border=False, clear_on_submit=True, enter_to_submit=False):
        st.selectbox("Account", [one.id for one in used], key=f"{key}_id")
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why")
        st.caption("Its keys are revoked with it.")
        st.form_submit_button("Retire the account", type="primary", on_click=_account_retired, args=(context, key))


def _account_retired(context: Context, form: str) -> None:
    id_, reason = st.session_state[f"{form}_id"], st.session_state[f"{form}_reason"]

    def retire(connection: Connection, scope: Scope) -> str:
        made = retire_service_account(connection, scope, id_, reason=reason)
        return f"The service account {made.id} is retired: record {made.seq:,} says so."

    _write(context, retire, "accounts")


def _write(context: Context, change: Callable[[Connection, Scope], str], place: str = "keys") -> None:
    def write() -> str:
        scope = of_click(context, Permission.MANAGE_KEYS).scope
        with writing(context.engine) as connection:
            return change(connection, scope)

    attempt(place, write)


main()
