"""What FlaskTrack captures beside what others do, of the same operations; docs/capture.md says it in a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

FLASKTRACK, CONTINUUM, TRIGGERS = "FlaskTrack", "SQLAlchemy-Continuum", "PostgreSQL-Audit"


def test_comparison(postgresql_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.capture.comparison", postgresql_url, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, Any]] = json.loads(done.stdout)

    # Triggers see what there is to see. What we captured is what they did, to the letter, and then the joining rows.
    for kept in told.values():
        if kept[FLASKTRACK] != "refused":
            own = [row for row in kept[FLASKTRACK] if row[1] != "sample_tag"]
            assert sorted(own, key=str) == sorted(_sorted(kept[TRIGGERS]), key=str)

    # Of a unit of work, Continuum keeps the same states after; of what goes past it, nothing.
    for name in ("an insert", "an update", "a many-to-many row"):
        assert [row[3] for row in told[name][FLASKTRACK]] == [row[3] for row in told[name][CONTINUUM]]
    for name in ("a bulk update", "a Core insert", "SQL text"):
        assert told[name][CONTINUUM] == []

    table = "".join(
        f"| {name} | {' | '.join(_cell(kept[tool]) for tool in (FLASKTRACK, CONTINUUM, TRIGGERS))} |\n"
        for name, kept in told.items()
    )
    assert table in (ROOT / "docs" / "capture.md").read_text(), table


def _sorted(rows: list[Any]) -> list[Any]:
    return [
        [verb, table, *(state and dict(sorted(state.items())) for state in states)] for verb, table, *states in rows
    ]


def _cell(rows: Any) -> str:
    """What was kept, in words."""
    if rows == "refused":
        return "refused"
    return "; ".join(f"{table}: {_states(*states)}" for _, table, *states in rows) or "nothing"


def _states(before: Any, after: Any) -> str:
    words = [word for word, state in (("before", before), ("after", after)) if state is not None]
    return " and ".join(words) or "that it is gone"
