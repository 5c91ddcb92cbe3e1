"""The rules of checkpoints: what was signed, against what is there (spec section 5). Pure.

A note's own text is what a signature vouches for, whatever row or file name it is kept under. An anchor is a copy of
a checkpoint outside the database, and is trusted over it. One cause is one problem:

1. a note that does not open (form, origin, signatures), or is kept under another size or root than it speaks of, is
   `checkpoint_invalid`; where its row is such, an anchor's checkpoint of that size is not missing as well;
2. an anchor's checkpoint that the database lacks, or has with another root, is `checkpoint_missing`;
3. a checkpoint over more records than there are is `chain_truncated`: the newest one tells of all; and where the
   database knows nothing of those, that is why it lacks them;
4. one whose root the records don't give is `history_rewritten`, from the last root that they do give.

What befell several checkpoints that follow each other in the same way is one problem from the first to the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from flasktrack.core.merkle import EMPTY_ROOT
from flasktrack.errors import InvalidNote
from flasktrack.trust.anchors import Anchor
from flasktrack.trust.checkpoints import StoredCheckpoint, open_note
from flasktrack.trust.keyring import ThirdParty, TrustedKey
from flasktrack.verify.chain import Problem

_STORED, _ANCHORED = "in the database", "in the anchors"


class Claim(NamedTuple):
    """A checkpoint that a trusted key signed, by where its notes lie."""

    size: int
    root: bytes
    stored: bool
    anchored: bool


class Notes(NamedTuple):
    """What all notes say together."""

    claims: list[Claim]
    """By size; more than one of a size where there are notes with different roots."""
    problems: list[Problem]
    sizes: list[int]
    """All sizes that any note, row or file name gives, in order."""
    stored: frozenset[int]
    """Those at which the database has a row, whatever it holds, or of which a note in it speaks."""


class Seals(NamedTuple):
    """What the checkpoints prove: up to which size the records are what was signed, and up to which by an anchor."""

    sealed: int
    anchored: int
    problems: list[Problem]


def read_claims(
    origin: str,
    trusted: Sequence[TrustedKey],
    stored: Iterable[StoredCheckpoint],
    anchors: Iterable[Anchor],
    others: Sequence[ThirdParty] = (),
) -> Notes:
    """Open all notes: the claims of those that do, and what is wrong with the others."""
    places: dict[tuple[int, bytes], set[str]] = {}
    reasons: dict[int, dict[str, set[str]]] = {}
    rows, files = list(stored), list(anchors)
    kept: list[tuple[int, bytes | None, str, str]] = [(row.size, row.root, row.note, _STORED) for row in rows]
    kept += [(anchor.size, None, anchor.note, _ANCHORED) for anchor in files]
    for size, root, note, place in kept:
        try:
            said = open_note(note, origin, trusted, others).checkpoint
        except InvalidNote as invalid:
            reason = invalid.what
        else:
            places.setdefault((said.size, said.root), set()).add(place)
            if said.size == size and root in (None, said.root):
                continue
            other = f"{said.size:,} records" if said.size != size else "another root"
            reason = f"Its note speaks of {other}"
        reasons.setdefault(size, {}).setdefault(reason.rstrip("."), set()).add(place)
    claims = [Claim(*key, _STORED in found, _ANCHORED in found) for key, found in sorted(places.items())]
    sizes = sorted({size for size, *_ in kept} | {claim.size for claim in claims})
    there = {row.size for row in rows} | {claim.size for claim in claims if claim.stored}
    problems = list(_invalid(sizes, reasons))
    differing = {claim.size for claim in claims if claim.stored and not claim.anchored} & {
        claim.size for claim in claims if claim.anchored and not claim.stored
    }
    problems += _missing(sizes, differing, lambda many: f"{'have' if many else 'has'} another root in the database")
    return Notes(claims, problems, sizes, frozenset(there))


def judge(
    notes: Notes, last: int, roots: Mapping[int, bytes], doubtful_from: int | None, *, since: int = 0, proven: int = 0
) -> Seals:
    """Hold the claims against the records up to `last`, whose roots are known at every claimed size up to there.

    From `doubtful_from` on the records are known to lack or misplace some (which has findings of its own), so that
    another root says nothing more. The roots of sizes below `since` are not looked at; the first `proven` records
    are known to be what was signed.
    """
    claims = notes.claims
    sealed = anchored = 0
    problems = list(truncated(notes, last))
    problems += _absent(notes, last)
    rewritten: list[int] = []
    roots = {0: EMPTY_ROOT, **roots}
    heard = [claim for claim in claims if since <= claim.size <= last]
    for size, found in groupby(heard, key=lambda claim: claim.size):
        same = list(found)
        # Where an anchor speaks, it alone does: whoever has the database and the key can sign another history.
        same = [claim for claim in same if claim.anchored] or same
        if all(claim.root == roots.get(size) for claim in same):
            problems += _rewritten(max(sealed, proven), rewritten)
            rewritten = []
            sealed = size
            anchored = size if same[0].anchored else anchored
        elif doubtful_from is None or size < doubtful_from:
            rewritten.append(size)
    problems += _rewritten(max(sealed, proven), rewritten)
    return Seals(sealed, anchored, problems)


def truncated(notes: Notes, last: int) -> Iterator[Problem]:
    """What the newest checkpoint says of records beyond the last one."""
    beyond = [claim for claim in notes.claims if claim.size > last]
    if not beyond:
        return
    size = beyond[-1].size
    kept = max((claim.size for claim in beyond if claim.stored), default=0)
    cut = "the newest ones were cut off"
    if kept == size:
        note = f"a checkpoint that is still in the database covers {size:,} records: {cut}"
    elif kept:
        note = f"an anchor's checkpoint covers {size:,} records, and one in the database {kept:,}: {cut}"
    else:
        note = (
            f"an anchor's checkpoint covers {size:,} records, and the database knows nothing of it: "
            f"{cut}, or an older copy of the database was put in its place"
        )
    yield Problem("chain_truncated", last + 1, size, note=note)


def _absent(notes: Notes, last: int) -> Iterator[Problem]:
    """Anchored checkpoints of which the database has nothing; an older copy of it has none of the newest, either."""
    newest = max(notes.stored, default=0)
    absent = {claim.size for claim in notes.claims if claim.anchored and claim.size not in notes.stored}
    explained = {size for size in absent if size > max(last, newest)}
    return _missing(notes.sizes, absent - explained, lambda many: f"{'are' if many else 'is'} not in the database")


def _missing(sizes: Sequence[int], which: set[int], words: Callable[[bool], str]) -> Iterator[Problem]:
    for first, last in _neighbours(sizes, which):
        yield Problem("checkpoint_missing", first, last, note=words(first != last))


def _invalid(sizes: Sequence[int], reasons: Mapping[int, Mapping[str, set[str]]]) -> Iterator[Problem]:
    for reason in dict.fromkeys(reason for size in sizes for reason in reasons.get(size, ())):
        which = {size for size, found in reasons.items() if reason in found}
        for first, last in _neighbours(sizes, which):
            places = {place for size in which if first <= size <= last for place in reasons[size][reason]}
            note = f"{' and '.join(sorted(places, reverse=True))}: {reason}"
            yield Problem("checkpoint_invalid", first, last, note=note)


def _neighbours(sizes: Sequence[int], which: set[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of sizes that are next to each other among all."""
    for wanted, run in groupby(sizes, key=lambda size: size in which):
        if wanted:
            first, *rest = run
            yield first, (rest or [first])[-1]


def _rewritten(good: int, sizes: Sequence[int]) -> Iterator[Problem]:
    if sizes:
        yield Problem("history_rewritten", good + 1, sizes[-1], note=f"{sizes[0]:,}")
