"""Attacks on a chain of twelve records (`SIZE`), and the findings of spec section 5 that each should give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from flasktrack.core.header import ZERO_HASH
from flasktrack.core.record import Record
from tests import adversary
from tests.verify.chains import Said, error, warning

SIZE = 12
Step = Callable[[Engine, str], None]


def do(attack: Callable[..., None], *arguments: Any, **changes: Any) -> Step:
    """An attack with its arguments, to be carried out on any organization."""
    return lambda engine, organization_id: attack(engine, organization_id, *arguments, **changes)


def recorded_a_year_early(seq: int) -> Callable[[Record], Record]:
    def change(record: Record) -> Record:
        return record._replace(recorded_at=f"2025{record.recorded_at[4:]}") if record.seq == seq else record

    return change


def counted(seq: int, actor_seq: int | None = None, entity_seq: int | None = None) -> Callable[[Record], Record]:
    def change(record: Record) -> Record:
        if record.seq != seq:
            return record
        return record._replace(actor_seq=actor_seq or record.actor_seq, entity_seq=entity_seq or record.entity_seq)

    return change


ATTACKS: dict[str, tuple[list[Step], list[Said]]] = {
    # record_modified
    "first record altered": ([do(adversary.alter_record, 1, actor_id="u-99")], [error("record_modified", 1)]),
    "last record altered": ([do(adversary.alter_record, 12, reason=None)], [error("record_modified", 12)]),
    "neighbours altered": (
        [do(adversary.alter_record, seq, outcome="denied") for seq in (4, 5, 6, 8)],
        [error("record_modified", 4, 6), error("record_modified", 8)],
    ),
    # record_reordered
    "neighbours swapped": ([do(adversary.swap_records, 4, 5)], [error("record_reordered", 4, 5)]),
    "distant records swapped": (
        [do(adversary.swap_records, 2, 9)],
        [error("record_reordered", 2), error("record_reordered", 9)],
    ),
    "first and last record swapped": (
        [do(adversary.swap_records, 1, 12)],
        [error("record_reordered", 1), error("record_reordered", 12)],
    ),
    "a record moved to position 0": ([do(adversary.move_record, 5, 0)], [error("record_reordered", 0)]),
    "a record moved below 0": ([do(adversary.move_record, 5, -3)], [error("record_reordered", -3)]),
    # record_missing
    "first record deleted": ([do(adversary.delete_records, 1)], [error("record_missing", 1)]),
    "a record deleted": ([do(adversary.delete_records, 7)], [error("record_missing", 7)]),
    "a range deleted": ([do(adversary.delete_records, 3, 9)], [error("record_missing", 3, 9)]),
    "a range deleted, traces left": ([do(adversary.delete_rows_only, 3, 9)], [error("record_missing", 3, 9)]),
    "all but the last deleted": ([do(adversary.delete_records, 1, 11)], [error("record_missing", 1, 11)]),
    "two ranges deleted": (
        [do(adversary.delete_records, 2, 3), do(adversary.delete_records, 5)],
        [error("record_missing", 2, 3), error("record_missing", 5)],
    ),
    "a record deleted, later ones renumbered, head mended": (
        [do(adversary.delete_and_renumber, 7), do(adversary.mend_head)],
        [error("record_missing", 7), error("record_reordered", 7, 11)],
    ),
    "the first two deleted, later ones renumbered, head mended": (
        [do(adversary.delete_and_renumber, 1, 2), do(adversary.mend_head)],
        [error("record_missing", 1, 2), error("record_reordered", 1, 10)],
    ),
    "a range deleted, later ones renumbered": (
        [do(adversary.delete_and_renumber, 4, 6)],
        [error("record_missing", 4, 6), error("record_reordered", 4, 9), error("head_mismatch", 10, 12)],
    ),
    # chain_broken
    "first record made anew": ([do(adversary.rechain_record, 1, reason="x")], [error("chain_broken", 2)]),
    "a record made anew": ([do(adversary.rechain_record, 6, reason="x")], [error("chain_broken", 7)]),
    "neighbours made anew": (
        [do(adversary.rechain_record, seq, reason="x") for seq in (4, 5, 6)],
        [error("chain_broken", 5, 7)],
    ),
    "last record made anew": ([do(adversary.rechain_record, 12, reason="x")], [error("head_mismatch", 12)]),
    "last record made anew, head mended": (
        [do(adversary.rechain_record, 12, prev_hash=adversary.FORGED_LINK), do(adversary.mend_head)],
        [error("chain_broken", 12)],
    ),
    "a later record that begins the chain anew": (
        [
            do(adversary.rechain_record, 1, prev_hash=adversary.FORGED_LINK),
            do(adversary.rechain_record, 8, prev_hash=ZERO_HASH),
        ],
        [error("chain_broken", 1, 2), error("chain_broken", 8, 9)],
    ),
    "a record forged in the middle, head mended": (
        [do(adversary.insert_forged_record, 5), do(adversary.mend_head)],
        [error("chain_broken", 5), error("record_reordered", 6, 13)],
    ),
    "a record forged at the beginning, head mended": (
        [do(adversary.insert_forged_record, 1), do(adversary.mend_head)],
        [error("chain_broken", 1), error("record_reordered", 2, 13)],
    ),
    "a record replaced by a forged one": (
        [
            do(adversary.delete_and_renumber, 5),
            do(adversary.insert_forged_record, 5, actor_id="u-2", actor_seq=2, entity_id="S-1", entity_seq=2),
        ],
        [error("chain_broken", 5, 6), warning("state_gap", 9)],
    ),
    # payload_modified, payload_missing
    "a body altered": (
        [do(adversary.alter_section, 5, "after", '{"volume":6}')],
        [error("payload_modified", 5, section="after")],
    ),
    "a body altered by a space": (
        [do(adversary.alter_section, 1, "context", '{"request": 1}')],
        [error("payload_modified", 1, section="context")],
    ),
    "a salt altered": (
        [do(adversary.alter_salt, 12, "before")],
        [error("payload_modified", 12, section="before")],
    ),
    "a body deleted, its salt left": (
        [do(adversary.delete_body, 5, "after")],
        [error("payload_modified", 5, section="after")],
    ),
    "a salt deleted, its body left": (
        [do(adversary.delete_salt, 5, "after")],
        [error("payload_modified", 5, section="after")],
    ),
    "a section put where there was none": (
        [do(adversary.alter_section, 3, "before", '{"volume":0}')],
        [error("payload_modified", 3, section="before")],
    ),
    "a salt put where there was none": (
        [do(adversary.alter_salt, 3, "before")],
        [error("payload_modified", 3, section="before")],
    ),
    "the same section of neighbours altered": (
        [do(adversary.alter_section, seq, "context", "{}") for seq in (6, 7, 8)],
        [error("payload_modified", 6, 8, "context")],
    ),
    "different sections of neighbours altered": (
        [do(adversary.alter_section, 6, "context", "{}"), do(adversary.alter_section, 7, "after", "{}")],
        [error("payload_modified", 6, section="context"), error("payload_modified", 7, section="after")],
    ),
    "sections of two records swapped": (
        [do(adversary.swap_sections, 8, 9)],
        [error("payload_modified", 8, 9, section) for section in ("after", "before", "context")],
    ),
    "a section deleted": (
        [do(adversary.delete_section, 5, "after")],
        [error("payload_missing", 5, section="after")],
    ),
    "the same section of neighbours deleted": (
        [do(adversary.delete_section, seq, "before") for seq in (10, 11, 12)],
        [error("payload_missing", 10, 12, "before")],
    ),
    "all sections of a record deleted": (
        [do(adversary.delete_payload, 5)],
        [error("payload_missing", 5, section=section) for section in ("after", "before", "context")],
    ),
    "sections of the first record deleted, which has two": (
        [do(adversary.delete_payload, 1)],
        [error("payload_missing", 1, section=section) for section in ("after", "context")],
    ),
    # link_mismatch
    "a link deleted": ([do(adversary.delete_link, 1, "W-1")], [error("link_mismatch", 1)]),
    "links of neighbours deleted": (
        [do(adversary.delete_link, seq, "W-1") for seq in (11, 12)],
        [error("link_mismatch", 11, 12)],
    ),
    "links altered": ([do(adversary.alter_links, 5, entity_type="plate")], [error("link_mismatch", 5)]),
    "a link added": ([do(adversary.add_link, 12, "batch", "B-1")], [error("link_mismatch", 12)]),
    "a link doubled": ([do(adversary.add_link, 7, "workflow", "W-1")], [error("link_mismatch", 7)]),
    "links given to another record": (
        [do(adversary.alter_links, 5, seq=8)],
        [error("link_mismatch", 5), error("link_mismatch", 8)],
    ),
    "a link of a record that does not exist": (
        [do(adversary.add_link, 40, "batch", "B-1")],
        [error("link_mismatch", 40)],
    ),
    # ordinal_gap
    "an act taken out, everything after it renumbered and chained anew": (
        [do(adversary.delete_and_renumber, 5), do(adversary.rewrite_history, 5)],
        [error("ordinal_gap", 7, 8), warning("state_gap", 8)],
    ),
    "an actor's ordinal wrong": (
        [do(adversary.rewrite_history, 5, counted(5, actor_seq=7))],
        [error("ordinal_gap", 5)],
    ),
    "an entity's first ordinal wrong": (
        [do(adversary.rewrite_history, 2, counted(2, entity_seq=2))],
        [error("ordinal_gap", 2)],
    ),
    "an actor's last ordinal repeated": (
        [do(adversary.rewrite_history, 12, counted(12, actor_seq=3))],
        [error("ordinal_gap", 12)],
    ),
    "an actor's and an entity's ordinal wrong in one record": (
        [do(adversary.rewrite_history, 5, counted(5, actor_seq=9, entity_seq=9))],
        [error("ordinal_gap", 5)],
    ),
    # head_mismatch
    "last record deleted": ([do(adversary.delete_records, 12)], [error("head_mismatch", 12)]),
    "tail cut": ([do(adversary.cut_tail, 7)], [error("head_mismatch", 8, 12)]),
    "tail cut, traces left": ([do(adversary.delete_rows_only, 8, 12)], [error("head_mismatch", 8, 12)]),
    "log emptied": ([do(adversary.empty_log)], [error("head_mismatch", 1, 12)]),
    "head moved on": ([do(adversary.alter_head, size=14)], [error("head_mismatch", 13, 14)]),
    "head moved back": ([do(adversary.alter_head, size=10)], [error("head_mismatch", 11, 12)]),
    "head names another record": (
        [do(adversary.alter_head, hash=adversary.FORGED_LINK)],
        [error("head_mismatch", 12)],
    ),
    "head deleted": ([do(adversary.delete_head)], [error("head_mismatch", 12)]),
    "a record forged at the end": (
        [do(adversary.insert_forged_record, 13)],
        [error("head_mismatch", 13)],
    ),
    # clock_regression
    "recorder's clock put back": (
        [do(adversary.rewrite_history, 5, recorded_a_year_early(5))],
        [warning("clock_regression", 5)],
    ),
    "recorder's clock put back for the last record": (
        [do(adversary.rewrite_history, 12, recorded_a_year_early(12))],
        [warning("clock_regression", 12)],
    ),
}
