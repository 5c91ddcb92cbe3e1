"""Answers kept for the next run: every rerun of a page asks the same questions again.

An answer is keyed by the database, the organization and its newest record, so it is asked anew once there is
another record. Verdicts are never kept.
"""

from __future__ import annotations

import pickle  # nosec B403 (nothing is read with it)
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import streamlit as st

from flasktrack.insight.copy import CopyFailed
from flasktrack.insight.questions import Questions
from flasktrack.store.scope import Permission
from flasktrack.ui.session import Context

P = ParamSpec("P")
Answer = TypeVar("Answer")


def ask(
    context: Context, question: Callable[Concatenate[Questions, P], Answer], *args: P.args, **kwargs: P.kwargs
) -> Answer:
    """The answer to one of the questions of `insight`, as `ask(context, Questions.totals, chosen)`.

    A question is a method of Questions, or a function that is given them first. The caller gets a copy of its own.
    Raises NotPermitted, for an answer that is kept, too.
    """
    context.scope.check(Permission.SEE_ACTIVITY)
    place = context.copy.engine.url.render_as_string(hide_password=True)
    newest = context.standing.state.last_hash.hex()  # tells two databases apart, too
    name = f"{question.__module__}.{question.__qualname__}"
    given = pickle.dumps((args, kwargs))  # Streamlit would look at them piece by piece, which takes a page far longer
    try:
        return cast(Answer, _ask(context, question, args, kwargs, place, context.organization.id, newest, name, given))
    except CopyFailed:
        if context.copy.renew():  # the file is damaged: another one is begun
            st.rerun()
        raise


@st.cache_data(max_entries=300, ttl=600, show_spinner=False)
def _ask(
    _context: Context, _question: Any, _args: Any, _kwargs: Any,
    place: str, organization_id: str, newest: str, name: str, given: bytes,
) -> Any:  # fmt: skip
    return _question(Questions(_context.copy, _context.scope), *_args, **_kwargs)
