"""What a rule is: a name, what it looks for, why regulators want it looked at, and the thresholds that can be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

HIGH, MEDIUM, LOW = "high", "medium", "low"
SEVERITIES = (HIGH, MEDIUM, LOW)
"""How soon somebody should look. Not a judgement of the act: a rule only says that it is out of the ordinary."""

LOOKING = ("search", "view")
"""Actions that only look. FlaskTrack records its own readers' so, and a reader is not to be taken for who alters."""

CFR = "21 CFR Part 11"
GMP = "21 CFR Part 211"
ANNEX = "EU GMP Annex 11 (2011)"
MHRA = "MHRA GXP Data Integrity Guidance, Rev. 1 (2018)"
ALCOA = "ALCOA+"


class Citation(NamedTuple):
    """Where a regulation asks for it: source, clause, and what the clause says, in our words."""

    source: str
    clause: str
    says: str


class Threshold(NamedTuple):
    """One value that an organization may set. Its default tells its kind: bool, int, clock time (`07:00`), or words.

    `least` and `most` bound a number, `unit` is what it counts; words are some of `choices`, where there are any.
    """

    name: str
    label: str
    default: bool | int | str | tuple[str, ...]
    unit: str = ""
    least: int = 1
    most: int = 1_000_000
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A named question about the records of a period. `severity` is that of most hits; a hit may have another."""

    name: str
    title: str
    severity: str
    looks_for: str
    why: str
    citations: tuple[Citation, ...]
    thresholds: tuple[Threshold, ...] = ()
