"""An erasure on record: which sections of which records were removed by law (spec sections 3, 5 and 6).

The act is a record like any other: action `erase`, entity the organization, and in `after` what was removed:

    {"sections": ["before"], "seq": 1204, "seq_end": 1209}
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from flasktrack.core.record import SECTIONS, Content
from flasktrack.errors import InvalidRecord

ACTION, ENTITY_TYPE = "erase", "organization"


class Erasure(NamedTuple):
    """What the record at `seq` removed: these sections of the records from `first` to `last`."""

    seq: int
    first: int
    last: int
    sections: frozenset[str]

    def covers(self, seq: int, section: str) -> bool:
        return self.first <= seq <= self.last and section in self.sections


def check_no_erasure(content: Content, organization_id: str) -> None:
    """Raise InvalidRecord for what readers would take for the record of an erasure in this organization."""
    if (content.action, content.entity_type, content.entity_id) == (ACTION, ENTITY_TYPE, organization_id):
        raise InvalidRecord(
            "action", f"{ACTION!r} on {ENTITY_TYPE}:{organization_id} is reserved for what the command `erase` does"
        )


def erasure_body(first: int, last: int, sections: list[str]) -> dict[str, Any]:
    """The `after` of an erasure's record."""
    return {"seq": first, "seq_end": last, "sections": sections}


def parse_erasure(seq: int, after: str | bytes) -> Erasure | None:
    """What the sound `after` of an erasure's record at `seq` says; None where it says something else.

    An erasure speaks of records before it and of no later one.
    """
    try:
        said = orjson.loads(after)
        first, last, sections = said["seq"], said["seq_end"], said["sections"]
        if type(first) is int and type(last) is int and 1 <= first <= last < seq and set(sections) <= set(SECTIONS):
            return Erasure(seq, first, last, frozenset(sections))
    except (ValueError, TypeError, KeyError):
        pass
    return None
