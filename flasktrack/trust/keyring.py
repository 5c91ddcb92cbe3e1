"""The key directory: the pair that seals, the pairs that did, and the keys of others that are trusted.

    ed25519.pem, ml_dsa_44.pem    the private pair in use (PKCS #8 PEM; encrypted where a passphrase is set)
    public.json                   the public halves of it and of all pairs before it
    trusted.vkeys                 public keys of witnesses and other deployments, taken in by `trust`

One pair serves a deployment; under each organization's origin it is another key to a verifier. Only signing needs
the private pair and the passphrase.

A crash leaves a usable directory: new private keys are written as `*.pem.new` first, then public.json is replaced,
which decides, and then they get their names. Whoever signs next does what is left of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from flasktrack.core.keys import ED25519, ML_DSA_44, PrivateKey, SigningKey, VerifierKey, parse_vkey
from flasktrack.core.record import is_organization_id
from flasktrack.errors import InvalidKey, KeyringError
from flasktrack.settings import Settings
from flasktrack.trust import key_files
from flasktrack.trust.key_files import KEY_FILES, KEY_NAMES
from flasktrack.trust.public_keys import PublicKey, format_public_keys, in_use, parse_public_keys, retire
from flasktrack.trust.timestamps import TimestampAuthority

PUBLIC_FILE = "public.json"
TRUSTED_FILE = "trusted.vkeys"


ThirdParty = VerifierKey | TimestampAuthority


class TrustedKey(NamedTuple):
    """A key that may have signed checkpoints; `until`: the size at which it was retired, None for no limit."""

    key: VerifierKey
    until: int | None


class Keyring:
    """A key directory as one deployment uses it. Opens nothing before it is asked; every method raises KeyringError."""

    def __init__(
        self, directory: Path, deployment: str, passphrase: str | None = None, tsa_cert: Path | None = None
    ) -> None:
        self.directory = directory
        self.deployment = deployment
        self._passphrase = passphrase or None
        self._tsa_cert = tsa_cert

    @classmethod
    def from_settings(cls, settings: Settings) -> Keyring:
        """The key directory that the settings name."""
        return cls(settings.key_dir, settings.deployment, settings.key_passphrase, settings.tsa_cert)

    def exists(self) -> bool:
        """Whether there is any key of this deployment's own, usable or not."""
        return any(key_files.present(self.directory / name) for name in (PUBLIC_FILE, *KEY_FILES.values()))

    def create(self) -> None:
        """Make the directory and a pair of keys where they are missing; harmless where they are there.

        A pair that somebody put there is taken into use. Half a pair is refused: the other half may have signed.
        """
        key_files.make_directory(self.directory)
        with key_files.one_at_a_time(self.directory):
            if not self.exists():
                self._replace_pair([])
            elif not key_files.present(self.directory / PUBLIC_FILE):
                key_files.write_new(self.directory / PUBLIC_FILE, format_public_keys(self._public_keys()))
            for kind in KEY_FILES:
                self._refuse_absent(kind)

    def origin(self, organization_id: str) -> str:
        """The origin of an organization's checkpoints, and the name of the keys that sign them."""
        return f"{self.deployment}/{organization_id}"

    def signing_keys(self, organization_id: str) -> list[SigningKey]:
        """The pair in use, Ed25519 first, as it signs for an organization."""
        key_files.check_directory(self.directory)
        with key_files.one_at_a_time(self.directory):
            current = in_use(self._public_keys())
            pair = [self._private(kind, current[kind]) for kind in (ED25519, ML_DSA_44)]
        return [SigningKey(self.origin(organization_id), key) for key in pair]

    def trusted(self, organization_id: str) -> list[TrustedKey]:
        """The keys whose checkpoints of an organization count; none where there is no key directory."""
        if not key_files.present(self.directory):
            return []
        origin = self.origin(organization_id)
        own = self._public_keys() if self.exists() else []
        known = {key.public for key in own}  # a retired key stays so, even where `trust` has taken it in
        taken_in = [key for key in self._taken_in() if key.name == origin and self._seals(key)]
        taken_in = [key for key in taken_in if key.public not in known]
        return [*self._named(own, organization_id), *(TrustedKey(key, None) for key in taken_in)]

    def own(self, organization_id: str) -> list[TrustedKey]:
        """This deployment's own keys for an organization: those in use, and then the retired ones."""
        return self._named(self._public_keys(), organization_id)

    def witnesses(self) -> list[VerifierKey]:
        """The keys taken in by `trust` under another name than this deployment's origins: they cosign."""
        return [key for key in self._taken_in() if not self._seals(key)]

    def authority(self) -> TimestampAuthority | None:
        """The time stamp authority that is trusted, if one is. Raises SettingsError where its file can't be used."""
        return None if self._tsa_cert is None else TimestampAuthority.from_file(self._tsa_cert)

    def third_parties(self) -> list[ThirdParty]:
        """All whose word may stand in a note beside the deployment's own: witnesses, and the time stamp authority."""
        authority = self.authority()
        return [*self.witnesses(), *([] if authority is None else [authority])]

    def vkeys(self, organization_ids: Iterable[str]) -> list[str]:
        """The public keys in use, to hand out: two for each organization."""
        keys = self._public_keys()
        return [key.vkey for name in organization_ids for key, until in self._named(keys, name) if until is None]

    def rotate(self, sizes: Mapping[str, int]) -> None:
        """Make a new pair and delete the old private one. The old public keys stay trusted up to these sizes.

        `sizes` are those of all organizations, by id. A private key that is lost need not be there (public.json says
        what it was); one that is there must be the right one, so that a mistyped passphrase changes nothing.
        """
        key_files.check_directory(self.directory)
        with key_files.one_at_a_time(self.directory):
            own = self._public_keys()
            for kind, public in in_use(own).items():
                if key_files.present(self._path(kind)):
                    self._private(kind, public, clear=True)
            self._replace_pair(retire(own, sizes))

    def trust(self, vkeys: Iterable[str]) -> int:
        """Trust the keys of another deployment or of a witness from now on; how many of them are new.

        Takes a file's lines: empty ones and those that begin with # don't count. Raises InvalidKey, naming the line,
        for one that is no vkey, and then takes none in.
        """
        wanted = _parse_lines(vkeys)
        key_files.make_directory(self.directory)
        with key_files.one_at_a_time(self.directory):
            taken_in = self._taken_in()
            own = self._public_keys() if self.exists() else []
            origins = {key.name for key in wanted if self._is_origin(key.name)}
            known = [*taken_in, *(key.named(origin) for origin in origins for key in own)]
            new = list(dict.fromkeys(key for key in wanted if key not in known))
            by_id = {(key.name, key.key_id): key for key in known}
            for key in new:
                if by_id.setdefault((key.name, key.key_id), key) != key:
                    raise InvalidKey(
                        f"Two different keys of {key.name} have the id {key.key_id.hex()}.", "One of them is forged."
                    )
            if new:
                lines = "".join(f"{key.vkey}\n" for key in [*taken_in, *new])
                key_files.write_over(self.directory / TRUSTED_FILE, lines.encode())
        return len(new)

    def _named(self, keys: Iterable[PublicKey], organization_id: str) -> list[TrustedKey]:
        origin = self.origin(organization_id)
        current, retired = [], []
        for key in keys:
            if key.retired_at is None:
                current.append(TrustedKey(key.named(origin), None))
            elif organization_id in key.retired_at:  # else it was retired before the organization was there
                retired.append(TrustedKey(key.named(origin), key.retired_at[organization_id]))
        return [*current, *retired]

    def _seals(self, key: VerifierKey) -> bool:
        return self._is_origin(key.name) and key.type in KEY_NAMES

    def _is_origin(self, name: str) -> bool:
        deployment, _, organization_id = name.rpartition("/")
        return deployment == self.deployment and is_organization_id(organization_id)

    def _public_keys(self) -> list[PublicKey]:
        """All public keys of this deployment; where public.json is missing, from the private pair."""
        key_files.check_directory(self.directory)
        path = self.directory / PUBLIC_FILE
        if key_files.present(path):
            try:
                return parse_public_keys(key_files.read_file(path))
            except InvalidKey as problem:
                raise KeyringError(f"{path} is damaged. {problem.what}", "Restore it from its backup.") from None
        if not self.exists():
            raise KeyringError(f"There are no keys in {self.directory}.", "Make them with: python -m flasktrack init")
        for kind in KEY_FILES:
            self._refuse_absent(kind)
        read = {kind: key_files.read_key(self._path(kind), kind, self._passphrase) for kind in KEY_FILES}
        return [PublicKey(kind, key.public_key().public_bytes_raw()) for kind, key in read.items()]

    def _taken_in(self) -> list[VerifierKey]:
        path = self.directory / TRUSTED_FILE
        if not key_files.present(path):
            return []
        key_files.check_directory(self.directory)
        try:
            return _parse_lines(key_files.read_file(path).decode().splitlines())
        except (InvalidKey, ValueError) as problem:
            what = f" {problem.what}" if isinstance(problem, InvalidKey) else ""
            raise KeyringError(f"{path} is damaged.{what}", "Restore it from its backup.") from None

    def _replace_pair(self, retired: list[PublicKey]) -> None:
        """Put a new pair into use beside these keys, in the order that a crash can't harm."""
        pair = {kind: key_files.generate_key(kind) for kind in KEY_FILES}
        for kind, key in pair.items():
            key_files.remove(self._staged(kind))  # of a run that stopped before it mattered
            key_files.write_new(self._staged(kind), key_files.encode_key(key, self._passphrase))
        new = [PublicKey(kind, key.public_key().public_bytes_raw()) for kind, key in pair.items()]
        write = key_files.write_over if retired else key_files.write_new
        write(self.directory / PUBLIC_FILE, format_public_keys([*retired, *new]))
        for kind in pair:
            key_files.move(self._staged(kind), self._path(kind), over=bool(retired))

    def _private(self, kind: int, public: bytes, *, clear: bool = False) -> PrivateKey:
        """The private key in use, put in its place where a rotation stopped before it had done so."""
        self._refuse_absent(kind)
        path, staged = self._path(kind), self._staged(kind)
        problems = []
        for candidate in filter(key_files.present, (path, staged)):
            try:
                key = key_files.read_key(candidate, kind, self._passphrase, clear=clear)
            except KeyringError as problem:  # the other one may be the key
                problems.append(problem)
                continue
            if key.public_key().public_bytes_raw() == public:
                if candidate == staged:
                    key_files.move(staged, path, over=key_files.present(path))
                return key
        if problems:
            raise problems[0]
        raise KeyringError(
            f"{path} is not the {KEY_NAMES[kind]} key that belongs to {self.directory / PUBLIC_FILE}.",
            "Restore the key directory from its backup.",
        )

    def _refuse_absent(self, kind: int) -> None:
        if not self._is_there(kind):
            advice = "Restore it from its backup."
            if key_files.present(self.directory / PUBLIC_FILE):
                advice = "Restore it from its backup, or replace the pair with: python -m flasktrack keys rotate"
            raise KeyringError(f"The {KEY_NAMES[kind]} key {self._path(kind)} is missing.", advice)

    def _is_there(self, kind: int) -> bool:
        return key_files.present(self._path(kind)) or key_files.present(self._staged(kind))

    def _path(self, kind: int) -> Path:
        return self.directory / KEY_FILES[kind]

    def _staged(self, kind: int) -> Path:
        return self.directory / f"{KEY_FILES[kind]}.new"


def _parse_lines(lines: Iterable[str]) -> list[VerifierKey]:
    keys = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                keys.append(parse_vkey(text))
            except InvalidKey as problem:
                raise InvalidKey(f"Line {number}: {problem.what}", problem.advice) from None
    return keys
