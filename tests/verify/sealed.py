"""Chains that are sealed as they grow, with keys and anchors of their own, and what a verification says of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Engine

from flasktrack.seal.sealing import seal
from flasktrack.store.verifications import Verification
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.checkpoints import StoredCheckpoint
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.runner import Trust, verify_organization
from tests.verify.chains import Said, event, grow, new_organization, said

BY = "system:test"


class Sealed(NamedTuple):
    """An organization, where it is, and what is trusted."""

    engine: Engine
    id: str
    keyring: Keyring
    anchors: Anchors

    @property
    def trust(self) -> Trust:
        return Trust(self.keyring, self.anchors)

    def grow(self, first: int, last: int) -> None:
        """Append the acts of these numbers."""
        grow(self.engine, self.id, *(event(number) for number in range(first, last + 1)))

    def seal(self, *, anchor: bool = True) -> StoredCheckpoint:
        sealed = seal(self.engine, self.id, self.trust if anchor else Trust(self.keyring), started_by=BY)
        assert sealed is not None
        return sealed

    def verify(self, *, anchors: bool = True, **options: Any) -> Verification:
        trust = self.trust if anchors else Trust(self.keyring)
        return verify_organization(self.engine, self.id, started_by=BY, trust=trust, keep=False, **options)

    def findings(self, **options: Any) -> list[Said]:
        return said(self.verify(**options))


def make_sealed(sealed: Sealed, *sizes: int, anchor: bool = True) -> Sealed:
    """Grow to each of the sizes and seal there; a negative one, in the end, is left unsealed."""
    new_organization(sealed.engine, sealed.id)
    done = 0
    for size in sizes:
        sealed.grow(done + 1, abs(size))
        done = abs(size)
        if size > 0:
            sealed.seal(anchor=anchor)
    return sealed
