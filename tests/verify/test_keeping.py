"""A person's verification is itself on record, and a machine's, or one that can't be recorded, is kept all the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from flasktrack.core.record import Event
from flasktrack.errors import UnknownOrganization
from flasktrack.store.engine import writing
from flasktrack.store.erasure import erase
from flasktrack.store.organizations import chain_sizes
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.store.scope import machine_scope
from flasktrack.store.verifications import latest_verification
from flasktrack.verify.runner import verify_organization
from tests import adversary, adversary_sealed
from tests.verify.chains import START, error, findings, grow, make_chain, new_organization, said, verify, warning
from tests.verify.sealed import Sealed, make_sealed

SIZE = 12


def newest(engine: Engine, organization_id: str) -> CheckedRecord:
    found = Ledger(engine, machine_scope(organization_id)).get(chain_sizes(engine)[organization_id])
    assert found is not None
    return found


def test_the_record_says_who_verified_and_what_came_of_it(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    with writing(engine) as connection:
        erase(connection, lab, 1, 2, ["context"], actor=("user", "u-1"), reason="GDPR")
    done = verify_organization(engine, lab, started_by="user:u-17")
    checked = newest(engine, lab)
    record = checked.record
    assert (record.seq, record.record_id, record.occurred_at) == (SIZE + 2, done.id, done.started_at)
    assert (record.actor_type, record.actor_id, record.action, record.outcome) == ("user", "u-17", "verify", "success")
    assert (record.entity_type, record.entity_id) == ("organization", lab)
    assert checked.after is not None
    assert orjson.loads(checked.after.body) == {
        "status": "verified", "mode": "full", "first_seq": 1, "last_seq": SIZE + 1, "records": SIZE + 1, "sealed": 0,
        "findings": {"error": 0, "warning": 0, "info": 1},
    }  # fmt: skip
    assert [finding[0] for finding in findings(engine, lab)] == ["payload_erased"]


@pytest.mark.parametrize("by", ["command line", "automation:schedule", "system:test", "api_key:k-1", "user:", "user"])
def test_what_no_person_started_is_no_record(engine: Engine, lab: str, by: str) -> None:
    make_chain(engine, lab, 3)
    done = verify_organization(engine, lab, started_by=by)
    assert latest_verification(engine, lab) == done
    assert chain_sizes(engine)[lab] == 3


def test_a_persons_id_may_hold_anything_that_an_id_may(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, 3)
    verify_organization(engine, lab, started_by="user:a:b c")
    assert newest(engine, lab).record.actor_id == "a:b c"
    done = verify_organization(engine, lab, started_by=f"user:{'x' * 300}")
    assert latest_verification(engine, lab) == done
    assert chain_sizes(engine)[lab] == 4, "an id that no record can hold"


def test_a_broken_verdict_is_recorded_where_the_chain_can_still_grow(engine: Engine, lab: str) -> None:
    make_chain(engine, lab, SIZE)
    adversary.alter_record(engine, lab, 5, reason="x")
    adversary.delete_section(engine, lab, 7, "after")
    verify_organization(engine, lab, started_by="user:u-1")
    after = newest(engine, lab).after
    assert after is not None
    told: dict[str, Any] = orjson.loads(after.body)
    assert (told["status"], told["findings"]) == ("broken", {"error": 2, "warning": 0, "info": 0})
    assert findings(engine, lab) == [error("record_modified", 5), error("payload_missing", 7, section="after")]


def remove_organization(engine: Engine, organization_id: str) -> None:
    adversary.delete_head(engine, organization_id)
    adversary.run_sql(engine, "DELETE FROM organization WHERE id = :id", id=organization_id)


BROKEN_ENDS = {
    "last record deleted": lambda engine, lab: adversary.delete_records(engine, lab, SIZE),
    "head deleted": lambda engine, lab: adversary.delete_head(engine, lab),
    "log emptied": lambda engine, lab: adversary.empty_log(engine, lab),
    "organization removed": lambda engine, lab: remove_organization(engine, lab),
    "a record that links to the last one already": lambda engine, lab: adversary.run_sql(
        engine, "UPDATE audit_record SET prev_hash = (SELECT hash FROM audit_record WHERE organization_id = :id AND "
        "seq = 12) WHERE organization_id = :id AND seq = 5", id=lab,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_ENDS)
def test_what_cannot_be_recorded_is_kept_nevertheless(engine: Engine, lab: str, name: str) -> None:
    make_chain(engine, lab, SIZE)
    BROKEN_ENDS[name](engine, lab)
    before = verify(engine, lab)
    done = verify_organization(engine, lab, started_by="user:u-1")
    assert (done.status, said(done)) == ("broken", said(before))
    assert latest_verification(engine, lab) == done
    assert said(verify(engine, lab)) == said(before), "nothing was half-written"


def test_a_verification_of_what_only_the_anchors_know_is_kept(sealed: Sealed) -> None:
    make_sealed(sealed, 4)
    adversary_sealed.remove_everything(sealed.engine, sealed.id)
    done = verify_organization(sealed.engine, sealed.id, started_by="user:u-1", trust=sealed.trust)
    assert said(done) == [error("chain_truncated", 1, 4)]
    assert latest_verification(sealed.engine, sealed.id) == done
    with pytest.raises(UnknownOrganization):
        verify(sealed.engine, sealed.id)


def organization_event(lab: str, before: Any, after: Any) -> Event:
    return Event(
        actor_type="user", actor_id="u-1", action="update", entity_type="organization", entity_id=lab,
        occurred_at=START, before=before, after=after,
    )  # fmt: skip


def test_a_verification_or_an_erasure_is_no_state_of_the_organization(engine: Engine, lab: str) -> None:
    """Between two changes of its settings, that is: the second one found what the first one left."""
    new_organization(engine, lab)
    grow(engine, lab, organization_event(lab, None, {"zone": "UTC"}))
    verify_organization(engine, lab, started_by="user:u-1")
    with writing(engine) as connection:
        erase(connection, lab, 1, 1, ["after"], actor=("user", "u-1"), reason="GDPR")
    grow(engine, lab, organization_event(lab, {"zone": "UTC"}, {"zone": "Europe/Berlin"}))
    verify_organization(engine, lab, started_by="user:u-1")
    grow(engine, lab, organization_event(lab, {"zone": "Europe/Berlin"}, {"zone": "UTC"}))
    assert [finding[0] for finding in findings(engine, lab)] == ["payload_erased"]
    verify_organization(engine, lab, started_by="user:u-1")
    grow(engine, lab, organization_event(lab, {"zone": "Europe/Berlin"}, None))
    assert findings(engine, lab)[1:] == [warning("state_gap", 8)]
