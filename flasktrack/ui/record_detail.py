"""One record in full: who did what and when, what changed, what it is chained to, and whether it is sound."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from flasktrack.core.display import display
from flasktrack.core.finding import Finding
from flasktrack.core.record import SECTIONS, Record, Reference, Section
from flasktrack.insight.history import EntityHistory, parse_body
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.ui import address
from flasktrack.ui.diff import draw_change_rows, draw_changes, draw_values
from flasktrack.ui.links import CURRENT_PAGE, page_link
from flasktrack.ui.looking import viewed
from flasktrack.ui.record_proof import draw_proof
from flasktrack.ui.session import Context
from flasktrack.ui.shown import shown
from flasktrack.ui.text import hex_text, literal, number
from flasktrack.ui.theme import OUTCOME, SEVERITY, badge
from flasktrack.ui.times import full
from flasktrack.ui.vocabulary import ACTOR_TYPE_WORDS

SHORT_HASH = 12
_HEIGHT = 560


def record_detail(context: Context, seq: int, *, listed: Sequence[int] = (), findings: Sequence[Finding] = ()) -> None:
    """Draw the record at a position, with ways to its neighbours and to close it again.

    The neighbours are those among `listed`, in that order; where the record is not listed, those in the chain.
    `findings` are what a verification says of this position, which knows more than a reader of one record.
    """
    ledger = Ledger(context.engine, context.scope)
    checked = ledger.get(seq)
    viewed(context, st.session_state[CURRENT_PAGE], "record", str(seq))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"Record {seq:,}", anchor=False)
        _neighbours(ledger, seq, listed)
        _step("Close", ":material/close:", None)
    if checked is None:
        st.warning("There is no record at this position.", icon=":material/warning:")
        draw_findings(findings)
        return
    known = {finding.code for finding in findings}
    if "record_reordered" in known:  # to a reader of one record, one that was moved looks altered
        known.add("record_modified")
    with st.container(height=_HEIGHT, border=True):
        draw_findings([*findings, *(finding for finding in checked.findings if finding.code not in known)])
        _facts(context, checked.record)
        _unrecorded(ledger, checked)
        _changes(checked)
        _links(context, checked.record)
        _request(checked)
        _chain(checked.record)
        draw_proof(context, checked)


def _neighbours(ledger: Ledger, seq: int, listed: Sequence[int]) -> None:
    if seq in listed:
        place = listed.index(seq)
        _step("Previous", ":material/arrow_upward:", listed[place - 1] if place else None, off=not place)
        last = place == len(listed) - 1
        _step("Next", ":material/arrow_downward:", None if last else listed[place + 1], off=last)
        return
    newest = ledger.newest()
    _step(f"Position {seq - 1:,}", ":material/chevron_left:", seq - 1, off=seq <= 1)
    _step(f"Position {seq + 1:,}", ":material/chevron_right:", seq + 1, off=seq >= newest)


def _unrecorded(ledger: Ledger, checked: CheckedRecord) -> None:
    """What changed past the recorder before this record."""
    entity = Reference(checked.record.entity_type, checked.record.entity_id)
    changed = EntityHistory(ledger, entity).unrecorded_change(checked)
    if changed:
        st.markdown(f"**:{SEVERITY['warning'].colour}[{SEVERITY['warning'].icon} Changed unrecorded before this act]**")
        draw_change_rows(changed)


def draw_findings(findings: Sequence[Finding]) -> None:
    """Say plainly what is wrong with a record."""
    for finding in findings:
        look = SEVERITY[finding.severity]
        draw = {"error": st.error, "warning": st.warning, "info": st.info}[finding.severity]
        draw(f"**{look.word}:** {literal(finding.detail)} `{finding.code}`", icon=look.icon)


def _step(label: str, icon: str, seq: int | None, *, off: bool = False) -> None:
    st.button(
        label, icon=icon, key=f"record_{label}", type="tertiary", disabled=off,
        on_click=address.write, kwargs={"record": seq},
    )  # fmt: skip


def _facts(context: Context, stored: Record) -> None:
    record = shown(stored)
    actor = f"{record.actor_name or record.actor_id} ({record.actor_type}:{record.actor_id})"
    entity = f"{record.entity_name or record.entity_id} ({record.entity_type}:{record.entity_id})"
    facts = {
        "Actor": actor,
        "Actor type": ACTOR_TYPE_WORDS.get(record.actor_type, record.actor_type),
        "Role then": record.actor_role,
        "Credential": record.credential_id,
        "On behalf of": record.on_behalf_of,
        "Action": record.action,
        "Entity": entity,
        "Reason": record.reason,
        "Occurred": full(record.occurred_at, context.zone),
        "Recorded": full(record.recorded_at, context.zone),
        "Correlation": record.correlation_id,
        "Of this actor": f"record {number(record.actor_seq)}",
        "Of this entity": f"record {number(record.entity_seq)}",
        "Record id": record.record_id,
    }
    look = OUTCOME.get(record.outcome)
    if look is None:
        st.text(f"Outcome: {record.outcome}")
    else:
        badge(look)
    _table(facts)


def _table(facts: dict[str, str | None]) -> None:
    """Names and values; st.table reads markdown, so every text is made literal."""
    rows = {"": [literal(name) for name in facts], " ": [literal(text or "") for text in facts.values()]}
    present = [place for place, text in enumerate(facts.values()) if text]
    st.table(
        {name: [column[place] for place in present] for name, column in rows.items()},
        border="horizontal", hide_index=True, hide_header=True,
    )  # fmt: skip


def _changes(checked: CheckedRecord) -> None:
    """Before and after, field by field; a body that can't be read (somebody altered it) as the text that it is."""
    readable, parsed = True, {}
    for name in ("before", "after"):
        section: Section | None = getattr(checked, name)
        digest = getattr(checked.record, f"{name}_digest")
        if section is None:
            if digest is not None:
                st.info(f"The section {name} was recorded, but is no longer stored.", icon=":material/info:")
                readable = False
            continue
        try:
            parsed[name] = parse_body(section.body)
        except ValueError:
            readable = False
            st.caption(f"{name.title()}, as stored")
            st.code(display(section.body), language=None, wrap_lines=True)
    if parsed:
        st.markdown(_heading(readable, parsed))
        draw_changes(parsed.get("before"), parsed.get("after"))


