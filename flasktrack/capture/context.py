"""Who acts, and in what request: what a record takes from its surroundings.

    with acting(Actor("automation", "nightly-recount"), reason="monthly stock check"):
        session.commit()                      # its records are this automation's

    @acting(Actor("service_account", "lims-sync"))
    async def synchronize(): ...              # each call is; plain functions too

In a request, the middleware (`capture.asgi`, `capture.wsgi`) has opened the scope already, with what the request says
of itself. The application says who it is, once it knows, and may add why:

    identify(Actor("user", "u-17", name="Zoë Ødegaard", role="analyst"), credential_id="session-9")
    give_reason("typing error in the batch number")

A context variable holds the innermost scope. Scopes are objects that all threads and tasks of a request share, since
frameworks run parts of one request in copies of its context (FastAPI runs a plain `def` dependency in a thread of its
own): what is said in one part holds for all of them, and for no other request. Tasks that a request starts keep its
scope. A new thread doesn't (Python gives it an empty context): hand it `carry(function)`. A worker in another process
gets `current().as_dict()` with its job, and runs it under `resume(Attribution.from_dict(...))`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token, copy_context
from dataclasses import asdict, dataclass, field, fields, replace
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, ParamSpec, Self, TypeVar

from flasktrack.core.record import ACTOR_TYPES
from flasktrack.errors import InvalidRecord, NoScope

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `type` is one of spec section 1's (`user`, `api_key`, `service_account`, `automation`, `system`).

    Name and role are recorded as they are now. Raises InvalidRecord for another type and for an id that is no text.
    """

    type: str
    id: str
    name: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        if self.type not in ACTOR_TYPES:
            raise InvalidRecord("actor.type", f"{self.type!r:.60} is none of {', '.join(ACTOR_TYPES)}")
        if not isinstance(self.id, str) or not self.id:
            raise InvalidRecord("actor.id", f"{self.id!r:.60} is not the text of an id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What a scope says of its acts. The names are the record's (spec section 1).

    `context` is what the record's section gets: `request_id`, `trace_id`, `method`, `path`, `ip`, `user_agent` in a
    request, and whatever the application adds.
    """

    actor: Actor | None = None
    credential_id: str | None = None
    on_behalf_of: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a job's message to a worker in another process."""
        return asdict(replace(self, context=dict(self.context)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The counterpart of `as_dict`; what it doesn't know is left aside. Raises InvalidRecord for a bad actor."""
        known = {name.name: values[name.name] for name in fields(cls) if name.name in values}
        if known.get("actor") is not None:
            known["actor"] = Actor(**known["actor"])
        return cls(**known)


class _Scope:
    """An attribution that the threads and tasks of one request or job share, and may complete."""

    __slots__ = ("attribution",)

    def __init__(self, attribution: Attribution) -> None:
        self.attribution = attribution


_NOBODY = Attribution()
_innermost: ContextVar[_Scope | None] = ContextVar("flasktrack_scope", default=None)


def current() -> Attribution:
    """What holds here and now; without an actor outside every scope."""
    scope = _innermost.get()
    return _NOBODY if scope is None else scope.attribution


def identify(actor: Actor, *, credential_id: str | None = None, on_behalf_of: str | None = None) -> None:
    """Say who acts in this request or job, from now on and in all its parts. Raises NoScope outside of one.

    `on_behalf_of` is `type:id` of the actor for whom a machine acts.
    """
    _complete(actor=actor, credential_id=credential_id, on_behalf_of=on_behalf_of)


def give_reason(reason: str) -> None:
    """Say why, in the actor's words, for what this request or job does from now on. Raises NoScope outside of one."""
    _complete(reason=reason)


def _complete(**changes: Any) -> None:
    scope = _innermost.get()
    if scope is None:
        raise NoScope(
            "There is no request or job here whose actor this could be.",
            "Add the middleware to the application, or open a scope: with acting(Actor(...)).",
        )
    scope.attribution = replace(scope.attribution, **changes)


class resume:  # noqa: N801 - read as a verb, like contextlib's
    """A scope with an attribution as it is: `with resume(attribution):`, or a decorator."""

    def __init__(self, attribution: Attribution) -> None:
        self._attribution = attribution
        self._tokens: list[Token[_Scope | None]] = []

    def _open(self) -> Attribution:
        return self._attribution

    def __enter__(self) -> Attribution:
        attribution = self._open()
        self._tokens.append(_innermost.set(_Scope(attribution)))
        return attribution

    def __exit__(self, *_: object) -> None:
        _innermost.reset(self._tokens.pop())

    def _again(self) -> resume:
        """One for each call of a decorated function: calls may overlap."""
        return resume(self._attribution)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError("A generator runs in its callers' scopes: open one inside it, around what it does.")
        if iscoroutinefunction(function):

            @wraps(function)
            async def scoped_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return scoped_coroutine  # type: ignore[return-value]

        @wraps(function)
        def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                return function(*args, **kwargs)

        return scoped


class acting(resume):  # noqa: N801
    """A scope of one's own, for a job, an automation or a part of a request: `with acting(...):`, or a decorator.

    What is not given comes from the scope around it, except that another actor has neither its credential nor its
    `on_behalf_of`; `context` is added to. A scope that stands alone gets a correlation id, so that what one run of a
    job did can be found together.
    """

    def __init__(
        self,
        actor: Actor | None = None,
        *,
        credential_id: str | None = None,
        on_behalf_of: str | None = None,
        reason: str | None = None,
        correlation_id: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            Attribution(
                actor=actor,
                credential_id=credential_id,
                on_behalf_of=on_behalf_of,
                reason=reason,
                correlation_id=correlation_id,
                context=dict(context or {}),
            )
        )

    def _open(self) -> Attribution:
        around, given = current(), self._attribution
        same = given.actor is None
        return Attribution(
            actor=around.actor if same else given.actor,
            credential_id=given.credential_id or (around.credential_id if same else None),
            on_behalf_of=given.on_behalf_of or (around.on_behalf_of if same else None),
            reason=around.reason if given.reason is None else given.reason,
            correlation_id=given.correlation_id or around.correlation_id or str(uuid.uuid4()),
            context={**around.context, **given.context},
        )

    def _again(self) -> resume:
        again = acting()
        again._attribution = self._attribution
        return again


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The function, to be run in another thread with the scope of here and now: `Thread(target=carry(work))`."""
    context = copy_context()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)  # a context can't be entered twice at once

    return carried
