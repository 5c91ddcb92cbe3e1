"""Settings: the organization's profile, how people sign in, and by which thresholds something needs attention."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import available_timezones

import streamlit as st

from flasktrack.insight.attention.rules import RULES
from flasktrack.insight.attention.thresholds import read_thresholds
from flasktrack.settings import DEMO, LOCAL, OIDC, PROXY, Settings
from flasktrack.store.profile import MAX_DAYS, MAX_MINUTES, Profile, ProfileInForce, change_profile, read_profile
from flasktrack.store.scope import Permission
from flasktrack.ui import address
from flasktrack.ui.attention_rules import draw_rules
from flasktrack.ui.links import page_link
from flasktrack.ui.outcome import attempt, draw_outcome
from flasktrack.ui.page import open_page
from flasktrack.ui.session import Context, of_click
from flasktrack.ui.text import count, literal

_WAYS = {
    DEMO: "Demo: nobody signs in, anybody at this machine may choose who to be",
    LOCAL: "Accounts of this deployment, with passwords",
    OIDC: "An identity provider (OpenID Connect)",
    PROXY: "A proxy in front, at which people sign in",
}
_VIEWS = {"profile": "Organization", "sign_in": "Sign-in", "thresholds": "Thresholds and working hours"}


def main() -> None:
    context = open_page("settings")
    found = read_profile(context.engine, context.scope)
    st.text(_sentence(found))
    if found.problem is not None:
        st.error(literal(found.problem), icon=":material/gpp_bad:")
    view = address.choice("view", _VIEWS, "profile")
    st.session_state["settings_view"] = view
    st.segmented_control(
        "View", list(_VIEWS), format_func=_VIEWS.__getitem__, key="settings_view", required=True,
        label_visibility="collapsed", on_change=lambda: address.write(view=st.session_state["settings_view"]),
    )  # fmt: skip
    match view:
        case "sign_in":
            _sign_in(context)
        case "thresholds":
            rule = address.choice("rule", ("", *RULES), "off_hours")
            draw_rules(context, read_thresholds(context.engine, context.scope), rule)
        case _:
            _profile(context, found)


def _sentence(found: ProfileInForce) -> str:
    if not found.seq:
        return "These are the settings with which the organization began: nobody has changed them."
    return f"These settings are in force by record {found.seq:,}."


def _profile(context: Context, found: ProfileInForce) -> None:
    key = f"profile_{context.organization.id}_{found.seq}"
    profile = found.profile
    zones = sorted(available_timezones() | {profile.time_zone})
    kept = Settings.from_environment().export_kept
    with st.container(border=True, width=760), st.form(key, border=False, enter_to_submit=False):
        with st.container(horizontal=True):
            st.text_input("Name", profile.name, key=f"{key}_name", width=340)
            st.selectbox("Time zone", zones, zones.index(profile.time_zone), key=f"{key}_zone", width=340)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.number_input(
                "Files of exports are kept for at most (days)", 1, MAX_DAYS, profile.exports_kept_days,
                key=f"{key}_days", width=340, help=f"This deployment keeps none for longer than {kept.days} days.",
            )  # fmt: skip
            st.number_input(
                "Views are gathered into one record for (minutes)", 1, MAX_MINUTES, profile.views_gathered_minutes,
                key=f"{key}_minutes", width=340,
            )  # fmt: skip
        st.checkbox(
            "Record who views entities, actors and records, and who searches", profile.record_views, key=f"{key}_views",
            help="Exports, downloads, verifications and changes of members, keys and settings are always on record.",
        )  # fmt: skip
        st.text_input("Reason", key=f"{key}_reason", placeholder="Why, such as the procedure that says so")
        st.form_submit_button("Change settings", type="primary", on_click=_changed, args=(context, found, key))
        draw_outcome("settings")
    st.caption("Records are kept for ever: FlaskTrack has no way to remove one. Sections are erased by law alone.")
    if found.seq:
        page_link(context, "records", f"Record {found.seq:,}", seq=str(found.seq), record=found.seq)


def _changed(context: Context, found: ProfileInForce, key: str) -> None:
    given = {part: st.session_state[f"{key}_{part}"] for part in ("name", "zone", "days", "minutes", "views", "reason")}
    after = Profile(given["name"].strip(), given["zone"], given["days"], given["views"], given["minutes"])

    def change() -> str:
        scope = of_click(context, Permission.MANAGE_SETTINGS).scope
        record = change_profile(context.engine, scope, found, after, reason=given["reason"])
        return f"Changed: record {record.seq:,} says so."

    attempt("settings", change)


def _sign_in(context: Context) -> None:
    """How this deployment lets people in, as the app was started: no secret, and nothing to change."""
    settings = Settings.from_environment()
    facts = {"Way": _WAYS[settings.sign_in], "Reached at": settings.origin or "this machine alone"}
    if settings.sign_in != DEMO:
        facts["A session ends"] = (
            f"after {_length(settings.session_idle)} without a click, and {_length(settings.session_longest)} in all"
        )
        facts["You"] = f"{context.principal.shown} ({context.principal.subject})"
    if settings.trusted_proxies:
        facts["Trusted proxies"] = ", ".join(settings.trusted_proxies)
    if settings.sign_in == PROXY:
        facts["Header with the person"] = settings.user_header
    with st.container(border=True, width=760):
        st.table(
            {"": list(facts), " ": [literal(said) for said in facts.values()]},
            border="horizontal", hide_index=True, hide_header=True,
        )  # fmt: skip
        st.caption("It is set where the app is started: docs/signing-in.md says how.")


def _length(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return count(minutes // 60, "hour") if minutes % 60 == 0 and minutes else count(minutes, "minute")


main()
