"""`members add|list|roles|remove`: who belongs to an organization, and as what."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.members import add_member, change_roles, list_members, parse_roles, remove_member
from flasktrack.access.roles import Role, role_titles
from flasktrack.cli_common import SOUND, actor, answer, command_scope, database
from flasktrack.core.record import Record
from flasktrack.store.scope import Permission, Scope


def add_member_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `members` to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "who belongs to an organization, in which roles: add, list, change or remove members"
    members = commands.add_parser("members", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = members.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.set_defaults(run=run)
        added.add_argument("--organization", metavar="ID", required=True)
        added.add_argument(
            "--by", metavar="TYPE:ID", type=actor, help="who does it; default: the user of this computer"
        )
        return added

    action("list", _list, "print the members and their roles")
    add = action("add", _add, "make a person a member")
    roles = action("roles", _roles, "give a member other roles, in place of those that they have")
    remove = action("remove", _remove, "end a membership: the person is out at their next click")
    for command in (add, roles, remove):
        command.add_argument("subject", metavar="SUBJECT", help="user:ID, as their sign-in calls them")
        command.add_argument("--reason", metavar="TEXT", required=True, help="it stands in the record")
    for command in (add, roles):
        command.add_argument("--name", metavar="TEXT", help="as records name them; default: the id")
        names = ", ".join(Role)
        command.add_argument("--role", metavar="NAME", action="append", required=True, help=f"repeatable: {names}")


def _scope(options: argparse.Namespace, engine: Engine) -> Scope:
    return command_scope(engine, options.organization, options.by, Permission.MANAGE_MEMBERS)


def _list(options: argparse.Namespace) -> int:
    with database(options) as engine:
        members = list_members(engine, _scope(options, engine))
    document = [
        {"subject": one.subject, "name": one.name, "roles": sorted(one.roles), "seq": one.seq, "problem": one.problem}
        for one in members
    ]
    lines = [
        f"{one.subject} ({one.name}): {one.problem or f'{role_titles(one.roles)}, by record {one.seq:,}'}"
        for one in members
    ]
    answer(
        options, {"organization_id": options.organization, "members": document},
        *(lines or [f"{options.organization} has no members yet."]),
    )  # fmt: skip
    return SOUND


def _add(options: argparse.Namespace) -> int:
    roles = parse_roles(options.role)
    with database(options) as engine:
        scope = _scope(options, engine)
        record = add_member(engine, scope, options.subject, options.name, roles, reason=options.reason)
    return _done(options, record, f"{options.subject} is a member: {role_titles(roles)}")


def _roles(options: argparse.Namespace) -> int:
    roles = parse_roles(options.role)
    with database(options) as engine:
        scope = _scope(options, engine)
        record = change_roles(engine, scope, options.subject, roles, reason=options.reason, name=options.name)
    return _done(options, record, f"{options.subject} has these roles now: {role_titles(roles)}")


def _remove(options: argparse.Namespace) -> int:
    with database(options) as engine:
        record = remove_member(engine, _scope(options, engine), options.subject, reason=options.reason)
    return _done(options, record, f"{options.subject} is no member any more")


def _done(options: argparse.Namespace, record: Record, said: str) -> int:
    document = {"organization_id": record.organization_id, "subject": record.entity_id, "seq": record.seq}
    answer(options, document, f"{record.organization_id}: {said}; record {record.seq:,} says so.")
    return SOUND
