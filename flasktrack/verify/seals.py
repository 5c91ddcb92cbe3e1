"""What checkpoints and anchors say against what is there (spec section 5). Pure: notes and roots in, problems out.

An anchor is a copy of a checkpoint outside the database, and is trusted over it. Rules:

1. a note that does not open (form, origin, signatures) is `checkpoint_invalid` and says nothing else;
2. an anchor's checkpoint that the database lacks, or has with another text, is `checkpoint_missing`;
3. a checkpoint over more records than there are is `chain_truncated`, and that explains 2;
4. one whose root the records don't give is `history_rewritten`, from the last root that they do give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from flasktrack.core.keys import VerifierKey
from flasktrack.errors import InvalidNote
from flasktrack.trust.anchors import Anchor
from flasktrack.trust.checkpoints import StoredCheckpoint, open_note
from flasktrack.trust.keyring import TrustedKey
from flasktrack.verify.chain import Problem


class Claim(NamedTuple):
    """A checkpoint that a trusted key signed, by where its notes lie."""

    size: int
    root: bytes
    stored: bool
    anchored: bool


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
    witnesses: Sequence[VerifierKey] = (),
) -> tuple[list[Claim], list[Problem]]:
    """The claims of all notes that open, by size, and what is wrong with the others."""
    problems: list[Problem] = []
    claims: dict[tuple[int, bytes], Claim] = {}
    sizes = set()
    for row in stored:
        sizes.add(row.size)
        opened = _open(origin, trusted, witnesses, row.note, row.size, row.root, "in the database", problems)
        if opened is not None:
            claims[row.size, opened] = Claim(row.size, opened, stored=True, anchored=False)
    for anchor in anchors:
        opened = _open(origin, trusted, witnesses, anchor.note, anchor.size, None, "in the anchors", problems)
        if opened is not None:
            same = claims.get((anchor.size, opened))
            claims[anchor.size, opened] = Claim(anchor.size, opened, stored=same is not None, anchored=True)
            if same is None and anchor.size in sizes:
                note = "is not the one in the anchors"
                problems.append(Problem("checkpoint_missing", anchor.size, anchor.size, note=note))
    return sorted(claims.values()), problems


def _open(
    origin: str,
    trusted: Sequence[TrustedKey],
    witnesses: Sequence[VerifierKey],
    note: str,
    size: int,
    root: bytes | None,
    place: str,
    problems: list[Problem],
) -> bytes | None:
    """The root that a note vouches for; None, and a problem, where it vouches for nothing."""
    try:
        checkpoint = open_note(note, origin, trusted, witnesses).checkpoint
    except InvalidNote as invalid:
        problems.append(Problem("checkpoint_invalid", size, size, note=f"{place}: {invalid.what}"))
        return None
    if checkpoint.size != size or (root is not None and checkpoint.root != root):
        said = f"{place}: its note speaks of {checkpoint.size:,} records and another root than it is filed under."
        problems.append(Problem("checkpoint_invalid", size, size, note=said))
        return None
    return checkpoint.root


def judge(claims: Sequence[Claim], last: int, roots: Mapping[int, bytes], doubtful_from: int | None) -> Seals:
    """Hold the claims against the records up to `last`, whose roots are known at every claimed size up to there.

    From `doubtful_from` on the records are known to lack or misplace some (which has findings of its own), so that
    another root says nothing more.
    """
    sealed = anchored = 0
    problems = list(_truncated(claims, last))
    rewritten: list[int] = []
    for size, found in groupby((claim for claim in claims if claim.size <= last), key=lambda claim: claim.size):
        same = list(found)
        if not any(claim.stored for claim in same):
            problems.append(Problem("checkpoint_missing", size, size, note="is not in the database"))
        # Where an anchor speaks, it alone does: whoever has the database and the key can sign another history.
        heard = [claim for claim in same if claim.anchored] or same
        if all(claim.root == roots.get(size) for claim in heard):
            problems += _rewritten(sealed, rewritten)
            rewritten = []
            sealed = size
            anchored = size if heard[0].anchored else anchored
        elif doubtful_from is None or size < doubtful_from:
            rewritten.append(size)
    problems += _rewritten(sealed, rewritten)
    return Seals(sealed, anchored, problems)


def _truncated(claims: Sequence[Claim], last: int) -> Iterator[Problem]:
    beyond = [claim for claim in claims if claim.size > last]
    if not beyond:
        return
    size = beyond[-1].size
    if any(claim.stored for claim in beyond):
        note = f"a checkpoint that is still in the database covers {size:,} records: the newest ones were cut off"
    else:
        note = (
            f"an anchor's checkpoint covers {size:,} records, and the database knows nothing of it: "
            "the newest records were cut off, or an older copy of the database was put in its place"
        )
    yield Problem("chain_truncated", last + 1, size, note=note)


def _rewritten(good: int, sizes: Sequence[int]) -> Iterator[Problem]:
    if sizes:
        yield Problem("history_rewritten", good + 1, sizes[-1], note=f"{sizes[0]:,}")
