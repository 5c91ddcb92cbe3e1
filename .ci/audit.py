"""Known vulnerabilities of what is installed, by pip-audit: `python .ci/audit.py`.

Exit status: 0 looked up and none is known, 1 some are, 3 nothing could be looked up. pip-audit itself ends with 0 where
the service that it asks knows none of the packages, which is no answer; that is told apart here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

CLEAN, VULNERABLE, NOT_CHECKED = 0, 1, 3
_SECONDS = 300


class Audit(NamedTuple):
    """An exit status, and what it means in lines."""

    status: int
    lines: list[str]


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--local", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
        audit = judge(done.stdout, done.stderr)
    except (OSError, subprocess.TimeoutExpired) as problem:
        audit = judge("", str(problem))
    print("\n".join(audit.lines))
    return audit.status


def judge(answer: str, complaints: str) -> Audit:
    """What pip-audit's JSON says, or that it could not say anything."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        return Audit(NOT_CHECKED, [f"Vulnerabilities NOT CHECKED: {last[:300]}"])
    checked = [one for one in packages if "vulns" in one]
    unknown = sorted(one["name"] for one in packages if "vulns" not in one)
    if not checked:
        return Audit(NOT_CHECKED, [f"Vulnerabilities NOT CHECKED: the service knows none of {len(unknown)} packages."])
    found = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in checked
        for flaw in one["vulns"]
    ]
    lines = [f"{len(checked)} packages looked up, {len(found)} known vulnerabilities.", *found]
    if unknown:
        lines.append(f"Not checked, since the service does not know them: {', '.join(unknown)}")
    return Audit(VULNERABLE if found else CLEAN, lines)


if __name__ == "__main__":
    sys.exit(main())
