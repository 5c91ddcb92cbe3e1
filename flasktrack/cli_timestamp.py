"""`timestamp`: have the newest checkpoints stamped by a time stamp authority (RFC 3161), over HTTP or with files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flasktrack.cli_common import SOUND, answer, database
from flasktrack.cli_files import read_bytes, write_bytes
from flasktrack.core.times import format_time
from flasktrack.errors import TimestampError
from flasktrack.settings import Settings
from flasktrack.store.organizations import list_chains
from flasktrack.trust.keyring import Keyring
from flasktrack.trust.timestamps import MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from flasktrack.seal.timestamp import Stamped


def add_timestamp_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `timestamp` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "have checkpoints stamped by a time stamp authority (RFC 3161)"
    timestamp = commands.add_parser("timestamp", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = timestamp.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    get = action("get", _get, "stamp the newest checkpoints that have no time stamp yet")
    get.add_argument("--url", metavar="URL", required=True, help="the authority's address")
    get.add_argument("--organization", metavar="ID", help="default: all")
    request = action("request", _request, "write the request to a file, where the authority is out of reach")
    request.add_argument("--organization", metavar="ID", required=True)
    request.add_argument("--output", metavar="FILE", type=Path, required=True)
    add = action("add", _add, "take the authority's answer into the checkpoint's note")
    add.add_argument("file", metavar="FILE", type=Path)
    add.add_argument("--organization", metavar="ID", help="default: whichever it fits")


def _get(options: argparse.Namespace) -> int:
    from flasktrack.seal.timestamp import ask_authority, make_stamp_request, take_in_stamp

    keyring = Keyring.from_settings(Settings.from_environment())
    stamped = []
    with database(options) as engine:
        for name in [options.organization] if options.organization else list_chains(engine):
            request = make_stamp_request(engine, name, keyring)
            if request is not None and request.stamped_at is None:
                stamped.append(take_in_stamp(engine, keyring, ask_authority(options.url, request.query), [name]))
    lines = [_sentence(one) for one in stamped]
    document = {"timestamps": [_document(one) for one in stamped]}
    answer(options, document, *(lines or ["Nothing was stamped: there is no checkpoint without a time stamp."]))
    return SOUND


def _request(options: argparse.Namespace) -> int:
    from flasktrack.seal.timestamp import make_stamp_request

    keyring = Keyring.from_settings(Settings.from_environment())
    with database(options) as engine:
        request = make_stamp_request(engine, options.organization, keyring)
    if request is None:
        raise TimestampError(
            f"{options.organization} has no checkpoint to stamp.", "Seal it first: python -m flasktrack checkpoint"
        )
    write_bytes(options.output, request.query)
    document = {"organization_id": request.organization_id, "size": request.size, "output": str(options.output)}
    answer(options, document, f"The request for the checkpoint over {request.size:,} records is in {options.output}.")
    return SOUND


def _add(options: argparse.Namespace) -> int:
    from flasktrack.seal.timestamp import take_in_stamp

    keyring = Keyring.from_settings(Settings.from_environment())
    response = read_bytes(options.file, MAX_RESPONSE_BYTES, "an authority's answer")
    with database(options) as engine:
        names = [options.organization] if options.organization else list_chains(engine)
        stamped = take_in_stamp(engine, keyring, response, names)
    answer(options, _document(stamped), _sentence(stamped))
    return SOUND


def _document(stamped: Stamped) -> dict[str, Any]:
    return stamped._asdict() | {"stamped_at": format_time(stamped.stamped_at)}


def _sentence(stamped: Stamped) -> str:
    done = f"stamped at {format_time(stamped.stamped_at)}" if stamped.added else "has a time stamp already"
    return f"{stamped.organization_id}: the checkpoint over {stamped.size:,} records {done}"
