"""Recording what an application changes: two lines, and the marks on its classes.

    recorder = capture(engine, "northwind-labs")      # an Engine or AsyncEngine: all its sessions and connections
    app.add_middleware(RequestScope)                  # who acts, and in what request: capture.asgi, capture.wsgi

From then on each flush, bulk operation and Core statement that changes a row of an audited class is a record, in the
same transaction: both commit, or neither. The organization's chain must be in the database that the change is made in.

Without an actor a change is refused before it is made. `capture.sessions` says how flushes are captured,
`capture.statements` how statements are, `capture.pending` when records are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import Session

from flasktrack.capture.context import Actor, current
from flasktrack.capture.pending import Changes, Pending, attributed
from flasktrack.errors import CaptureRefused, NoActor

_OPTION = "flasktrack_recorder"  # an execution option: what leads from a connection to its recorder
_PARAMSTYLES = {"sqlite": ("qmark",), "postgresql": ("pyformat", "format")}
"""Those in which the writer of records speaks to the driver."""


def capture(
    engine: Engine | AsyncEngine,
    organization: str | Callable[[], str],
    *,
    statements: Literal["capture", "refuse"] = "capture",
    without_actor: Actor | None = None,
) -> Recorder:
    """Record what is changed through an engine, from now on. Call it before the engine is used.

    `organization` is the id of the organization whose chain takes the records, or a function that gives it at each
    change, where one application serves several. `statements="refuse"` lets audited rows be changed through sessions'
    units of work only, and not by bulk operations and Core statements. `without_actor` is who acts where nobody is
    known to; without it such a change raises NoActor.

    Raises CaptureRefused for a database or driver that records can't be written through, and for a second call.
    """
    from flasktrack.capture.sessions import listen_to_sessions
    from flasktrack.capture.statements import listen_to_statements

    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if target.dialect.paramstyle not in _PARAMSTYLES.get(target.dialect.name, ()):
        raise CaptureRefused(
            f"Changes through {target.dialect.name}+{target.dialect.driver} can't be recorded.",
            "Use sqlite, sqlite+aiosqlite or postgresql+psycopg.",
        )
    if recorder_of(target) is not None:
        raise CaptureRefused("This engine's changes are recorded already.", "Call capture once for each engine.")
    recorder = Recorder(organization, statements == "refuse", without_actor)
    target.update_execution_options(**{_OPTION: recorder})
    recorder.listen(target)
    listen_to_statements(target, recorder)
    listen_to_sessions()
    return recorder


def recorder_of(bind: Engine | Connection) -> Recorder | None:
    """The recorder of what is changed through an engine or connection; None where nothing is recorded."""
    found = bind.get_execution_options().get(_OPTION)
    return found if isinstance(found, Recorder) else None


class Recorder:
    """Collects what the connections of one engine change, and appends it when they commit."""

    def __init__(
        self, organization: str | Callable[[], str], refuses_statements: bool, without_actor: Actor | None
    ) -> None:
        self.refuses_statements = refuses_statements
        self._organization = organization
        self._without_actor = without_actor
        self._pending: WeakKeyDictionary[Connection, Pending] = WeakKeyDictionary()
        self._savepoints_made: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    def knows_actor(self) -> bool:
        """Whether somebody is known to act."""
        return self._without_actor is not None or current().actor is not None

    def actor(self) -> Actor:
        """Who acts. Raises NoActor where nobody is known to."""
        actor = current().actor or self._without_actor
        if actor is None:
            raise NoActor(
                "Nobody is known to make this change, so it was not made.",
                "Call identify(Actor(...)) in the request, or put the work into: with acting(Actor(...)).",
            )
        return actor

    def organization(self) -> str:
        """The organization whose chain takes what is changed now."""
        return self._organization if isinstance(self._organization, str) else self._organization()

    def pending(self, connection: Connection) -> Pending:
        """What the connection's transaction is going to record."""
        pending = self._pending.get(connection)
        if pending is None:
            pending = self._pending[connection] = Pending()
        return pending

    def record(self, connection: Connection, changes: Changes) -> None:
        """Put down what has changed."""
        events = changes.events(connection, current(), self.actor)
        if events:
            self.refuse_autocommit(connection)
            self.pending(connection).add(connection, self.organization(), events)

    def act(
        self,
        where: Session | Connection | AsyncConnection,
        action: str,
        entity_type: str,
        entity_id: str,
        *,
        context: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Record an act that changes no row, or that has a name of its own (`approve`, `download`, `sign_in`).

        It is written with the transaction of the session or connection, and undone with it. `fields` are those of
        core.record.Event, such as outcome, entity_name, reason, related, before, after; `context` is added to the
        scope's. Raises NoActor.
        """
        connection = _connection(where)
        self.refuse_autocommit(connection)
        act = attributed(
            current(), self.actor(), action=action, entity_type=entity_type, entity_id=entity_id,
            context=context or {}, **fields,
        )  # fmt: skip
        self.pending(connection).events.append((self.organization(), act))

    def refuse_autocommit(self, connection: Connection) -> None:
        """Raise CaptureRefused where each statement commits by itself: no record could be in its transaction."""
        level = connection.get_execution_options().get("isolation_level")
        driver = connection.connection.dbapi_connection
        if level == "AUTOCOMMIT" or (connection.dialect.name == "postgresql" and getattr(driver, "autocommit", False)):
            raise CaptureRefused(
                "Audited rows can't be changed in autocommit mode: a change would stand without its record.",
                "Use a transaction for it.",
            )

    def listen(self, engine: Engine) -> None:
        """Follow the engine's transactions."""
        for name, listener in {
            "begin": self._forget,
            "begin_twophase": self._forget,
            "rollback": self._forget,
            "rollback_twophase": self._forget,
            "commit": self._append,
            "prepare_twophase": self._append,
            "commit_twophase": self._append,
            "savepoint": self._open_savepoint,
            "release_savepoint": self._release_savepoint,
            "rollback_savepoint": self._undo_savepoint,
        }.items():
            event.listen(engine, name, listener)

    def _forget(self, connection: Connection, *_: Any) -> None:
        self._pending.pop(connection, None)

    def _append(self, connection: Connection, *_: Any) -> None:
        pending = self._pending.get(connection)
        if pending is not None:
            pending.append(connection)

    def _open_savepoint(self, connection: Connection, name: str | None) -> None:
        if name is None:  # as SQLAlchemy is about to name it
            number = self._savepoints_made[connection] = self._savepoints_made.get(connection, 0) + 1
            name = f"sa_savepoint_{number}"
        pending = self.pending(connection)
        pending.relieve(connection)
        pending.savepoints.append((name, len(pending.events)))

    def _release_savepoint(self, connection: Connection, name: str, _: Any) -> None:
        self.pending(connection).release(name)

    def _undo_savepoint(self, connection: Connection, name: str, _: Any) -> None:
        self.pending(connection).undo(name)


def _connection(where: Session | Connection | AsyncConnection) -> Connection:
    if isinstance(where, Session):
        return where.connection()
    if isinstance(where, AsyncConnection):
        if where.sync_connection is None:
            raise CaptureRefused("An act can't be recorded on a connection that isn't open.", "Open it first.")
        return where.sync_connection
    return where
