"""An organization's profile: name, time zone, and how it wants its exports and its people's looking to be kept.

    found = read_profile(engine, scope)
    change_profile(engine, scope, found, replace(found.profile, time_zone="Europe/Zurich"), reason="We moved")

It is one setting, so each change is a record with before and after. Name and time zone stand in the organization's row,
too, which everything reads; where somebody changed that past FlaskTrack, `problem` says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine, update

from flasktrack.core.body import name_problem
from flasktrack.core.record import MAX_NAME, Record
from flasktrack.errors import InvalidOrganization, SettingRefused
from flasktrack.store.engine import writing
from flasktrack.store.organization_settings import change_setting, read_setting
from flasktrack.store.organizations import Organization, check_time_zone, get_organization
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import organization
from flasktrack.store.scope import Permission, Scope

SETTING, TITLE = "profile", "Organization's profile"
MAX_DAYS = 365
MAX_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Profile:
    """What an organization can set. `exports_kept_days` is the longest that a file of the page Exports is kept (the
    deployment may keep it shorter); views are gathered for `views_gathered_minutes` and then are one record.
    """

    name: str
    time_zone: str
    exports_kept_days: int = MAX_DAYS
    record_views: bool = True
    views_gathered_minutes: int = 15

    def check(self) -> None:
        """Raise SettingRefused or InvalidOrganization for what can't be meant."""
        check_time_zone(self.time_zone)
        if (problem := name_problem(self.name, MAX_NAME)) is not None:
            raise InvalidOrganization(problem, "Choose another name.")
        if self.name != self.name.strip():
            raise InvalidOrganization(f"A name has 1 to {MAX_NAME:,} characters.", "Choose another name.")
        for label, number, most in (
            ("days", self.exports_kept_days, MAX_DAYS),
            ("minutes", self.views_gathered_minutes, MAX_MINUTES),
        ):
            if type(number) is not int or not 1 <= number <= most:
                raise SettingRefused(f"{number!r} {label} can't be meant.", f"Give 1 to {most:,}.")
        if not isinstance(self.record_views, bool):
            raise SettingRefused("Views are recorded or not.", "Give true or false.")


class ProfileInForce(NamedTuple):
    """The profile that applies, and the position of the record that set it (0: none did).

    `problem` says in a sentence what can't be relied on; then defaults apply.
    """

    profile: Profile
    seq: int
    problem: str | None = None


def read_profile(engine: Engine, scope: Scope) -> ProfileInForce:
    """What applies in an organization. Raises UnknownOrganization."""
    row = get_organization(engine, scope.organization_id)
    stored = read_setting(engine, scope, SETTING)
    if stored.problem is not None or stored.value is None:
        return ProfileInForce(Profile(row.name, row.time_zone), stored.seq, stored.problem)
    try:
        profile = Profile(**stored.value)
        profile.check()
    except (TypeError, SettingRefused, InvalidOrganization):  # set by another version
        return ProfileInForce(Profile(row.name, row.time_zone), stored.seq, "The profile that is stored can't be read.")
    return ProfileInForce(_as_in_row(profile, row), stored.seq, _altered(profile, row, stored.seq))


def change_profile(engine: Engine, scope: Scope, before: ProfileInForce, after: Profile, *, reason: str) -> Record:
    """Set an organization's profile, and return the record of it.

    Raises NotPermitted; SettingRefused where `before` is no longer what is in force, where nothing changes, or without
    a reason; InvalidOrganization for a name or a time zone that is none; and what `append` raises. Then nothing was
    written.
    """
    after.check()
    former: dict[str, Any] = asdict(before.profile)
    with writing(of_organization(engine, scope.organization_id)) as connection:
        record = change_setting(
            connection, scope, SETTING, former, asdict(after),
            since=before.seq, permission=Permission.MANAGE_SETTINGS, reason=reason, title=TITLE,
        )  # fmt: skip
        connection.execute(
            update(organization)
            .where(organization.c.id == scope.organization_id)
            .values(name=after.name, time_zone=after.time_zone)
        )
    return record


def _as_in_row(profile: Profile, row: Organization) -> Profile:
    return Profile(**{**asdict(profile), "name": row.name, "time_zone": row.time_zone})


def _altered(profile: Profile, row: Organization, seq: int) -> str | None:
    if (profile.name, profile.time_zone) == (row.name, row.time_zone):
        return None
    return (
        f"Name or time zone were changed past FlaskTrack: record {seq:,} says {profile.name!r}, {profile.time_zone}. "
        "Set them anew."
    )