def _heading(readable: bool, parsed: dict[str, object]) -> str:
    if readable and len(parsed) > 1:
        return "**What changed**"
    return "**What was deleted**" if readable and "before" in parsed else "**What was recorded**"


def _links(context: Context, record: Record) -> None:
    st.markdown("**Histories**")
    entity = f"{record.entity_type}:{record.entity_id}"
    page_link(context, "entities", f"This entity: {entity}", entity=[entity])
    if isinstance(record.entity_seq, int):
        label = f"Its state after this act (revision {record.entity_seq:,})"
        page_link(context, "entities", label, entity=[entity], view="state", revision=record.entity_seq)
    for reference in dict.fromkeys(record.related):
        related = f"{reference.type}:{reference.id}"
        page_link(context, "entities", f"Related: {related}", entity=[related])
    actor = f"{record.actor_type}:{record.actor_id}"
    page_link(context, "records", f"All by this actor: {actor}", actor=[actor])


def _request(checked: CheckedRecord) -> None:
    if checked.context is None:
        return
    st.markdown("**Request context**")
    try:
        draw_values(parse_body(checked.context.body))
    except ValueError:
        st.code(display(checked.context.body), language=None, wrap_lines=True)


def _chain(record: Record) -> None:
    """Hashes, short for the eye; and for the clipboard whole, with the ids, which no word joiner is put into."""
    st.markdown("**Chain**")
    hashes = {"Hash": record.hash, "Hash of the record before": record.prev_hash}
    digests = {f"Digest of {name}": getattr(record, f"{name}_digest") for name in SECTIONS}
    present = {name: hex_text(value) for name, value in (hashes | digests).items() if value is not None}
    short = [f"`{text[:SHORT_HASH]}…`" if text.isalnum() else literal(text) for text in present.values()]
    st.table(
        {"": list(present), " ": short},
        border="horizontal", hide_index=True, hide_header=True,
    )  # fmt: skip
    ids = {"Record id": record.record_id, "Actor": record.actor_id, "Entity": record.entity_id,
           "Credential": record.credential_id, "Correlation": record.correlation_id}  # fmt: skip
    with st.popover("Ids and hashes to copy", icon=":material/content_copy:", width="content"):
        for name, text in (present | {name: display(id_) for name, id_ in ids.items() if id_}).items():
            st.caption(name)
            st.code(text, language=None, wrap_lines=True)
