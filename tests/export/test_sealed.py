"""A record's own proof is C2SP tlog-proof's, stands alone, and is made of sealed and sound records only."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from flasktrack.core import merkle
from flasktrack.core.checkpoint import parse_checkpoint
from flasktrack.core.note import parse_note, verified_signatures
from flasktrack.errors import ExportFailed, Unsealed
from flasktrack.export.sealed import record_proof
from flasktrack.store.reader import Ledger
from flasktrack.store.scope import machine_scope
from tests import adversary
from tests.export.packages import ORGANIZATION, SIZE, Lab
from tests.verify.chains import event, grow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.engine.dispose()


def prove(lab: Lab, seq: int) -> str:
    return record_proof(Ledger(lab.engine, machine_scope(ORGANIZATION)), lab.keyring, seq)


@pytest.mark.parametrize("seq", [1, 8, SIZE])
def test_a_proof_is_checked_from_its_text_and_a_key_alone(lab: Lab, seq: int) -> None:
    """As c2sp.org/tlog-proof says: header, extra, index, hashes, an empty line, and the checkpoint as it is."""
    head, _, checkpoint = prove(lab, seq).partition("\n\n")
    name, extra, index, *hashes = head.split("\n")
    assert name == "c2sp.org/tlog-proof@v1"
    assert index == f"index {seq - 1}"
    assert checkpoint == lab.note
    note = parse_note(checkpoint)
    assert verified_signatures(note, [trusted.key for trusted in lab.keyring.trusted(ORGANIZATION)])
    said = parse_checkpoint(note.text)
    leaf = sha256(b"\0" + base64.b64decode(extra.removeprefix("extra "), validate=True)).digest()
    proof = [base64.b64decode(line, validate=True) for line in hashes]
    assert merkle.verify_inclusion(leaf, seq - 1, said.size, proof, said.root)


def test_what_can_not_be_proved_is_refused(lab: Lab) -> None:
    grow(lab.engine, ORGANIZATION, event(13))
    with pytest.raises(Unsealed, match="1 record lies above the last checkpoint"):
        prove(lab, 13)
    with pytest.raises(ExportFailed, match="no record at position 14"):
        prove(lab, 14)
    adversary.run_sql(lab.engine, "UPDATE audit_record SET hash = zeroblob(32) WHERE seq = 2")
    with pytest.raises(ExportFailed, match="Record 5 has no proof"):
        prove(lab, 5)
    with pytest.raises(ExportFailed, match="no proof of what is not sound"):
        prove(lab, 2)
