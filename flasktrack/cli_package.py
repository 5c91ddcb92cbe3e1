"""`verify-package` (spec section 6): checks an evidence package as the verify.py in it does, with the same code."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from flasktrack.cli_common import NOT_SOUND, SOUND, answer
from flasktrack.cli_files import read_lines
from flasktrack.errors import FileFailed, InvalidKey


def add_package_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command; `command` makes the parser of one, given its name, what runs it, and a summary."""
    verify = command("verify-package", _verify_package, "check an evidence package by keys that you trust")
    verify.add_argument("file", metavar="FILE", type=Path)
    verify.add_argument(
        "--trust", metavar="VKEYFILE", type=Path, required=True,
        help="vkeys that you had before you opened the package, one a line",
    )  # fmt: skip


def _verify_package(options: argparse.Namespace) -> int:
    from flasktrack.export import verify_package

    try:
        keys = verify_package.read_keys(read_lines(options.trust))
    except verify_package.Malformed as problem:
        raise InvalidKey(f"{options.trust}: {problem}", "A vkey is name+id+base64, as `keys show` prints it.") from None
    if not keys:
        raise InvalidKey(f"{options.trust} holds no key.", "Give the vkeys that you trust, one a line.")
    try:
        with options.file.open("rb") as file:
            result = verify_package.check_package(file, keys)
    except OSError as problem:
        raise FileFailed(
            f"{options.file} can't be read ({problem.strerror or problem}).", "Look at its path and mode."
        ) from None
    answer(options, verify_package.as_json(result), *verify_package.as_text(result))
    return SOUND if result.status == verify_package.VERIFIED else NOT_SOUND
