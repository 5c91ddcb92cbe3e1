"""Findings as a QA lead reads them: what each code means, what somebody may have done, and what to do now."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """`title` names the fault, `cause` what may be behind it, `advice` the next step."""

    title: str
    cause: str
    advice: str


_EVIDENCE = "Keep a copy of the database as it is now, and compare with a backup"
FINDING_WORDS = {
    "record_modified": Words(
        "Altered records",
        "Somebody with access to the database changed what these records say.",
        f"{_EVIDENCE}: it shows what they said before.",
    ),
    "record_reordered": Words(
        "Moved records",
        "Somebody with access to the database put these records at other positions.",
        f"{_EVIDENCE}. Their true positions are named.",
    ),
    "record_missing": Words(
        "Missing records", "Somebody with access to the database removed records.", f"{_EVIDENCE}: it may hold them."
    ),
    "chain_broken": Words(
        "Broken links",
        "Somebody replaced a record, or put one in, and made its hash anew, but not those that follow.",
        f"{_EVIDENCE}, at both of the neighbours.",
    ),
    "payload_modified": Words(
        "Altered contents",
        "Somebody changed what was recorded as before, after or context.",
        f"{_EVIDENCE}: the record itself is sound, and says who acted when.",
    ),
    "payload_missing": Words(
        "Missing contents",
        "Somebody removed what was recorded as before, after or context, without an erasure on record.",
        f"{_EVIDENCE}. An erasure by law is done with the command erase, which leaves a record.",
    ),
    "link_mismatch": Words(
        "Wrong relations",
        "Somebody changed the table by which an entity's related records are found.",
        "The records themselves are sound; what relates to an entity may be shown incompletely.",
    ),
    "ordinal_gap": Words(
        "Gaps in a count", "An act of this actor or on this entity was removed, or put in.", f"{_EVIDENCE}."
    ),
    "head_mismatch": Words(
        "Wrong end of the chain",
        "Records were cut off or added past FlaskTrack, or the note of the chain's end was changed.",
        f"{_EVIDENCE}. Nothing can be appended until this is resolved.",
    ),
    "chain_truncated": Words(
        "Records cut off",
        "A signed checkpoint covers more records than there are: the newest were removed, or an older copy of the "
        "database was put in its place.",
        "Ask whether a backup was restored. If not, keep everything as it is, and compare with the latest backup.",
    ),
    "history_rewritten": Words(
        "Rewritten history",
        "Somebody replaced records and made every later hash anew; the signed checkpoint gives them away.",
        f"{_EVIDENCE} from before the checkpoint.",
    ),
    "checkpoint_invalid": Words(
        "Checkpoints not to be believed",
        "A checkpoint was forged or damaged, or signed with keys that are not trusted here.",
        "Check that the right key directory is set; otherwise compare with the anchors.",
    ),
    "checkpoint_missing": Words(
        "Removed checkpoints",
        "A checkpoint that is anchored outside was removed from the database, or replaced.",
        f"{_EVIDENCE}.",
    ),
    "state_gap": Words(
        "Unrecorded changes",
        "Something changed the entity past the recorder: by hand in the database, or by a program that does not "
        "record what it does.",
        "Ask who had access to the entity in the time between the two records.",
    ),
    "clock_regression": Words(
        "A clock that went back",
        "The recorder's clock was set back, or somebody altered a time and made the hash anew.",
        "Check the clock of the machine that records.",
    ),
    "payload_erased": Words(
        "Erased by law", "Contents were erased under a record that says why.", "Nothing to do; the record is named."
    ),
}
