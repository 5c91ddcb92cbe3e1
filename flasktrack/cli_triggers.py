"""`triggers install|remove|list`: what is changed past the application is recorded by PostgreSQL itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.capture.database import (
    Captured,
    Installed,
    find_trigger,
    install_trigger,
    list_triggers,
    remove_trigger,
)
from flasktrack.cli_common import NOBODY, NOT_SOUND, SOUND, actor, answer, database
from flasktrack.store.engine import writing
from flasktrack.store.scope import Actor, Permission


def add_trigger_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `triggers` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "PostgreSQL: record what is changed past the application, by psql or a script"
    triggers = commands.add_parser("triggers", help=summary, description=f"{summary}.")
    actions = triggers.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        return added

    action("list", _list, "print the tables that have a trigger, and whether it is as it was made; else exit 1")
    install = action("install", _install, "record a table's changes from now on")
    remove = action("remove", _remove, "record a table's changes no more")
    for one in (install, remove):
        one.add_argument("table", metavar="TABLE", help="as schema.table, or as the search path finds it")
        one.add_argument("--by", metavar="TYPE:ID", type=actor, default=NOBODY, help="who does it: it is on record")
    install.add_argument("--organization", metavar="ID", required=True, help="whose records the changes become")
    install.add_argument("--entity-type", metavar="TYPE", required=True, help="what a row is, such as sample")
    install.add_argument("--name", metavar="COLUMN", help="what people call the row by")
    for option, summary in (
        ("--key", "identifies a row; default: the primary key. Repeatable, as are the following"),
        ("--mask", "is recorded as [masked], such as a password"),
        ("--exclude", "is left out: a change of nothing else is no record"),
    ):
        install.add_argument(option, metavar="COLUMN", action="append", default=[], help=summary)


def _list(options: argparse.Namespace) -> int:
    with database(options) as engine, engine.connect() as connection:
        found = list_triggers(connection)
    lines = [_line(one) for one in found] or ["No table's changes are recorded by the database."]
    answer(options, {"triggers": [_document(one) for one in found]}, *lines)
    return SOUND if all(one.sound for one in found) else NOT_SOUND


def _install(options: argparse.Namespace) -> int:
    how = Captured(
        options.organization, options.entity_type, tuple(options.key), options.name, tuple(options.mask),
        tuple(options.exclude),
    )  # fmt: skip
    with database(options) as engine:
        who = _by(engine, options.organization, options.by)
        with writing(engine) as connection:
            installed = install_trigger(connection, options.table, how, actor=who)
    answer(options, _document(installed), _line(installed))
    return SOUND


def _remove(options: argparse.Namespace) -> int:
    with database(options) as engine:
        with engine.connect() as connection:
            organization_id = find_trigger(connection, options.table).how.organization_id
        who = _by(engine, organization_id, options.by)
        with writing(engine) as connection:
            how = remove_trigger(connection, options.table, actor=who)
    answer(
        options, {"table": options.table, "organization_id": how.organization_id},
        f"{options.table}: what is changed past the application is no longer recorded.",
    )  # fmt: skip
    return SOUND


def _by(engine: Engine, organization_id: str, by: str) -> Actor:
    """Who does it. Raises NotPermitted for a person whose roles in the organization don't permit it."""
    return acting(engine, organization_id, None if by == NOBODY else by, Permission.MANAGE_SETTINGS).actor


def _document(one: Installed) -> dict[str, Any]:
    return {"table": one.table, **asdict(one.how), "sound": one.sound}


def _line(one: Installed) -> str:
    how = one.how
    hidden = [
        f"{word} {', '.join(names)}" for word, names in (("masks", how.mask), ("leaves out", how.exclude)) if names
    ]
    state = "" if one.sound else "; it is switched off, or not as this version makes it: install it again"
    return (
        "; ".join([f"{one.table}: {how.entity_type} by {', '.join(how.key)}, in {how.organization_id}", *hidden])
        + state
    )
