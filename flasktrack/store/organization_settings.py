"""Settings of an organization: each is a JSON object under a name, and each change of one is a record in its chain.

    with writing(engine) as connection:
        change_setting(connection, scope, "attention", before, after, since=0, permission=..., reason="...")

The row and the record are written in one transaction, and the row names the record. The record's `after` is the very
text of the row, so whoever changes, adds or removes a row past FlaskTrack is found out when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, func, insert, select, update

from flasktrack.core.body import encode_body
from flasktrack.core.record import Record
from flasktrack.core.times import utc_now
from flasktrack.errors import SettingRefused
from flasktrack.store.acts import append_act
from flasktrack.store.organizations import find_organization
from flasktrack.store.reader import by_no_key, newest_of_entity
from flasktrack.store.row_security import of_organization
from flasktrack.store.schema import audit_record, organization_setting
from flasktrack.store.scope import Permission, Scope, scoped

ENTITY_TYPE = "organization_setting"
_row = organization_setting.c


class Setting(NamedTuple):
    """What is set, and the position of the record that set it; None and 0 where nothing was.

    `problem` says in a sentence why the stored value can't be relied on; then `value` is None. `seq` then is that of
    the newest record that speaks of it.
    """

    value: dict[str, Any] | None
    seq: int
    problem: str | None = None


def read_setting(engine: Engine, scope: Scope, name: str) -> Setting:
    """The setting of that name, held against the newest record that speaks of it.

    Raises UnknownOrganization.
    """
    with of_organization(engine, scope.organization_id).connect() as connection:
        find_organization(connection, scope.organization_id)
        stored = connection.execute(_stored(scope, name)).first()
        newest = newest_of_entity(connection, scope.organization_id, ENTITY_TYPE, name)
    if stored is None and newest is None:
        return Setting(None, 0)
    seq = 0 if newest is None else newest.record.seq
    if newest is None or newest.findings:
        says = "no sound record says so"
    elif stored is None:
        says = f"it is gone, though record {seq:,} sets it"
    elif newest.after is None or (stored.seq, stored.value) != (seq, newest.after.body):
        says = f"it is not what record {seq:,} says"
    else:
        return Setting(orjson.loads(stored.value), seq)
    return Setting(None, seq, f"The setting {name} was changed past FlaskTrack: {says}.")


def change_setting(
    connection: Connection,
    scope: Scope,
    name: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    since: int,
    permission: Permission,
    reason: str,
    title: str | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Record:
    """Set a setting in the caller's write transaction, and return the record of it.

    `before` is what was in force when the change was decided on (defaults, where nothing was stored), and `since` the
    `seq` that `read_setting` gave with it; `permission` is what it takes. Raises NotPermitted; SettingRefused where
    another change came between, for a change of nothing and for one without a reason; and what `append` raises. After
    any of them the caller must roll back.
    """
    scope.check(permission)
    if not reason.strip():
        raise SettingRefused("A change of a setting needs a reason.", "Say why; it stands in the record.")
    if before == after:
        raise SettingRefused("Nothing was changed, so nothing was recorded.")
    # First the record: it takes the organization's head, so that no other change comes between the look and the row.
    entity = ENTITY_TYPE, name, title
    record = append_act(
        connection, scope, "update", entity, reason=reason.strip(), before=before, after=after, clock=clock
    )
    seq, kind, id_ = (audit_record.c[column] for column in ("seq", "entity_type", "entity_id"))
    former = scoped(scope, func.max(seq)).where(kind == ENTITY_TYPE, id_ == name, seq < record.seq, by_no_key())
    if (connection.execute(former).scalar_one() or 0) != since:
        raise SettingRefused("Somebody else changed this setting meanwhile; nothing was written.", "Look at it again.")
    values = {"value": encode_body("after", after), "seq": record.seq}
    if connection.execute(_stored(scope, name)).first() is None:
        values |= {"organization_id": scope.organization_id, "name": name}
        connection.execute(insert(organization_setting).values(**values))
    else:
        mine = _row.organization_id == scope.organization_id, _row.name == name
        connection.execute(update(organization_setting).where(*mine).values(**values))
    return record


def _stored(scope: Scope, name: str) -> Any:
    return select(_row.value, _row.seq).where(_row.organization_id == scope.organization_id, _row.name == name)
