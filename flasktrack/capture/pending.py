"""What a transaction is going to record, and when it is written down.

Changes are collected as they are made, with the actor of that moment, and appended to the chain when the connection is
about to commit, whoever makes it: a session, a connection, one that a session has joined. An append takes the
organization's head row for the rest of the transaction, and every other writer waits for it: so it is held for the
milliseconds before a commit, and not for as long as a request takes. What a savepoint undoes is dropped with it, and
what the transaction undoes is never written.

A transaction that changes very much appends as it goes, so that memory stays bounded, and holds the head from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from flasktrack.capture.catalog import Holding, configured_catalog
from flasktrack.capture.context import Actor, Attribution
from flasktrack.capture.kinds import Key, Kind, State
from flasktrack.core.record import Event
from flasktrack.core.times import utc_now
from flasktrack.errors import CaptureRefused, FlaskTrackError
from flasktrack.store.writer import append

MAX_EVENTS = 5000
"""Events that are kept in memory; with their snapshots a few megabytes."""


class Changes:
    """Rows that a flush or a statement is about to change: what they were before, in the order they were named."""

    def __init__(self) -> None:
        self._before: dict[Kind, dict[Key, State | None]] = {}
        self._named: dict[tuple[Kind, Any], Key] = {}  # the key afterwards, by key or, of what is new, by a place

    def read(self, connection: Connection, kind: Kind, keys: Iterable[Key]) -> None:
        """Read rows as they are before the change, unless they have been read."""
        known = self._before.setdefault(kind, {})
        new = [key for key in keys if key not in known]
        known.update(dict.fromkeys(new))
        known.update(kind.read(connection, new, lock=True))

    def name(self, connection: Connection, kind: Kind, keys: Iterable[Key]) -> None:
        """Take in rows that exist, or may."""
        keys = list(keys)
        self.read(connection, kind, keys)
        for key in keys:
            self._named.setdefault((kind, key), key)

    def name_new(self, kind: Kind, key: Key) -> None:
        """Take in a row that the change has made."""
        self._before.setdefault(kind, {})
        self._named.setdefault((kind, key), key)

    def name_coming(self, kind: Kind, place: object) -> None:
        """Take in a row that the change is about to make; `place` stands for its key until `rename` tells it."""
        self._before.setdefault(kind, {})
        self._named[kind, place] = ()

    def rename(self, kind: Kind, key: object, later: Key) -> None:
        """What was named by a key or place has this primary key after the change."""
        self._named[kind, key] = later

    def name_held(self, connection: Connection, holding: Holding, keys: Iterable[Key]) -> None:
        """Take in rows of a table, whatever kinds they are of."""
        for kind, some in holding.sort(connection, keys).items():
            self.name(connection, kind, some)

    def events(self, connection: Connection, attribution: Attribution, actor: Callable[[], Actor]) -> list[Event]:
        """Read what the rows are now; an event for each that is another than before."""
        keys: dict[Kind, list[Key]] = {}
        for (kind, _), later in self._named.items():
            keys.setdefault(kind, []).append(later)
        after = {kind: kind.read(connection, some) for kind, some in keys.items()}
        events = []
        for (kind, key), later in self._named.items():
            known = self._before[kind]
            before = known[key] if key in known else known.get(later)  # a new row may take a deleted one's place
            event = _event(kind, before, after[kind].get(later), attribution, actor)
            if event is not None:
                events.append(event)
        return events


def _event(
    kind: Kind, before: State | None, after: State | None, attribution: Attribution, actor: Callable[[], Actor]
) -> Event | None:
    """The event of a row that changed; None where nothing did that is recorded."""
    state = before or after
    if state is None:
        return None
    sections = kind.snapshot(before), kind.snapshot(after)
    hidden = kind.changed_behind_masks(before, after)
    if sections[0] == sections[1] and not hidden:
        return None
    newest = after or state
    related = configured_catalog().related(kind, *(one.values for one in (before, after) if one is not None))
    if after is not None and after.id != state.id:  # its primary key was changed
        related.append((kind.entity_type, after.id))
    return attributed(
        attribution,
        actor(),
        action="create" if before is None else "delete" if after is None else "update",
        entity_type=kind.entity_type,
        entity_id=state.id,
        entity_name=kind.name_of(newest),
        related=related[:100],
        before=sections[0],
        after=sections[1],
        context={"masked_changes": hidden} if hidden else {},
    )


def attributed(attribution: Attribution, actor: Actor, *, context: Mapping[str, Any], **fields: Any) -> Event:
    """An event of now, by this actor and in this scope."""
    return Event(
        occurred_at=utc_now(),
        actor_type=actor.type,
        actor_id=actor.id,
        actor_name=actor.name,
        actor_role=actor.role,
        credential_id=attribution.credential_id,
        on_behalf_of=attribution.on_behalf_of,
        correlation_id=attribution.correlation_id,
        **{"reason": attribution.reason, **fields},
        context={**attribution.context, **context} or None,
    )


@dataclass(slots=True)
class Pending:
    """What one transaction of a connection is going to record."""

    events: list[tuple[str, Event | FlaskTrackError]] = field(default_factory=list)
    """With their organizations, in their order. An error stands for a change that could not be recorded."""
    savepoints: list[tuple[str, int]] = field(default_factory=list)
    """Open ones: their names, and how many events there were before each."""
    flush: Any = None
    """The flush that is going on (capture.sessions)."""
    statement: Any = None
    """The statement that is being run (capture.statements)."""

    def add(self, connection: Connection, organization_id: str, events: Iterable[Event | FlaskTrackError]) -> None:
        """Take in events; very many of them are appended at once."""
        self.events.extend((organization_id, event) for event in events)
        self.relieve(connection)

    def relieve(self, connection: Connection) -> None:
        """Append what is there, if it is very much; not inside a savepoint, which would undo what came before it."""
        if len(self.events) > MAX_EVENTS and not self.savepoints:
            self.append(connection)

    def append(self, connection: Connection) -> None:
        """Append what is there. Organizations come in the order of their ids, so that two transactions can't deadlock.

        Raises the error of a change that could not be recorded, and what the writer raises.
        """
        pairs = sorted(self.events, key=_organization)
        for organization_id, some in groupby(pairs, _organization):
            events = []
            for _, event in some:
                if isinstance(event, FlaskTrackError):
                    raise event
                events.append(event)
            append(connection, organization_id, events)
        self.events.clear()

    def release(self, name: str) -> None:
        """A savepoint is over, and what it holds stays."""
        if self._knows(name):
            self._close(name)

    def undo(self, name: str) -> None:
        """A savepoint is undone, with those inside it."""
        self.flush = self.statement = None
        if self._knows(name):
            del self.events[self._close(name) :]
            return
        problem = CaptureRefused(
            "What a savepoint undid can't be told from what it left, as it is older than the capture.",
            "Call capture before the engine is used. Nothing of this transaction can be committed.",
        )
        self.events.append(("", problem))

    def _knows(self, name: str) -> bool:
        return any(opened == name for opened, _ in self.savepoints)

    def _close(self, name: str) -> int:
        """Close a savepoint and those inside it; how many events there were before it."""
        names = [opened for opened, _ in self.savepoints]
        place = len(names) - 1 - names[::-1].index(name)
        before = self.savepoints[place][1]
        del self.savepoints[place:]
        return before


def _organization(pair: tuple[str, Event | FlaskTrackError]) -> str:
    return pair[0]
