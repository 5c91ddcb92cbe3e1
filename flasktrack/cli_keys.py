"""`keys show`, `keys rotate` and `keys trust FILE` (spec section 6): the key directory on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flasktrack.cli_common import SOUND, answer, complain, database
from flasktrack.core.record import is_organization_id
from flasktrack.errors import InvalidKey, KeyringError
from flasktrack.settings import Settings
from flasktrack.store.organizations import chain_sizes
from flasktrack.trust.key_files import KEY_NAMES
from flasktrack.trust.keyring import Keyring

MAX_TRUST_FILE_BYTES = 16 * 1024 * 1024  # 10,000 ML-DSA-44 keys, at about 1,800 bytes each


def add_key_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `keys` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "the keys that seal: show, rotate or trust them"
    keys = commands.add_parser("keys", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = keys.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    action("show", _show, "print the public keys in use, as vkeys, to hand out; --json: the retired ones, too")
    action("rotate", _rotate, "make a new pair; the old public keys stay trusted for what they have signed")
    trust = action("trust", _trust, "trust the public keys of a witness or of another deployment")
    trust.add_argument("file", metavar="FILE", type=Path, help="vkeys, one a line")


def _show(options: argparse.Namespace) -> int:
    keyring = Keyring.from_settings(Settings.from_environment())
    keys = [(name, key) for name in _sizes(options) for key in keyring.own(name)]
    rows = [
        {"organization_id": name, "type": KEY_NAMES[key.type], "vkey": key.vkey, "retired_at": until}
        for name, (key, until) in keys
    ]
    if not keys:
        complain("No keys to show: they are named by organization, and there is none yet.")
    if keys or options.json:
        answer(options, {"keys": rows}, *(key.vkey for _, (key, until) in keys if until is None))
    return SOUND


def _rotate(options: argparse.Namespace) -> int:
    keyring = Keyring.from_settings(Settings.from_environment())
    sizes = _sizes(options)
    keyring.rotate(sizes)
    lines = ["A new pair of keys is in use. The old one stays trusted for checkpoints up to these sizes:"]
    lines += [f"- {name}: {size:,} records" for name, size in sizes.items()] or ["- none: there is no organization yet"]
    lines.append(f"Back up {keyring.directory}, and hand out what `keys show` prints.")
    rotated = [{"organization_id": name, "retired_at": size} for name, size in sizes.items()]
    answer(options, {"organizations": rotated}, *lines)
    return SOUND


def _sizes(options: argparse.Namespace) -> dict[str, int]:
    with database(options) as engine:
        return {name: size for name, size in chain_sizes(engine).items() if is_organization_id(name)}


def _trust(options: argparse.Namespace) -> int:
    keyring = Keyring.from_settings(Settings.from_environment())
    lines = _read_lines(options.file)
    try:
        added = keyring.trust(lines)
    except InvalidKey as problem:
        raise InvalidKey(f"{options.file}: {problem.what}", f"{problem.advice} No key was added.".strip()) from None
    words = "1 key is trusted that was" if added == 1 else f"{added:,} keys are trusted that were"
    answer(options, {"added": added}, f"{words} not before.")
    return SOUND


def _read_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TRUST_FILE_BYTES + 1)
        if len(data) > MAX_TRUST_FILE_BYTES:
            raise KeyringError(f"{file} is too large to be a list of vkeys.", "Give a file with one vkey a line.")
        return data.decode("utf-8-sig").splitlines()
    except OSError as problem:
        raise KeyringError(
            f"{file} can't be read ({problem.strerror or problem}).", "Look at its path and mode."
        ) from None
    except ValueError:
        raise KeyringError(f"{file} is not a text file.", "Give a file with one vkey a line.") from None
