"""Sign-ins, failures and sign-outs in the chains of the organizations that somebody belongs to.

The person is the actor, their session the entity, the request the context; no password, token or cookie is in any of
them. Failures are gathered: five are on record at once, which is what shows a series of them, and from then on one in
twelve minutes; the others are counted, and told by the next record. So whoever tries a name for a day adds some six
score records, however many tries there are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from flasktrack.access.accounts import Account
from flasktrack.access.acting import operator_scope
from flasktrack.access.members import principal_for
from flasktrack.access.permissions import scope_for
from flasktrack.access.principal import Principal
from flasktrack.core.times import format_time, parse_time
from flasktrack.errors import ChainBroken
from flasktrack.store.acts import append_act
from flasktrack.store.schema import account

ENTITY_TYPE = "session"
AT_ONCE, THEN_EACH = 5, timedelta(minutes=12)
"""How many failures are on record at once, and how far apart further records of them are."""
_c = account.c
_log = logging.getLogger(__name__)


def memberships(engine: Engine, subject: str) -> Principal | None:
    """The person, with the organizations in whose chains their sign-ins are recorded; None for no member.

    Ask before the write transaction: it reads by a connection of its own.
    """
    return principal_for(engine, subject, how="sign-in")


def append_sign_in(
    connection: Connection,
    member: Principal | None,
    about: Account,
    action: str,
    context: Mapping[str, Any],
    *,
    outcome: str = "success",
    reason: str | None = None,
) -> None:
    """Record it in each organization of the member, in the caller's write transaction.

    A chain that was altered takes no record. Its people get in all the same: who else would look into it?
    """
    if member is None:
        return
    for organization_id in sorted(member.memberships):
        scope, entity = scope_for(member, organization_id), (ENTITY_TYPE, about.id, about.name)
        try:
            with connection.begin_nested():
                append_act(connection, scope, action, entity, outcome=outcome, reason=reason, context=context)
        except ChainBroken as problem:
            _log.error("%s of %s is not on record: %s", action, about.subject, problem)


def note_failed_attempt(
    connection: Connection,
    member: Principal | None,
    about: Account,
    context: Mapping[str, Any],
    *,
    outcome: str,
    reason: str,
    now: datetime,
) -> None:
    """Count a failed attempt, and record those that stand in no record yet, unless there was a record of late."""
    mine = _c.id == about.id
    row = connection.execute(select(_c.failures, _c.failures_spread_until).where(mine).with_for_update()).one()
    failures, spread = row.failures + 1, now
    if row.failures_spread_until is not None:
        spread = max(now, parse_time(row.failures_spread_until))
    spread += THEN_EACH
    if spread > now + THEN_EACH * AT_ONCE:
        connection.execute(update(account).where(mine).values(failures=failures))
        return
    told = {**context, "failed_attempts": failures}
    append_sign_in(connection, member, about, "sign_in", told, outcome=outcome, reason=reason)
    connection.execute(update(account).where(mine).values(failures=0, failures_spread_until=format_time(spread)))


def take_failures(connection: Connection, id_: str) -> int:
    """How many failed attempts stand in no record yet; the caller's record tells them."""
    failures = connection.execute(select(_c.failures).where(_c.id == id_).with_for_update()).scalar_one()
    connection.execute(update(account).where(_c.id == id_).values(failures=0, failures_spread_until=None))
    return int(failures)


def append_account_act(connection: Connection, member: Principal | None, about: Account, action: str) -> None:
    """Record what whoever has the command line did to an account, in each organization of its owner."""
    for organization_id in sorted(member.memberships if member is not None else ()):
        append_act(connection, operator_scope(organization_id), action, ("account", about.id, about.name))
