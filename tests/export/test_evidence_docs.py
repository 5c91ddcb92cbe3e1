"""What docs/evidence.md tells an inspector is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from flasktrack.export import verify_package
from tests.export.alterations import CASES
from tests.export.packages import Lab

PAGE = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_every_finding_is_documented() -> None:
    table = PAGE.split("## Findings")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    source = Path(verify_package.__file__).read_text(encoding="utf-8")
    given = set(re.findall(r'"([a-z]+_[a-z]+)"', source))
    assert documented == {*(code for case in CASES for code, *_ in case.findings), "chain_broken", "payload_erased"}
    assert documented <= given


def test_the_program_checks_hashes_and_digests_with_python_alone(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lab = Lab(tmp_path)

    def run(records: bytes) -> int:
        (tmp_path / "records.jsonl").write_bytes(records)
        return subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True).returncode

    records = lab.package().files["records.jsonl"]
    assert run(records) == 0
    assert run(records.replace(b'"action":"update"', b'"action":"delete"', 1)) == 1
    assert run(records.replace(b'{\\"volume\\":1}', b'{\\"volume\\":9}', 1)) == 1
    lab.engine.dispose()
