"""An entity's states follow on each other, and `record_link` says what `related` says (spec section 5)."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from flasktrack.core.record import Reference
from tests import adversary
from tests.verify.chains import error, event, findings, grow, make_chain, new_organization, said, verify, warning

SIZE = 12

STATE_CASES = {
    "changed unrecorded": ([{"after": 1}, {"before": 2, "after": 3}], [2]),
    "as recorded": ([{"after": 1}, {"before": 1, "after": 2}, {"before": 2}], []),
    "changed unrecorded twice": ([{"after": 1}, {"before": 2, "after": 3}, {"before": 4}], [2, 3]),
    "no state in between": ([{"after": 1}, {}, {"before": 2}], [3]),
    "only seen, and seen again": ([{"before": 1}, {"before": 2}], []),
    "deleted, then made anew": ([{"after": 1}, {"before": 1}, {"after": 5}, {"before": 5}], []),
}


@pytest.mark.parametrize("name", STATE_CASES)
def test_a_state_that_was_not_recorded_is_a_warning(engine: Engine, lab: str, name: str) -> None:
    """Acts of another entity lie between, so the entity's own last state counts and not the last record's."""
    acts, gaps = STATE_CASES[name]
    new_organization(engine, lab)
    nothing = {"before": None, "after": None}
    for act in acts:
        grow(engine, lab, event(1, **nothing | act), event(2, before=None, after={"other": 1}))
    verification = verify(engine, lab)
    assert said(verification) == [warning("state_gap", 2 * gap - 1) for gap in gaps]
    assert verification.status == "verified"


def test_a_state_is_not_compared_across_what_has_a_finding_already(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.alter_section(engine, lab, 5, "after", '{"volume":50}')
    adversary.alter_record(engine, lab, 6, entity_id="S-99")
    adversary.delete_records(engine, lab, 7)
    assert findings(engine, lab) == [
        error("payload_modified", 5, section="after"),
        error("record_modified", 6),
        error("record_missing", 7),
    ]


def test_related_entities_are_compared_as_they_are_named(engine: Engine, lab: str) -> None:
    """The same entity named twice has two links; their order in the table means nothing."""
    twice = [Reference("batch", "B-1"), Reference("batch", "A-1"), Reference("batch", "B-1")]
    make_chain(engine, lab, 3, related=twice)
    assert findings(engine, lab) == []
    adversary.delete_link(engine, lab, 2, "B-1")
    adversary.add_link(engine, lab, 2, "batch", "B-1")
    assert findings(engine, lab) == [error("link_mismatch", 2)]
    adversary.add_link(engine, lab, 2, "batch", "B-1")
    assert findings(engine, lab) == []
