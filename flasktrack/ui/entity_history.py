"""One entity's history: its revisions in time, what each changed, and where the history does not fit together."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import pandas as pd
import streamlit as st

from flasktrack.core.display import display
from flasktrack.insight.history import Revision, entity_history, related_to
from flasktrack.store.reader import Ledger
from flasktrack.ui import address
from flasktrack.ui.charts import clickable_table, draw_figure, table_height
from flasktrack.ui.diff import summary
from flasktrack.ui.figures import Act, timeline
from flasktrack.ui.filter_bar import current_filter, set_filter
from flasktrack.ui.links import page_link
from flasktrack.ui.record_detail import record_detail
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.text import count, hex_text, literal
from flasktrack.ui.theme import is_dark
from flasktrack.ui.times import local, minute, short

MOST_REVISIONS = 1000
"""Revisions on a page, the newest; all of them are read and checked."""

_MOST_LINKS = 12


def draw_history(context: Context, entity: str) -> None:
    """Draw the history of an entity (`type:id`), the revision that the address opens, and what relates to it."""
    entity_type, _, entity_id = entity.partition(":")
    ledger = Ledger(context.engine, context.organization.id)
    with st.spinner("Reading and checking the history ...", show_time=True):
        total, marked, revisions = _read(ledger, entity_type, entity_id)
    title = (shown(revisions[-1].checked.record).entity_name if revisions else None) or entity_id
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(literal(f"{title} ({entity})"), width="content", anchor=False)
        st.button("All entities", icon=":material/arrow_back:", type="tertiary", on_click=_back, args=(context,))
    if not revisions:
        st.info(f"No record is about {literal(entity)}.", icon=":material/info:")
    else:
        st.text(_sentence(context, total, marked, revisions))
        if not replace(current_filter(context), entities=(), with_related=False).is_empty:
            st.caption("This is the whole history: the filter applies to the list of entities, not to it.")
        _draw(context, revisions)
    _related(context, ledger, entity_type, entity_id, revisions)


def _read(ledger: Ledger, entity_type: str, entity_id: str) -> tuple[int, int, Sequence[Revision]]:
    """How many revisions there are, how many need a look, and the newest of them."""
    newest: deque[Revision] = deque(maxlen=MOST_REVISIONS)
    total = marked = 0
    for revision in entity_history(ledger, entity_type, entity_id):
        total += 1
        marked += bool(_mark(revision))
        newest.append(revision)
    return total, marked, list(newest)


def _back(context: Context) -> None:
    set_filter(replace(current_filter(context), entities=(), with_related=False))


def _sentence(context: Context, total: int, marked: int, revisions: Sequence[Revision]) -> str:
    actors = {(display(r.checked.record.actor_type), display(r.checked.record.actor_id)) for r in revisions}
    people = sum(kind == "user" for kind, _ in actors)
    moments = [local(revision.checked.record.occurred_at, context.zone) for revision in revisions]
    known = [moment for moment in moments if moment is not None]
    said = f"{count(total, 'revision')} by {count(people, 'person', 'people')}"
    said += f" and {count(len(actors) - people, 'machine')}"
    if known:
        said += f", {minute(min(known), context.zone)} to {minute(max(known), context.zone)}"
    said += f"; {count(marked, 'revision needs', 'revisions need')} a look." if marked else "; each is sound."
    if total > len(revisions):
        said += f" Here are the newest {len(revisions):,}."
    return said


def _mark(revision: Revision) -> str:
    """What is wrong with a revision, in words; empty where nothing is."""
    said = [finding.code.replace("_", " ") for finding in revision.checked.findings]
    if revision.missing:
        first, last = revision.missing[0], revision.missing[-1]
        said.insert(0, f"missing before it: {first:,}" + (f" to {last:,}" if last > first else ""))
    if revision.gap:
        said.insert(0, "changed unrecorded before it")
    return ", ".join(said)


def _draw(context: Context, revisions: Sequence[Revision]) -> None:
    opened = address.position("record")
    acts = [act for revision in revisions if (act := _act(context, revision)) is not None]
    figure = timeline(acts, context.zone.key, dark=is_dark(), selected=opened)
    draw_figure(
        figure, f"timeline_{_key(revisions)}_{opened}", "Revisions over time",
        lambda data: address.write(record=int(data[0])),
    )  # fmt: skip
    if opened is None:
        _table(context, revisions, narrow=False)
        return
    table, detail = st.columns([1, 1])
    with table:
        _table(context, revisions, narrow=True)
    with detail:
        record_detail(context, opened, listed=[r.checked.record.seq for r in reversed(revisions)])


def _act(context: Context, revision: Revision) -> Act | None:
    record = shown(revision.checked.record)
    occurred = local(record.occurred_at, context.zone)
    if occurred is None:
        return None
    kind = "person" if record.actor_type == "user" else "machine"
    actor = record.actor_name or record.actor_id
    return Act(record.seq, revision.number, occurred, record.action, actor, kind, _mark(revision))


def _table(context: Context, revisions: Sequence[Revision], *, narrow: bool) -> None:
    """The revisions, the newest first; a click opens one."""
    newest_first = list(reversed(revisions))
    table = pd.DataFrame(
        [
            (
                revision.number if isinstance(revision.number, int) else None,
                short(record.occurred_at, context.zone),
                record.actor_name or record.actor_id,
                record.action,
                display(summary(revision.changes)),
                record.reason or "",
                _mark(revision),
            )
            for revision, record in ((revision, shown(revision.checked.record)) for revision in newest_first)
        ],
        columns=["revision", "time", "actor", "action", "changes", "reason", "look"],
    )
    column = st.column_config
    clickable_table(
        table,
        f"revisions_{_key(revisions)}",
        lambda row: address.write(record=newest_first[row].checked.record.seq),
        height=table_height(len(table), 430),
        column_order=_columns(narrow=narrow, looks=any(table["look"])),
        column_config={
            "revision": column.NumberColumn("Revision", format="localized", width=70),
            "time": column.TextColumn("Occurred", help=f"In {context.zone.key}", width=150),
            "actor": column.TextColumn("Actor", width=130),
            "action": column.TextColumn("Action", width=75),
            "changes": column.TextColumn("What changed", width=330),
            "reason": column.TextColumn("Reason", width=130),
            "look": column.TextColumn("Needs a look", width=170),
        },
    )


def _key(revisions: Sequence[Revision]) -> str:
    """What tells this history from another one, and from itself when it has grown."""
    return hex_text(revisions[-1].checked.record.hash)[:12]


def _columns(*, narrow: bool, looks: bool) -> list[str]:
    """What is shown beside an opened record (`narrow`) and otherwise."""
    wanted = ["revision", "look", "time", "actor", "action", "changes", "reason"]
    dropped = {"actor", "reason"} if narrow else set()
    return [name for name in wanted if name not in dropped and (looks or name != "look")]


def _related(context: Context, ledger: Ledger, entity_type: str, entity_id: str, revisions: Sequence[Revision]) -> None:
    """What the entity relates to, and what relates to it; each is a link to its history."""
    names = dict.fromkeys(
        f"{item.type}:{item.id}" for revision in revisions for item in revision.checked.record.related
    )
    relating: dict[str, str] = {}
    for checked in islice(related_to(ledger, entity_type, entity_id), MOST_REVISIONS):
        record = shown(checked.record)
        relating.setdefault(f"{record.entity_type}:{record.entity_id}", record.entity_name or record.entity_id)
    if not names and not relating:
        return
    left, right = st.columns(2)
    with left:
        _links(context, "Relates to", dict.fromkeys(names, ""))
    with right:
        _links(context, "Related to it", relating)


def _links(context: Context, title: str, entities: dict[str, str]) -> None:
    st.markdown(f"**{title}** ({len(entities):,})")
    for entity, name in islice(entities.items(), _MOST_LINKS):
        label = f"{entity} {name}" if name and not entity.endswith(f":{name}") else entity
        page_link(context, "entities", label, place=title, entity=[entity])
    if len(entities) > _MOST_LINKS:
        with st.expander(f"{len(entities) - _MOST_LINKS:,} more"):
            for entity in islice(entities, _MOST_LINKS, _MOST_LINKS + 200):
                page_link(context, "entities", entity, place=title, entity=[entity])
