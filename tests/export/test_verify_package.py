"""verify.py, `verify-package` and everything else that checks a package say the same of every altered one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flasktrack.cli import main
from flasktrack.export import verify_package
from tests.export.alterations import CASES, Case, Said
from tests.export.packages import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def trust(lab: Lab) -> Path:
    file = lab.folder / "trusted.vkeys"
    file.write_text("".join(f"{vkey}\n" for vkey in lab.vkeys))
    return file


def said(findings: list[dict[str, Any]]) -> list[Said]:
    return [(one["code"], one["seq"], one["seq_end"], one["section"]) for one in findings]


def in_order(findings: list[Said]) -> list[Said]:
    return sorted(findings, key=repr)


def expected_status(case: Case) -> str:
    return "broken" if any(verify_package.SEVERITY.get(code) is None for code, *_ in case.findings) else "verified"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_alteration_is_found_and_nothing_else(
    case: Case, lab: Lab, trust: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "package.zip"
    package.write_bytes(case.alter(lab))
    status = main(["verify-package", str(package), "--trust", str(trust), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert in_order(said(answer["findings"])) == in_order(case.findings)
    assert answer["status"] == expected_status(case)
    assert status == (0 if answer["status"] == "verified" else 1)
    with package.open("rb") as file:
        result = verify_package.check_package(file, None)
    assert result.status in ("not_checked", "broken"), "without a key nothing is verified"
