"""A witness: another party, on another machine, who cosigns what extends all that it has seen, and refuses a fork.

It has the log's public keys, checkpoints and consistency proofs; no database, no records. So whoever holds the log's
database and its keys can still not show one history to the witness and another one to an auditor.

    <directory>/name                            the witness's name, such as witness.example/w1
    <directory>/keys/                           its key pair, and the logs' public keys that it trusts (0700)
    <directory>/checkpoints/<origin>/*.note     every checkpoint that it cosigned; the largest is what the next extends
    <directory>/refused/*.request               requests which show that a log signed what it must not

A cosigned checkpoint is on the disk before its cosignature leaves. `checkpoints/<deployment>` is an anchor directory:
a verification of the log can be told to trust it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from flasktrack.core.add_checkpoint import AddCheckpoint, format_request, parse_request
from flasktrack.core.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from flasktrack.core.keys import ED25519, ED25519_COSIGNER, SigningKey, VerifierKey, parse_vkey
from flasktrack.core.merkle import verify_consistency
from flasktrack.core.note import Note, format_note, format_signatures, parse_note, sign_note, verified_signatures
from flasktrack.core.times import utc_now
from flasktrack.errors import AnchorError, CosignRefused, InvalidNote, WitnessError
from flasktrack.trust import key_files
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.key_files import KEY_NAMES
from flasktrack.trust.keyring import Keyring

EVIDENCE = 422
"""The status of a refusal that shows the log at fault; the request is kept."""

_ORIGIN = re.compile(r"(?P<deployment>[a-z0-9][a-z0-9.-]{0,189})/(?P<organization>[a-z0-9][a-z0-9-]{0,62})")


class Seen(NamedTuple):
    """A log by its origin, and the size of its last checkpoint that was cosigned."""

    origin: str
    size: int


class Witness:
    """A witness's directory. Every method raises WitnessError, KeyringError or AnchorError where it can't be used."""

    def __init__(self, directory: Path, passphrase: str | None = None) -> None:
        self.directory = directory
        self._passphrase = passphrase

    def create(self, name: str) -> None:
        """Make the directory with a key pair; harmless where it is there under the same name."""
        if not _ORIGIN.fullmatch(name):
            raise WitnessError(
                f"{name[:80]!r} can't be a witness's name.", "Give a host and a word, such as witness.example.org/w1."
            )
        file = self.directory / "name"
        if key_files.present(file):
            if self.name != name:
                raise WitnessError(f"{self.directory} is of the witness {self.name}.", "Give another directory.")
        else:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                raise WitnessError(
                    f"The folder {self.directory} can't be made ({problem.strerror}).", "Choose another place."
                ) from None
            key_files.write_new(file, f"{name}\n".encode())
        self._keyring().create()

    @property
    def name(self) -> str:
        """The name under which it cosigns."""
        file = self.directory / "name"
        if not key_files.present(file):
            raise WitnessError(
                f"There is no witness in {self.directory}.", "Make one with: python -m flasktrack witness init"
            )
        name = key_files.read_file(file).decode(errors="replace").removesuffix("\n")
        if not _ORIGIN.fullmatch(name):
            raise WitnessError(f"{file} does not hold a witness's name.", "Restore it from its backup.")
        return name

    def check(self) -> None:
        """Raise where it could not cosign, for want of keys or a passphrase."""
        self._signing_keys()

    def vkeys(self) -> list[str]:
        """Its public keys, to hand out: Ed25519 and ML-DSA-44 cosignatures."""
        _, _, word = self.name.partition("/")
        own = (trusted.key for trusted in self._keyring().own(word))
        return [
            VerifierKey(key.name, ED25519_COSIGNER if key.type == ED25519 else key.type, key.public).vkey for key in own
        ]

    def trust(self, vkeys: Iterable[str]) -> int:
        """Trust logs' public keys, as `keys show` prints them, from now on; how many of them are new.

        Raises InvalidKey where a line is no vkey, WitnessError where one is of no log; then none is taken in.
        """
        lines = [text for line in vkeys if (text := line.strip()) and not text.startswith("#")]
        host, _, _ = self.name.partition("/")
        for key in map(parse_vkey, lines):
            if not _ORIGIN.fullmatch(key.name) or key.type not in KEY_NAMES:
                raise WitnessError(f"The key {key.name} is no log's: it seals nothing.", "No key was added.")
            if key.name.startswith(f"{host}/"):
                raise WitnessError(
                    f"The log {key.name} and this witness, {self.name}, are of one name: a witness is another party.",
                    "No key was added. Make the witness under a name of its own.",
                )
        return self._keyring().trust(lines)

    def logs(self) -> list[Seen]:
        """The logs whose keys are trusted, by origin."""
        return [Seen(origin, self._last(origin)) for origin in sorted({key.name for key in self._log_keys()})]

    def note(self, seen: Seen) -> str:
        """A checkpoint that was cosigned, as it was kept: signed by the log and by this witness."""
        self._kept(*seen)
        anchors, organization = self._anchors(seen.origin)
        return anchors.get(organization, seen.size).note

    def cosign(self, text: str, *, clock: Callable[[], datetime] = utc_now) -> str:
        """Decide on a request, and return the cosignature lines.

        Raises InvalidRequest, InvalidNote for one that is not well formed, and CosignRefused, which says why.
        """
        request = parse_request(text)
        signing = self._signing_keys()
        note, checkpoint = self._opened(request)
        with key_files.one_at_a_time(self._keys):  # from looking at what was seen to having kept what is new
            try:
                self._check(request, checkpoint)
            except CosignRefused as refusal:
                if refusal.status == EVIDENCE:
                    self._keep_evidence(checkpoint, request)
                raise
            cosigned = sign_note(note.text, signing, int(clock().timestamp()))
            if checkpoint.size > self._last(checkpoint.origin):
                whole = format_note(Note(note.text, (*note.signatures, *cosigned.signatures)))
                anchors, organization = self._anchors(checkpoint.origin)
                anchors.write(organization, checkpoint.size, whole)
        return format_signatures(cosigned.signatures)

    def _opened(self, request: AddCheckpoint) -> tuple[Note, Checkpoint]:
        """The note, with the log's signatures alone, and what it says, once a trusted key of that log has signed it."""
        note = parse_note(request.note)
        checkpoint = parse_checkpoint(note.text)
        keys = [key for key in self._log_keys() if key.name == checkpoint.origin]
        if not keys:
            raise CosignRefused(
                f"No key of {checkpoint.origin[:300]} is trusted here.",
                "Get its public keys from somebody you trust, and take them in with: witness trust FILE",
                status=404,
            )
        try:
            signed = verified_signatures(note, keys)
        except InvalidNote as problem:
            raise CosignRefused(
                f"{checkpoint.origin} did not sign this checkpoint: {problem.what}",
                "Where its keys were rotated, take the new ones in with: witness trust FILE",
                status=403,
                unsound=True,
            ) from None
        return Note(note.text, tuple(line for _, line in signed)), checkpoint

    def _check(self, request: AddCheckpoint, new: Checkpoint) -> None:
        """Refuse what does not extend all that was cosigned of this log."""
        last = self._last(new.origin)
        refuse = partial(CosignRefused, size=last)
        elsewhere = 400 if request.old_size > new.size else 409
        anchors, organization = self._anchors(new.origin)
        if new.size in anchors.sizes(organization) and self._kept(new.origin, new.size).root != new.root:
            raise refuse(
                f"{new.origin} has signed two different histories of {new.size:,} records: this one forks from the "
                "one that was cosigned here.",
                f"Both are kept as evidence, this one at {self._evidence(new)}. Tell whoever relies on this log.",
                status=EVIDENCE,
                unsound=True,
            )
        if new.size < last:
            raise refuse(
                f"This checkpoint of {new.origin} covers {new.size:,} records, and one over {last:,} was cosigned "
                "before.",
                "An old request was sent again, or the log's newest records were cut off: verify the log.",
                status=elsewhere,
                unsound=True,
            )
        if request.old_size != last:
            raise refuse(
                f"The last checkpoint of {new.origin} that was cosigned here covers {last:,} records, and the "
                f"request's proof begins at {request.old_size:,}.",
                f"Make the request again with: --old {last}",
                status=elsewhere,
            )
        if not last:
            if request.proof or not new.size:
                raise refuse(f"A first checkpoint of {new.origin} has records and no proof.", "", status=422)
            return
        if not verify_consistency(last, new.size, request.proof, self._kept(new.origin, last).root, new.root):
            raise refuse(
                f"It is not proved that the {new.size:,} records of {new.origin} begin with the {last:,} that were "
                "cosigned here: the proof is wrong, or the history was rewritten.",
                f"The request is kept at {self._evidence(new)}. Have the log fully verified.",
                status=EVIDENCE,
                unsound=True,
            )

    def _last(self, origin: str) -> int:
        """The largest size that was cosigned, or 0."""
        anchors, organization = self._anchors(origin)
        return max(anchors.sizes(organization), default=0)

    def _kept(self, origin: str, size: int) -> Checkpoint:
        """A checkpoint that was cosigned."""
        anchors, organization = self._anchors(origin)
        anchor = anchors.get(organization, size)
        try:
            checkpoint = parse_checkpoint(parse_note(anchor.note).text)
        except InvalidNote:
            checkpoint = None
        if checkpoint is None or (checkpoint.origin, checkpoint.size) != (origin, size):
            raise WitnessError(f"{anchor.path} is not the checkpoint that was cosigned.", "Restore it from its backup.")
        return checkpoint

    def _anchors(self, origin: str) -> tuple[Anchors, str]:
        deployment, _, organization = origin.partition("/")
        return Anchors(self.directory / "checkpoints" / deployment), organization

    def _evidence(self, checkpoint: Checkpoint) -> Path:
        """One file a checkpoint, so that sending it again with other proofs fills no disk."""
        return self.directory / "refused" / f"{sha256(format_checkpoint(checkpoint).encode()).hexdigest()}.request"

    def _keep_evidence(self, checkpoint: Checkpoint, request: AddCheckpoint) -> None:
        path = self._evidence(checkpoint)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as problem:
            raise AnchorError(f"{path.parent} can't be made ({problem.strerror}).", "Look at its folder.") from None
        if not key_files.present(path):
            key_files.write_over(path, format_request(request).encode())

    def _log_keys(self) -> list[VerifierKey]:
        """The keys of others: to this key directory they are what a witness is to a log."""
        return self._keyring().witnesses()

    def _signing_keys(self) -> list[SigningKey]:
        _, _, word = self.name.partition("/")
        return [SigningKey(key.name, key.private, cosigns=True) for key in self._keyring().signing_keys(word)]

    @property
    def _keys(self) -> Path:
        return self.directory / "keys"

    def _keyring(self) -> Keyring:
        host, _, _ = self.name.partition("/")
        return Keyring(self._keys, host, self._passphrase)
