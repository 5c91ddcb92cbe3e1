"""What checkpoints and anchors prove and betray, from notes and roots alone (spec sections 4 and 5)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from flasktrack.core.keys import SigningKey
from flasktrack.core.merkle import EMPTY_ROOT
from flasktrack.trust.anchors import Anchor
from flasktrack.trust.checkpoints import StoredCheckpoint
from flasktrack.trust.keyring import TrustedKey
from flasktrack.verify.chain import Problem
from flasktrack.verify.seals import Claim, Notes, judge, read_claims
from tests.adversary_sealed import TIME, signed

ORIGIN = "lab.example/northwind-labs"


def pair(origin: str = ORIGIN) -> list[SigningKey]:
    return [SigningKey(origin, Ed25519PrivateKey.generate()), SigningKey(origin, MLDSA44PrivateKey.generate())]


KEYS, OTHERS = pair(), pair()
TRUSTED = [TrustedKey(key.verifier, None) for key in KEYS]


def root(size: int, history: str = "ours") -> bytes:
    return sha256(f"{history} {size}".encode()).digest()


def note(size: int, history: str = "ours", keys: list[SigningKey] = KEYS, origin: str = ORIGIN) -> str:
    return signed(origin, size, root(size, history), keys)


def row(size: int, history: str = "ours", text: str | None = None) -> StoredCheckpoint:
    return StoredCheckpoint("northwind-labs", size, root(size, history), text or note(size, history), TIME)


def anchor(size: int, history: str = "ours", text: str | None = None) -> Anchor:
    return Anchor(size, text or note(size, history), Path(f"{size:020d}.note"))


def read(stored: list[StoredCheckpoint], anchors: list[Anchor], trusted: list[TrustedKey] = TRUSTED) -> Notes:
    return read_claims(ORIGIN, trusted, stored, anchors)


ROOTS = {size: root(size) for size in range(1, 100)}


def codes(problems: list[Problem]) -> list[tuple[str, int, int]]:
    return sorted((problem.code, problem.seq, problem.seq_end) for problem in problems)


def found(
    stored: list[StoredCheckpoint],
    anchors: list[Anchor],
    last: int = 40,
    trusted: list[TrustedKey] = TRUSTED,
    roots: dict[int, bytes] = ROOTS,
    doubtful_from: int | None = None,
) -> tuple[int, int, list[tuple[str, int, int]]]:
    """Sealed, anchored, and the problems of notes and claims together."""
    notes = read(stored, anchors, trusted)
    seals = judge(notes, last, roots, doubtful_from)
    return seals.sealed, seals.anchored, codes([*notes.problems, *seals.problems])


def test_claims_say_where_their_notes_lie() -> None:
    notes = read([row(10), row(20)], [anchor(20), anchor(30)])
    assert notes.claims == [
        Claim(10, root(10), stored=True, anchored=False),
        Claim(20, root(20), stored=True, anchored=True),
        Claim(30, root(30), stored=False, anchored=True),
    ]
    assert notes.problems == []


def test_what_is_stored_and_anchored_and_true_seals() -> None:
    assert found([row(10), row(20), row(40)], [anchor(10), anchor(20)]) == (40, 20, [])
    assert found([row(10)], []) == (10, 0, [])
    assert found([], []) == (0, 0, [])


def test_an_anchors_note_without_later_cosignatures_is_the_same_checkpoint() -> None:
    cosigned = note(10) + note(10, keys=pair("witness.example")).split("\n\n")[1]
    assert found([row(10, text=cosigned)], [anchor(10)]) == (10, 10, [])


INVALID = {
    "nothing": "",
    "no note": "Dear inspector,\n",
    "no signature": "\n".join(note(20).split("\n")[:3]) + "\n",
    "another origin": note(20, keys=pair("lab.example/southwind-labs"), origin="lab.example/southwind-labs"),
    "another deployment": note(20, keys=pair("x.example/northwind-labs"), origin="x.example/northwind-labs"),
    "unknown keys": note(20, keys=OTHERS),
    "a forged signature": note(20).replace(note(20).split("\n")[2], note(21).split("\n")[2]),
    "another size": note(21),
    "another root": note(20, "theirs"),
    "altered text": note(20).replace("\n20\n", "\n30\n"),
    "more than a checkpoint": note(20).replace("\n\n", "\nextension\n\n"),
}


@pytest.mark.parametrize("what", INVALID)
def test_a_stored_note_that_cannot_be_believed_is_one_finding(what: str) -> None:
    """Its anchor, which can, still seals; and is not missing as well."""
    stored = [row(10), row(20, text=INVALID[what] or "-"), row(30)]
    sealed, anchored, problems = found(stored, [anchor(10), anchor(20)], roots=ROOTS | {20: root(20)})
    expected = [("checkpoint_invalid", 20, 20)]
    if what == "another root":  # that a trusted key has signed: another history is
        expected.append(("checkpoint_missing", 20, 20))
    assert problems == expected
    assert (sealed, anchored) == (30, 20)


@pytest.mark.parametrize("what", sorted(set(INVALID) - {"another root"}))  # which a file's name does not give
def test_so_is_an_anchors(what: str) -> None:
    sealed, _, problems = found([row(10), row(20)], [anchor(20, text=INVALID[what] or "-")])
    assert ("checkpoint_invalid", 20, 20) in problems
    assert set(problems) <= {("checkpoint_invalid", 20, 20), ("checkpoint_missing", 21, 21)}
    assert sealed >= 20


def test_a_bad_note_in_the_database_and_the_anchors_is_one_finding() -> None:
    notes = read([row(20, text=note(20, keys=OTHERS))], [anchor(20, text=note(20, keys=OTHERS))])
    (problem,) = notes.problems
    assert problem.note == "in the database and in the anchors: No trusted key has signed the note"
    assert notes.claims == []


@pytest.mark.parametrize("bad", [0, 1])
def test_a_bad_signature_of_one_known_key_rejects_the_note_although_the_other_is_right(bad: int) -> None:
    forged = note(20).split("\n")
    forged[4 + bad] = note(21).split("\n")[4 + bad]
    assert found([row(20, text="\n".join(forged))], []) == (0, 0, [("checkpoint_invalid", 20, 20)])


def test_signatures_of_unknown_keys_are_ignored() -> None:
    both = note(20) + note(20, keys=OTHERS).split("\n\n")[1]
    assert found([row(20, text=both)], []) == (20, 0, [])


def test_one_of_two_keys_is_enough() -> None:
    assert found([row(20)], [], trusted=TRUSTED[:1]) == (20, 0, [])
    assert found([row(20, text=note(20, keys=KEYS[1:]))], []) == (20, 0, [])


def test_a_retired_key_is_believed_up_to_its_size_and_not_beyond() -> None:
    retired = [TrustedKey(key.verifier, 20) for key in KEYS] + [TrustedKey(key.verifier, None) for key in OTHERS]
    stored = [row(10), row(20), row(21), row(30, text=note(30, keys=OTHERS))]
    assert found(stored, [], trusted=retired) == (30, 0, [("checkpoint_invalid", 21, 21)])


def test_without_any_key_all_checkpoints_are_one_finding() -> None:
    assert found([row(10), row(20), row(30)], [anchor(20)], trusted=[]) == (0, 0, [("checkpoint_invalid", 10, 30)])


def test_bad_checkpoints_with_a_good_one_between_are_two_findings() -> None:
    bad = [row(size, text=note(size, keys=OTHERS)) for size in (10, 30)]
    assert found([*bad, row(20)], []) == (20, 0, [("checkpoint_invalid", 10, 10), ("checkpoint_invalid", 30, 30)])


@pytest.mark.parametrize("gone", [10, 20, 30])
def test_a_checkpoint_that_is_only_anchored_is_missing_and_still_seals(gone: int) -> None:
    stored = [row(size) for size in (10, 20, 30) if size != gone]
    anchors = [anchor(size) for size in (10, 20, 30)]
    assert found(stored, anchors) == (30, 30, [("checkpoint_missing", gone, gone)])


def test_checkpoints_that_were_removed_together_are_one_finding() -> None:
    anchors = [anchor(size) for size in (10, 20, 30, 40)]
    assert found([], anchors) == (40, 40, [("checkpoint_missing", 10, 40)])
    assert found([row(10), row(40)], anchors) == (40, 40, [("checkpoint_missing", 20, 30)])
    assert found([row(20)], anchors) == (40, 40, [("checkpoint_missing", 10, 10), ("checkpoint_missing", 30, 40)])


@pytest.mark.parametrize(("stored", "anchors"), [([row(30)], []), ([row(30)], [anchor(30)]), ([], [anchor(30)])])
def test_a_checkpoint_over_more_records_than_there_are_is_one_finding(
    stored: list[StoredCheckpoint], anchors: list[Anchor]
) -> None:
    assert found([row(10), *stored], anchors, last=15) == (10, 0, [("chain_truncated", 16, 30)])


def test_an_older_copy_lacks_all_newer_checkpoints_for_one_reason() -> None:
    anchors = [anchor(size) for size in (10, 20, 30)]
    assert found([row(10)], anchors, last=15) == (10, 10, [("chain_truncated", 16, 30)])
    assert found([], anchors, last=0) == (0, 0, [("chain_truncated", 1, 30)])


def test_one_that_was_removed_from_before_what_is_still_there_is_another_reason() -> None:
    anchors = [anchor(size) for size in (10, 20, 30)]
    expected = [("chain_truncated", 16, 30), ("checkpoint_missing", 20, 20)]
    assert found([row(10), row(30)], anchors, last=15) == (10, 10, expected)
    assert found([], anchors, last=15) == (10, 10, [("chain_truncated", 16, 30), ("checkpoint_missing", 10, 10)])


def test_what_a_truncation_rests_on_is_said() -> None:
    def said(stored: list[StoredCheckpoint], anchors: list[Anchor]) -> str:
        return judge(read(stored, anchors), 15, ROOTS, None).problems[0].note

    assert "still in the database" in said([row(30)], [anchor(30)])
    assert "older copy" in said([], [anchor(30)])
    both = said([row(20)], [anchor(20), anchor(30)])
    assert "30 records" in both
    assert "20" in both
    assert "older copy" not in both


@pytest.mark.parametrize("last", [29, 30, 31])
def test_exactly_the_last_record_is_neither_more_nor_less(last: int) -> None:
    expected = [("chain_truncated", 30, 30)] if last == 29 else []
    assert found([row(30)], [], last=last) == (0 if last == 29 else 30, 0, expected)


@pytest.mark.parametrize(
    ("false", "expected"),
    [
        ([10, 20, 30], (0, [("history_rewritten", 1, 30)])),
        ([20, 30], (10, [("history_rewritten", 11, 30)])),
        ([30], (20, [("history_rewritten", 21, 30)])),
        ([20], (30, [("history_rewritten", 11, 20)])),
    ],
)
def test_rewritten_history_is_one_finding_from_the_last_root_that_is_right(
    false: list[int], expected: tuple[int, list[tuple[str, int, int]]]
) -> None:
    roots = ROOTS | {size: root(size, "theirs") for size in false}
    sealed, _, problems = found([row(10), row(20), row(30)], [], roots=roots)
    assert (sealed, problems) == expected


def test_the_first_size_that_does_not_fit_is_named() -> None:
    notes = read([row(10), row(20), row(30)], [])
    problems = judge(notes, 40, ROOTS | {20: b"x", 30: b"x"}, None).problems
    assert [problem.note for problem in problems] == ["20"]


def test_where_records_are_known_to_be_missing_another_root_says_nothing_more() -> None:
    roots = ROOTS | {20: b"x", 30: b"x"}
    assert found([row(10), row(20), row(30)], [], roots=roots, doubtful_from=15) == (10, 0, [])
    assert found([row(10), row(20), row(30)], [], roots=roots, doubtful_from=20) == (10, 0, [])
    assert found([row(10), row(20), row(30)], [], roots=roots, doubtful_from=21) == (
        10, 0, [("history_rewritten", 11, 20)],
    )  # fmt: skip


def test_an_anchor_is_trusted_over_what_the_key_signed_later() -> None:
    """The records agree with the note in the database: whoever has both the database and the key made it so."""
    theirs = [row(10), row(20, "theirs")]
    roots = ROOTS | {20: root(20, "theirs")}
    expected = [("checkpoint_missing", 20, 20), ("history_rewritten", 11, 20)]
    assert found(theirs, [anchor(10), anchor(20)], roots=roots) == (10, 10, expected)
    assert found(theirs, [], roots=roots) == (20, 0, []), "without an anchor nobody could tell"


def test_another_note_in_the_database_beside_records_that_are_the_anchors() -> None:
    assert found([row(20, "theirs")], [anchor(20)]) == (20, 20, [("checkpoint_missing", 20, 20)])


def test_a_rewriting_and_a_cut_and_a_removal_are_all_reported() -> None:
    anchors = [anchor(size) for size in (5, 10, 20, 30)]
    assert found([row(10), row(30)], anchors, last=25, roots=ROOTS | {10: b"x", 20: b"x"}) == (
        5,
        5,
        [
            ("chain_truncated", 26, 30),
            ("checkpoint_missing", 5, 5),
            ("checkpoint_missing", 20, 20),
            ("history_rewritten", 6, 20),
        ],
    )


def test_a_checkpoint_over_nothing_is_no_accusation() -> None:
    empty = StoredCheckpoint("northwind-labs", 0, EMPTY_ROOT, signed(ORIGIN, 0, EMPTY_ROOT, KEYS), TIME)
    assert found([empty], []) == (0, 0, [])


def test_what_is_older_than_what_is_built_on_is_not_judged_again() -> None:
    notes = read([row(10), row(20), row(30)], [])
    seals = judge(notes, 40, {20: root(20), 30: root(30)}, None, since=20, proven=16)
    assert (seals.sealed, seals.problems) == (30, [])
    seals = judge(notes, 40, {20: b"x", 30: b"x"}, None, since=20, proven=16)
    assert codes(seals.problems) == [("history_rewritten", 17, 30)]
