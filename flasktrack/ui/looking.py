"""What people look at on pages is noted here, and recorded in the background, once a while and when the app stops."""

from __future__ import annotations

import atexit
import json
import threading

import streamlit as st

from flasktrack.access.looking import SEARCH, VIEW, Look, Looks
from flasktrack.core.record import Reference
from flasktrack.insight.filter import RecordFilter
from flasktrack.ui.registry import PAGES
from flasktrack.ui.session import Context

_EVERY = 30.0  # seconds between two looks at what is due


@st.cache_resource(show_spinner=False)
def looks() -> Looks:
    """The one place where looks are gathered; it lasts as long as the app."""
    gathered = Looks()
    stopped = threading.Event()

    def record() -> None:
        while not stopped.wait(_EVERY):
            gathered.flush()

    def stop() -> None:
        stopped.set()
        gathered.flush(everything=True)

    threading.Thread(target=record, name="looks", daemon=True).start()
    atexit.register(stop)
    return gathered


def viewed(context: Context, page: str, kind: str, id_: str) -> None:
    """Somebody views an entity, an actor, or (kind `record`) one record."""
    _note(context, Look(VIEW, _page(page), Reference(kind, id_)))


def searched(context: Context, page: str, chosen: RecordFilter, **words: str) -> None:
    """Somebody searches, where the filter or the words that were typed besides ask for less than all."""
    asked = chosen.to_params() | {name: typed for name, typed in words.items() if typed}
    if asked:
        _note(context, Look(SEARCH, _page(page), filter=json.dumps(asked, sort_keys=True)))


def turned_away(context: Context, page: str) -> None:
    """Somebody asks for a page that their roles do not open."""
    _note(context, Look(VIEW, _page(page), outcome="denied"))


def _note(context: Context, look: Look) -> None:
    looks().note(context.engine, context.scope, look)


def _page(key: str) -> tuple[str, str]:
    return key, PAGES[key].title
