"""public.json of a key directory: the public halves of all pairs that this deployment has had.

    {"keys": [{"type": "Ed25519", "public": base64, "retired_at": {"northwind-labs": 25412}},
              {"type": "ML-DSA-44", "public": base64, "retired_at": {"northwind-labs": 25412}},
              {"type": "Ed25519", "public": base64, "retired_at": null},
              {"type": "ML-DSA-44", "public": base64, "retired_at": null}]}

So checkpoints can be verified without a passphrase, and after a rotation. `retired_at` gives each organization's size
at the rotation, up to which the key stays trusted (spec section 4); null: the key is in use. One key of each type is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flasktrack.core.keys import VerifierKey
from flasktrack.errors import InvalidKey
from flasktrack.trust.key_files import KEY_NAMES

_TYPES = {name: kind for kind, name in KEY_NAMES.items()}


class PublicKey(NamedTuple):
    """A public key without a name, since each organization's origin names it; `retired_at` as in the file."""

    type: int
    public: bytes
    retired_at: Mapping[str, int] | None = None

    def named(self, origin: str) -> VerifierKey:
        """The key as it signs for an origin."""
        return VerifierKey(origin, self.type, self.public)


def in_use(keys: Sequence[PublicKey]) -> dict[int, bytes]:
    """The public keys that sign, by type."""
    return {key.type: key.public for key in keys if key.retired_at is None}


def retire(keys: Sequence[PublicKey], sizes: Mapping[str, int]) -> list[PublicKey]:
    """The same keys, with those in use retired at these sizes."""
    return [key if key.retired_at is not None else key._replace(retired_at=dict(sizes)) for key in keys]


def format_public_keys(keys: Sequence[PublicKey]) -> bytes:
    """The file's content."""
    rows = [
        {"type": KEY_NAMES[key.type], "public": base64.b64encode(key.public).decode(), "retired_at": key.retired_at}
        for key in keys
    ]
    return f"{json.dumps({'keys': rows}, indent=1, sort_keys=True)}\n".encode()


def parse_public_keys(data: bytes) -> list[PublicKey]:
    """Read the file's content. Raises InvalidKey where it is not what `format_public_keys` writes."""
    try:
        keys = [_public_key(row) for row in json.loads(data)["keys"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidKey("It is not a list of public keys.") from None
    if sorted(key.type for key in keys if key.retired_at is None) != sorted(KEY_NAMES):
        raise InvalidKey("It has not one key of each type in use.")
    return keys


def _public_key(row: Mapping[str, Any]) -> PublicKey:
    retired_at = row["retired_at"]
    if retired_at is not None and not all(type(size) is int and size >= 0 for size in retired_at.values()):
        raise ValueError
    key = PublicKey(_TYPES[row["type"]], base64.b64decode(row["public"], validate=True), retired_at)
    key.named("any")  # its length
    return key
