"""Thresholds of the rules: what an organization has set, and the defaults for the rest.

thresholds = Thresholds.read({"late_entry": {"hours": 12}})
thresholds["late_entry"]["hours"]                                # 12
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine

from flasktrack.core.record import Record
from flasktrack.errors import SettingRefused
from flasktrack.insight.attention.rule import Rule, Threshold
from flasktrack.insight.attention.rules import RULES
from flasktrack.store.engine import writing
from flasktrack.store.organization_settings import change_setting, read_setting
from flasktrack.store.scope import Permission, Scope

SETTING, TITLE = "attention", "Thresholds of what needs attention"
"""The name under which they are stored, and what their records call them."""

ON = Threshold("on", "Look for it", default=True)
"""What every rule has besides its own."""
MOST_WORDS, MOST_LETTERS = 50, 255
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All rules' thresholds, checked: `thresholds[rule][name]`. Words are tuples."""

    values: Mapping[str, Values]

    def __getitem__(self, rule: str) -> Values:
        return self.values[rule]

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Thresholds:
        """What was given, with defaults for the rest; what is given for no rule or threshold of today is left out.

        Raises SettingRefused, which names the rule and the threshold, for a value that can't be meant.
        """
        return cls({rule.name: _of_rule(rule, given.get(rule.name)) for rule in RULES.values()})

    def with_values(self, rule: str, values: Values) -> Thresholds:
        """The same but for one rule. Raises SettingRefused."""
        return Thresholds.read({**self.values, rule: {**self.values[rule], **values}})

    def as_json(self) -> dict[str, Any]:
        """As they are stored, and stand in a record's `before` and `after`."""
        return {
            rule: {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
            for rule, values in self.values.items()
        }


def thresholds_of(rule: Rule) -> tuple[Threshold, ...]:
    """A rule's thresholds, with the one that every rule has."""
    return (ON, *rule.thresholds)


class InForce(NamedTuple):
    """The thresholds that apply, and the position of the record that set them (0: none did).

    `problem` says in a sentence why those that are stored can't be relied on; then the defaults apply.
    """

    thresholds: Thresholds
    seq: int
    problem: str | None = None


def read_thresholds(engine: Engine, scope: Scope) -> InForce:
    """What applies in an organization. Raises UnknownOrganization."""
    stored = read_setting(engine, scope, SETTING)
    if stored.problem is not None or stored.value is None:
        return InForce(DEFAULTS, stored.seq, stored.problem)
    try:
        return InForce(Thresholds.read(stored.value), stored.seq)
    except SettingRefused as problem:  # set by a version with other limits
        return InForce(DEFAULTS, stored.seq, str(problem))


def set_thresholds(engine: Engine, scope: Scope, before: InForce, after: Thresholds, *, reason: str) -> Record:
    """Set an organization's thresholds, and return the record of it.

    Raises NotPermitted; SettingRefused where `before` is no longer what is in force, where nothing changes, or without
    a reason; and what `store.writer.append` raises. Then nothing was written.
    """
    stored = read_setting(engine, scope, SETTING)
    # To the letter, so that the record's `before` is the last one's `after`, whichever version wrote that.
    same = stored.value is not None and before.problem is None and before.thresholds != after
    former = stored.value if same and stored.value is not None else before.thresholds.as_json()
    with writing(engine) as connection:
        return change_setting(
            connection, scope, SETTING, former, after.as_json(),
            since=before.seq, permission=Permission.SET_THRESHOLDS, reason=reason, title=TITLE,
        )  # fmt: skip


def _of_rule(rule: Rule, given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise SettingRefused(f"The thresholds of {rule.name} are none.")
    return {one.name: _checked(rule, one, (given or {}).get(one.name, one.default)) for one in thresholds_of(rule)}


def _checked(rule: Rule, threshold: Threshold, value: Any) -> Any:
    default = threshold.default
    if isinstance(default, bool):
        good = isinstance(value, bool)
        advice = "Give true or false."
    elif isinstance(default, int):
        good = type(value) is int and threshold.least <= value <= threshold.most
        advice = f"Give a whole number from {threshold.least:,} to {threshold.most:,}."
    elif isinstance(default, str):
        good = isinstance(value, str) and _CLOCK.fullmatch(value) is not None
        advice = "Give a time of day such as 07:00."
    else:
        words = tuple(dict.fromkeys(value)) if isinstance(value, (list, tuple)) and _are_words(value) else None
        good = words is not None and set(words) <= set(threshold.choices or words)
        value = value if words is None else words
        advice = f"Give some of {', '.join(threshold.choices)}." if threshold.choices else "Give words."
    if not good:
        raise SettingRefused(f"{rule.title}, {threshold.label.lower()}: {str(value)[:60]!r} can't be meant.", advice)
    return value


def _are_words(value: Any) -> bool:
    return len(value) <= MOST_WORDS and all(
        isinstance(word, str) and word.strip() == word and 0 < len(word) <= MOST_LETTERS for word in value
    )


DEFAULTS = Thresholds.read({})
