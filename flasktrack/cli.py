"""The command line (spec section 6): parses arguments, calls the package, prints what it found.

Exit status: 0 done and sound, 1 checked and not sound, 2 could not do it (one line on standard error says why and
what to do). With --json, standard output is one JSON document and nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from flasktrack.cli_api_keys import add_api_key_commands
from flasktrack.cli_chain import add_chain_commands
from flasktrack.cli_common import FAILED, SOUND, complain, progress_bar
from flasktrack.cli_common import answer as _answer
from flasktrack.cli_common import database as _database
from flasktrack.cli_export import add_export_commands
from flasktrack.cli_keys import add_key_commands
from flasktrack.cli_members import add_member_commands
from flasktrack.cli_package import add_package_commands
from flasktrack.cli_serve import add_serve_command
from flasktrack.cli_timestamp import add_timestamp_commands
from flasktrack.cli_triggers import add_trigger_commands
from flasktrack.cli_users import add_user_commands
from flasktrack.cli_witness import add_witness_commands
from flasktrack.errors import FlaskTrackError, KeyringError
from flasktrack.settings import DATA, Settings
from flasktrack.store.engine import initialize
from flasktrack.store.roles import APP, OWNER, READER, RECORDER, ROLES
from flasktrack.trust.keyring import Keyring

_USERS = {"dashboard": APP, "lab_application": RECORDER, "auditor": READER}  # names for users, to be going on with


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        options = _parser().parse_args(arguments, argparse.Namespace(database=None, json=False))
        return int(options.run(options))
    except FlaskTrackError as problem:
        return _fail(str(problem))
    except KeyboardInterrupt:
        return _fail("Stopped. Nothing half-written was left behind.")
    except BrokenPipeError:  # the reader of standard output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail("The program that reads this output stopped reading.")
    except Exception as problem:  # noqa: BLE001 (no traceback reaches a user)
        kind = type(problem).__name__
        return _fail(f"Something failed that should not ({kind}: {str(problem)[:300]}). Please report it.")


def _fail(sentence: str) -> int:
    complain(sentence)
    return FAILED


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument as this program's other errors: in one line."""

    def error(self, message: str) -> NoReturn:
        raise FlaskTrackError(f"{message[:1].upper()}{message[1:]}.", f"See: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument(
        "--database", metavar="URL", default=argparse.SUPPRESS, help="default: FLASKTRACK_DATABASE_URL, or data/"
    )
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document")
    parser = _Parser(prog="python -m flasktrack", description=__doc__.partition("\n")[0], parents=[common])
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    init = command("init", _init, "create the database's schema, or bring it to this version, and the keys")
    init.add_argument("--roles", action="store_true", help="PostgreSQL: make roles for owner, app, recorder and reader")
    demo = command("demo", _demo, "fill an empty database with the sample lab")
    demo.add_argument("--tampered", action="store_true", help="make a copy that an insider has altered instead")

    imports = command("import", _import, "append the events of a file, or of a folder's files: all of them or none")
    imports.add_argument("file", metavar="FILE", type=Path, help="plain or compressed by gzip, or a folder")
    imports.add_argument("--organization", metavar="ID", required=True)
    imports.add_argument(
        "--format",
        metavar="NAME",
        help="jsonl, csv, cloudtrail, github, django-auditlog, ocsf or retraced; default: jsonl, or csv by the name",
    )
    imports.add_argument("--mapping", metavar="FILE", type=Path, help="which column gives which field (CSV)")
    imports.add_argument("--time-zone", metavar="ZONE", help="of an organization that is new; default UTC")

    add_key_commands(commands, common)
    add_member_commands(commands, common)
    add_api_key_commands(commands, common)
    add_user_commands(commands, common)
    add_witness_commands(commands, common)
    add_timestamp_commands(commands, common)
    add_trigger_commands(commands, common)

    add_chain_commands(command)
    add_serve_command(command)

    add_export_commands(command)
    add_package_commands(command)
    return parser


def _init(options: argparse.Namespace) -> int:
    keyring = Keyring.from_settings(Settings.from_environment())
    with _database(options, blank=True) as engine:
        initialize(engine, with_roles=options.roles)
        place = engine.url.render_as_string(hide_password=True)
    try:
        keyring.create()
    except KeyringError as problem:
        raise KeyringError(f"The database {place} is ready, but not its keys: {problem.what}", problem.advice) from None
    keys = str(keyring.directory)
    lines = [f"The database {place} is ready, with its keys in {keys}."]
    if options.roles:
        lines += [
            f"Its tables belong to {OWNER}. Give each program a user of its own, who is a member of one of the roles:",
            *(f"- CREATE ROLE {user} LOGIN PASSWORD '...' IN ROLE {role};" for user, role in _USERS.items()),
        ]
    document = {"database": place, "keys": keys} | ({"roles": list(ROLES)} if options.roles else {})
    _answer(options, document, *lines)
    return SOUND


def _demo(options: argparse.Namespace) -> int:
    from flasktrack.demo import load_sample_lab, make_tampered_copy

    if options.tampered:
        target = DATA / "tampered.db"
        with _database(options) as engine:
            changes = make_tampered_copy(engine, target)
        shown = [f"- {change}" for change in changes]
        see = f"Look at it with: FLASKTRACK_DATABASE_URL=sqlite:///{target} make run"
        document = {"database": f"sqlite:///{target}", "changes": changes}
        _answer(options, document, f"{target} is a copy that an insider has altered:", *shown, see)
        return SOUND
    with _database(options, blank=True) as engine, progress_bar("record") as progress:
        counts = load_sample_lab(engine, progress=progress)
    loaded = [{"organization_id": name, "records": count} for name, count in counts.items()]
    _answer(options, {"organizations": loaded}, *(f"{name}: {count:,} records" for name, count in counts.items()))
    return SOUND


def _import(options: argparse.Namespace) -> int:
    from flasktrack.capture.importing import import_file

    with _database(options) as engine, progress_bar("B", scale=True) as progress:
        result = import_file(
            engine,
            options.file,
            options.organization,
            format=options.format,
            mapping=options.mapping,
            time_zone=options.time_zone,
            progress=progress,
        )
    sentence = f"{result.organization_id}: {result.read:,} events read, {result.added:,} records added"
    if result.already_present:
        sentence += f", {result.already_present:,} were there already"
    if not result.read:
        sentence = f"{result.organization_id}: {options.file} holds no events, so nothing was added"
    document = {name: getattr(result, name) for name in result.__slots__}
    _answer(options, document, f"{sentence}.")
    return SOUND
