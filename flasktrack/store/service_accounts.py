"""Service accounts: machines that act under a name of their own, through any number of API keys.

An account outlives its keys: they are exchanged, and its history stays one actor's. It is never removed; one that is
retired has no key in force, and gets none. Each change is a record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update

from flasktrack.core.times import format_time, utc_now
from flasktrack.errors import ApiKeyError
from flasktrack.store.api_keys import ACCOUNT_ID, check_name, revoke_api_key, tell
from flasktrack.store.organizations import get_organization
from flasktrack.store.schema import api_key, service_account
from flasktrack.store.scope import Permission, Scope

ENTITY_TYPE = "service_account"
_row = service_account.c


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account; `seq` is the record that tells of its state. Times are the spec's text."""

    organization_id: str
    id: str
    name: str
    created_at: str
    retired_at: str | None
    seq: int

    def as_told(self) -> dict[str, Any]:
        """The state as its record tells it."""
        return {"name": self.name, "created_at": self.created_at, "retired_at": self.retired_at}


def add_service_account(
    connection: Connection,
    scope: Scope,
    account_id: str,
    name: str,
    *,
    reason: str,
    clock: Callable[[], datetime] = utc_now,
) -> ServiceAccount:
    """Make an account in the caller's write transaction, with a record of who did.

    Raises NotPermitted, ApiKeyError for an id that can't be, or is taken, and what `append` raises; the caller must
    then roll back.
    """
    scope.check(Permission.MANAGE_KEYS)
    if not ACCOUNT_ID.fullmatch(account_id):
        raise ApiKeyError(
            f"{account_id[:60]!r} can't be a service account's id.",
            "Use 1 to 63 of a-z, 0-9, dot, _ and -, beginning with a letter or digit, such as lims-sync.",
        )
    now = clock()
    made = ServiceAccount(scope.organization_id, account_id, check_name(name), format_time(now), None, 0)
    # First the record: it takes the organization's head, so that nobody else takes the id after the look.
    record = tell(connection, scope, (ENTITY_TYPE, account_id, made.name), "create", None, made.as_told(), reason, now)
    if _find(connection, scope, account_id) is not None:
        raise ApiKeyError(f"{scope.organization_id} has a service account {account_id} already.", "Give another id.")
    made = replace(made, seq=record.seq)
    connection.execute(insert(service_account).values({name: getattr(made, name) for name in ServiceAccount.__slots__}))
    return made


def retire_service_account(
    connection: Connection,
    scope: Scope,
    account_id: str,
    *,
    reason: str,
    clock: Callable[[], datetime] = utc_now,
) -> ServiceAccount:
    """Retire an account and revoke its keys, in the caller's write transaction; each is a record.

    Raises NotPermitted, ApiKeyError where there is no such account in use, and what `append` raises; the caller must
    then roll back.
    """
    scope.check(Permission.MANAGE_KEYS)
    account = _find(connection, scope, account_id)
    if account is None or account.retired_at is not None:
        raise ApiKeyError(
            f"{scope.organization_id} has no service account {account_id[:60]!r} in use.", "List them to see their ids."
        )
    keys = select(api_key.c.id).where(
        api_key.c.organization_id == scope.organization_id,
        api_key.c.service_account_id == account_id,
        api_key.c.revoked_at.is_(None),
    )
    for key_id in connection.scalars(keys.order_by(api_key.c.id)).all():
        revoke_api_key(connection, scope, key_id, reason=reason, clock=clock)
    now = clock()
    retired = replace(account, retired_at=format_time(now))
    told = account.as_told(), retired.as_told()
    record = tell(connection, scope, (ENTITY_TYPE, account_id, account.name), "retire", *told, reason, now)
    mine = _row.organization_id == scope.organization_id, _row.id == account_id
    connection.execute(update(service_account).where(*mine).values(retired_at=retired.retired_at, seq=record.seq))
    return replace(retired, seq=record.seq)


def list_service_accounts(engine: Engine, scope: Scope) -> list[ServiceAccount]:
    """An organization's accounts by id. Raises NotPermitted, UnknownOrganization."""
    scope.check(Permission.MANAGE_KEYS)
    get_organization(engine, scope.organization_id)
    with engine.connect() as connection:
        mine = select(service_account).where(_row.organization_id == scope.organization_id)
        return [_account(row) for row in connection.execute(mine.order_by(_row.id))]


def _find(connection: Connection, scope: Scope, account_id: str) -> ServiceAccount | None:
    """The account of that id, which nobody else may change meanwhile."""
    if not ACCOUNT_ID.fullmatch(account_id):  # it may be text that no database takes
        return None
    mine = _row.organization_id == scope.organization_id, _row.id == account_id
    row = connection.execute(select(service_account).where(*mine).with_for_update()).first()
    return None if row is None else _account(row)


def _account(row: Row[Any]) -> ServiceAccount:
    return ServiceAccount(**row._asdict())
