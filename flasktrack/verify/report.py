"""From problems to findings: one run of the same code at consecutive positions is one finding, with one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flasktrack.core.finding import Finding
from flasktrack.verify.chain import Problem

_SENTENCES = {
    "record_modified": (
        "Record {at} was altered after it was recorded: its content no longer gives its hash.",
        "Records {at} were altered after they were recorded: their content no longer gives their hashes.",
    ),
    "record_reordered": (
        "The record at position {at} was moved there: it was recorded at position {note}.",
        "The records at positions {at} were moved there: they were recorded at positions {note}.",
    ),
    "record_missing": ("Record {at} is missing: it was removed.", "Records {at} are missing: they were removed."),
    "chain_broken": (
        "Record {at} does not link to the record before it: one of the two was replaced and its hash made anew.",
        "Records {at} do not link to the records before them: they were replaced and their hashes made anew.",
    ),
    "payload_modified": (
        "The section {section!r} of record {at} is not what was recorded.",
        "The section {section!r} of records {at} is not what was recorded.",
    ),
    "payload_missing": (
        "The section {section!r} of record {at} is gone, and no erasure of it is on record.",
        "The section {section!r} of records {at} is gone, and no erasure of it is on record.",
    ),
    "payload_erased": (
        "The section {section!r} of record {at} was erased; record {note} says why.",
        "The section {section!r} of records {at} was erased; record {note} says why.",
    ),
    "link_mismatch": (
        "The table of related entities does not say what record {at} says{note}.",
        "The table of related entities does not say what records {at} say{note}.",
    ),
    "ordinal_gap": (
        "Record {at} does not continue the count of {note}: an act was removed, or counted twice.",
        "Records {at} do not continue the counts of {note}: acts were removed, or counted twice.",
    ),
    "head_mismatch": ("{note}", "{note}"),
    "chain_truncated": (
        "Record {at} was recorded and is gone: {note}.",
        "Records {at} were recorded and are gone: {note}.",
    ),
    "history_rewritten": (
        "Record {at} is not the one that was sealed (at {note} records): it was replaced, and its hash made anew.",
        "Records {at} are not the ones that were sealed (first at {note} records): one or more of them were "
        "replaced, and all hashes after that made anew.",
    ),
    "checkpoint_invalid": (
        "The checkpoint over {at} records can't be believed: {note}.",
        "The checkpoints over {at} records can't be believed: {note}.",
    ),
    "checkpoint_missing": (
        "The anchored checkpoint over {at} records {note}.",
        "The anchored checkpoints over {at} records {note}.",
    ),
    "state_gap": (
        "Before record {at}, {note} was changed without a record: its state is not the one that was last recorded.",
        "Before records {at}, {note} were changed without a record: their states are not the ones last recorded.",
    ),
    "clock_regression": (
        "Record {at} bears an earlier recording time than the record before it: the recorder's clock went back.",
        "Records {at} each bear an earlier recording time than the record before: the recorder's clock went back.",
    ),
}
_OWN_WORDS = ("chain_broken", "payload_modified")  # whose note, where there is one, is the whole sentence
_NOTES_SHOWN = 3


def findings(organization_id: str, problems: Iterable[Problem]) -> tuple[Finding, ...]:
    """Findings in order of position, runs joined."""
    order = sorted(problems, key=lambda p: (p.code, p.section or "", p.seq))
    joined = [_finding(organization_id, run) for run in _runs(order)]
    return tuple(sorted(joined, key=lambda f: (f.seq, f.code, f.section or "")))


def _runs(problems: Iterable[Problem]) -> Iterator[list[Problem]]:
    run: list[Problem] = []
    for problem in problems:
        last = run[-1] if run else None
        if last is not None and (
            (last.code, last.section) == (problem.code, problem.section) and problem.seq <= last.seq_end + 1
        ):
            run.append(problem)
            continue
        if run:
            yield run
        run = [problem]
    if run:
        yield run


def _finding(organization_id: str, run: list[Problem]) -> Finding:
    first, code = run[0], run[0].code
    seq, seq_end = first.seq, max(problem.seq_end for problem in run)
    one, many = _SENTENCES[code]
    notes = list(dict.fromkeys(problem.note for problem in run if problem.note))
    note = ", ".join(notes[:_NOTES_SHOWN]) + (" and others" if len(notes) > _NOTES_SHOWN else "")
    at = f"{seq:,}" if seq == seq_end else f"{seq:,}\u2013{seq_end:,}"
    sentence = (one if seq == seq_end else many).format(at=at, section=first.section, note=note)
    if code in _OWN_WORDS and note:
        sentence = note
    return Finding(code, organization_id, seq, seq_end, sentence, first.section)
