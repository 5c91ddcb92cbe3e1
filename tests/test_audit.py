"""An audit that could not look anything up must not pass for one that found nothing."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).resolve().parent.parent / ".ci" / "audit.py"
UNKNOWN = {"name": "theirs", "skip_reason": "not found"}
SOUND = {"name": "sound", "version": "1.0", "vulns": []}
FLAWED = {"name": "flawed", "version": "0.9", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.0"]}]}


@pytest.fixture
def audit() -> Any:
    spec = spec_from_file_location("audit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"dependencies": []}', json.dumps({"dependencies": [UNKNOWN]})])
def test_no_answer_is_none(audit: Any, answer: str) -> None:
    done = audit.judge(answer, "ERROR: the service can't be reached")
    assert done.status == audit.NOT_CHECKED == 3
    assert "NOT CHECKED" in done.lines[0]


def test_what_is_known_is_named_and_what_is_not_too(audit: Any) -> None:
    done = audit.judge(json.dumps({"dependencies": [SOUND, FLAWED, UNKNOWN]}), "")
    assert done.status == audit.VULNERABLE == 1
    assert any("flawed 0.9: PYSEC-1, mended in 1.0" in line for line in done.lines)
    assert "theirs" in done.lines[-1]
    assert audit.judge(json.dumps({"dependencies": [SOUND]}), "").status == audit.CLEAN == 0
