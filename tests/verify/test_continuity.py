"""The tape: what does not continue its actor or entity is found, however little of it fits into memory at a time."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasktrack.verify import continuity
from flasktrack.verify.continuity import ABSENT, Tape, name_key

_NOTHING_UNTRUSTED = np.zeros((0, 2), dtype=np.int64)
_Act = tuple[int, int, int, int]  # actor, entity, how far the entity's count is off, state left behind


def _found(acts: list[_Act]) -> list[tuple[str, int]]:
    actors: Counter[int] = Counter()
    entities: Counter[int] = Counter()
    with closing(Tape()) as tape:
        for seq, (actor, entity, off, state) in enumerate(acts, 1):
            actors[actor] += 1
            entities[entity] += 1
            tape.write(
                name_key(tape.seed, "user", str(actor)), name_key(tape.seed, "sample", str(entity)), seq, actors[actor],
                entities[entity] + off, state, ABSENT if state == 3 else state,
            )  # fmt: skip
        return sorted(tape.gaps(_NOTHING_UNTRUSTED))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1), st.integers(2, 4)), max_size=40))
def test_what_is_found_does_not_depend_on_how_much_is_sorted_at_a_time(acts: list[_Act]) -> None:
    whole = _found(acts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuity, "_SHARE", 3)
        patch.setattr(continuity, "_READ", 7 * 56)
        assert _found(acts) == whole


def test_a_skipped_act_of_an_entity_is_found_in_every_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "_SHARE", 5)
    monkeypatch.setattr(continuity, "_READ", 3 * 56)
    acts = [(seq % 2, seq % 5, int(seq == 30), 2) for seq in range(60)]
    assert _found(acts) == [("entity_seq", 31)]
