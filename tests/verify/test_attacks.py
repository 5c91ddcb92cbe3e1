"""Every attack on a chain gives the findings of spec section 5 that it should, and no others."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Engine

from flasktrack.core.header import ZERO_HASH
from tests import adversary
from tests.verify.attacks import ATTACKS, SIZE, Step, do
from tests.verify.chains import Said, error, findings, make_chain, new_organization, said, verify, warning


def carry_out(steps: list[Step], engine: Engine, organization_id: str) -> None:
    for step in steps:
        step(engine, organization_id)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gives_exactly_its_findings(engine: Engine, lab: str, name: str) -> None:
    steps, expected = ATTACKS[name]
    make_chain(engine, lab, SIZE)
    carry_out(steps, engine, lab)
    verification = verify(engine, lab)
    assert said(verification) == expected
    assert verification.status == ("broken" if any(finding[1] == "error" for finding in expected) else "verified")


ONLY_RECORD: list[tuple[list[Step], list[Said]]] = [
    ([do(adversary.alter_record, 1, action="delete")], [error("record_modified", 1)]),
    ([do(adversary.move_record, 1, 2)], [error("head_mismatch", 2), error("record_reordered", 2)]),
    ([do(adversary.delete_records, 1)], [error("head_mismatch", 1)]),
    ([do(adversary.rechain_record, 1, reason="x")], [error("head_mismatch", 1)]),
    (
        [do(adversary.rechain_record, 1, prev_hash=adversary.FORGED_LINK), do(adversary.mend_head)],
        [error("chain_broken", 1)],
    ),
    ([do(adversary.delete_section, 1, "after")], [error("payload_missing", 1, section="after")]),
    ([do(adversary.delete_link, 1, "B-1")], [error("link_mismatch", 1)]),
    ([do(adversary.delete_head)], [error("head_mismatch", 1)]),
    ([do(adversary.alter_head, size=0, hash=ZERO_HASH)], [error("head_mismatch", 1)]),
]


@pytest.mark.parametrize(("steps", "expected"), ONLY_RECORD)
def test_the_only_record_is_guarded_as_well(engine: Engine, lab: str, steps: list[Step], expected: list[Said]) -> None:
    make_chain(engine, lab, 1)
    carry_out(steps, engine, lab)
    assert findings(engine, lab) == expected


def test_an_attack_on_one_organization_leaves_the_others_verdict_alone(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    make_chain(engine, f"{lab}-2", SIZE)
    adversary.alter_record(engine, lab, 5, reason="x")
    adversary.delete_and_renumber(engine, lab, 7)
    adversary.delete_head(engine, lab)
    adversary.add_link(engine, lab, 3, "batch", "B-9")
    assert verify(engine, lab).status == "broken"
    assert findings(engine, f"{lab}-2") == []


def test_a_record_put_into_another_organization_is_seen_in_both(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    make_chain(engine, f"{lab}-2", 3)
    adversary.alter_record(engine, lab, 5, organization_id=f"{lab}-3")
    assert findings(engine, lab) == [error("record_missing", 5)]
    assert error("record_modified", 5) in findings(engine, f"{lab}-3")


def test_all_of_several_attacks_are_reported(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 40)
    adversary.alter_record(engine, lab, 2, actor_name="N. N.")
    adversary.delete_records(engine, lab, 5, 6)
    adversary.swap_records(engine, lab, 9, 11)
    adversary.alter_section(engine, lab, 14, "after", "{}")
    adversary.delete_section(engine, lab, 15, "context")
    adversary.delete_link(engine, lab, 18, "W-1")
    adversary.rechain_record(engine, lab, 21, reason="x")
    adversary.rechain_record(engine, lab, 25, actor_seq=99)
    adversary.alter_salt(engine, lab, 30, "before")
    adversary.cut_tail(engine, lab, 36)
    assert findings(engine, lab) == [
        error("record_modified", 2),
        error("record_missing", 5, 6),
        error("record_reordered", 9),
        error("record_reordered", 11),
        error("payload_modified", 14, section="after"),
        error("payload_missing", 15, section="context"),
        error("link_mismatch", 18),
        error("chain_broken", 22),
        error("ordinal_gap", 25),
        error("chain_broken", 26),
        error("payload_modified", 30, section="before"),
        error("head_mismatch", 37, 40),
    ]


def test_several_things_wrong_with_one_record_are_all_reported(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.rechain_record(engine, lab, 7, recorded_at="2020-01-01T00:00:00.000000Z", actor_seq=9)
    adversary.delete_payload(engine, lab, 7)
    adversary.add_link(engine, lab, 7, "batch", "B-1")
    assert findings(engine, lab) == [
        warning("clock_regression", 7),
        error("link_mismatch", 7),
        error("ordinal_gap", 7),
        *(error("payload_missing", 7, section=section) for section in ("after", "before", "context")),
        error("chain_broken", 8),
    ]


def test_an_altered_record_hides_neither_its_neighbours_nor_an_ordinal_beyond_it(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.rewrite_history(engine, lab, 9, lambda r: r._replace(actor_seq=r.actor_seq + (2 if r.seq == 11 else 0)))
    adversary.alter_record(engine, lab, 5, reason="x")
    adversary.delete_section(engine, lab, 4, "after")
    adversary.delete_link(engine, lab, 6, "W-1")
    assert findings(engine, lab) == [
        error("payload_missing", 4, section="after"),
        error("record_modified", 5),
        error("link_mismatch", 6),
        error("ordinal_gap", 11),
    ]


def test_every_sentence_names_the_positions_and_fits_one_line(sqlite_engine: Engine, lab: str) -> None:
    engine = sqlite_engine
    seen = set()
    for number, (steps, _) in enumerate(ATTACKS.values()):
        make_chain(engine, f"{lab}-{number}", SIZE)
        carry_out(steps, engine, f"{lab}-{number}")
        for finding in verify(engine, f"{lab}-{number}").findings:
            seen.add(finding.code)
            numbers = {int(digits) for digits in re.findall(r"-?\d+", finding.detail.replace(",", ""))}
            named = {finding.seq, finding.seq_end}
            assert named & numbers if finding.code == "head_mismatch" else named <= numbers, finding
            assert finding.section is None or repr(finding.section) in finding.detail
            assert re.fullmatch(r"[A-Z][^\n{}]+[a-z0-9]\.", finding.detail), finding
            assert finding.organization_id == f"{lab}-{number}"
    assert seen == {
        "record_modified", "record_reordered", "record_missing", "chain_broken", "payload_modified",
        "payload_missing", "link_mismatch", "ordinal_gap", "head_mismatch", "state_gap", "clock_regression",
    }  # fmt: skip


def test_a_moved_records_sentence_names_both_positions(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.swap_records(engine, lab, 2, 9)
    details = [finding.detail for finding in verify(engine, lab).findings]
    assert ["2" in detail and "9" in detail for detail in details] == [True, True]


def test_a_tail_cut_with_its_head_mended_leaves_nothing_to_see(engine: Engine, lab: str) -> None:
    """What remains is a whole chain: only a checkpoint knows of the rest. The number of records is the true one."""
    make_chain(engine, lab, SIZE)
    adversary.cut_tail(engine, lab, 7, mend=True)
    verification = verify(engine, lab)
    assert (verification.status, verification.records, verification.sealed) == ("verified", 7, 0)


@pytest.mark.parametrize("with_head", [True, False])
def test_a_log_emptied_without_a_trace_is_not_verified(engine: Engine, lab: str, with_head: bool) -> None:
    make_chain(engine, lab, SIZE)
    adversary.empty_log(engine, lab, mend=True)
    if not with_head:
        adversary.delete_head(engine, lab)
    verification = verify(engine, lab)
    assert (verification.status, verification.records, verification.findings) == ("not_checked", 0, ())


def test_an_organization_that_never_had_a_record_is_not_checked(engine: Engine, lab: str) -> None:
    verification = verify(engine, new_organization(engine, lab))
    assert (verification.status, verification.records, verification.findings) == ("not_checked", 0, ())


def test_a_chain_is_verified_where_only_its_organizations_row_is_gone(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3)
    adversary.alter_record(engine, lab, 2, reason="x")
    adversary.run_sql(engine, "DELETE FROM organization WHERE id = :id", id=lab)
    assert findings(engine, lab) == [error("record_modified", 2)]
