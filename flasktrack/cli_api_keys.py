"""`api-keys` and `service-accounts`: what programs are let in with, on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.cli_common import SOUND, actor, answer, database
from flasktrack.settings import parse_duration
from flasktrack.store.api_keys import ANY_ACTION, ApiKey, issue_api_key, list_api_keys, revoke_api_key
from flasktrack.store.engine import writing
from flasktrack.store.scope import Permission, Scope
from flasktrack.store.service_accounts import (
    ServiceAccount,
    add_service_account,
    list_service_accounts,
    retire_service_account,
)


def add_api_key_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add both to the command line's sub-parsers; `common` holds the options that every command takes."""
    summary = "keys that programs record and read with: issue, list or revoke them"
    action = _group(commands, common, "api-keys", summary)
    issue = action("issue", _issue, "make a key, and print it this once")
    issue.add_argument("--name", metavar="TEXT", required=True, help="what it is for")
    issue.add_argument("--service-account", metavar="ID", help="whose credential it is; default: an actor of its own")
    issue.add_argument("--action", metavar="VERB", action="append", default=[], help="that it may record; repeatable")
    issue.add_argument("--any-action", action="store_true", help="it may record every action")
    issue.add_argument("--read", action="store_true", help="it may read records, checkpoints and proofs")
    issue.add_argument("--name-users", action="store_true", help="it may say for which user of its application it acts")
    issue.add_argument("--expires", metavar="TIME", default="90d", help="after how long: 12h, 90d; default 90d")
    action("list", _list, "list an organization's keys, without their secrets")
    revoke = action("revoke", _revoke, "let nobody in with a key any more")
    revoke.add_argument("key", metavar="KEY", help="its id: ftk_ and 16 digits")
    _add_who_and_why(issue, revoke)

    action = _group(commands, common, "service-accounts", "machines that act under a name: add, list or retire them")
    add = action("add", _add_account, "make a service account; keys are issued for it")
    add.add_argument("account", metavar="ID", help="such as lims-sync")
    add.add_argument("--name", metavar="TEXT", required=True)
    action("list", _list_accounts, "list an organization's service accounts")
    retire = action("retire", _retire_account, "revoke all of its keys, and let it have no more")
    retire.add_argument("account", metavar="ID")
    _add_who_and_why(add, retire)


def _group(
    commands: Any, common: argparse.ArgumentParser, name: str, summary: str
) -> Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]:
    group = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    actions = group.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        added.add_argument("--organization", metavar="ID", required=True)
        added.set_defaults(run=run, by=None)
        return added

    return action


def _add_who_and_why(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--by", metavar="TYPE:ID", type=actor, help="who does it; default: whoever runs this")
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it stands in the record")


def _issue(options: argparse.Namespace) -> int:
    with database(options) as engine, writing(engine) as connection:
        key, token = issue_api_key(
            connection,
            _scope(options, engine),
            name=options.name,
            actions=[ANY_ACTION] if options.any_action else options.action,
            may_read=options.read,
            may_name_users=options.name_users,
            service_account_id=options.service_account,
            lifetime=parse_duration(options.expires),
            reason=options.reason,
        )
    shown = f"The key {key.id} is shown this once; record {key.seq:,} tells of it. It {_allows(key)}:"
    answer(options, {"key": _document(key), "token": token}, shown, token)
    return SOUND


def _list(options: argparse.Namespace) -> int:
    with database(options) as engine:
        keys = list_api_keys(engine, _scope(options, engine))
    lines = [f"{key.id}  {key.status():8}{key.name}, {_owner(key)}: {_allows(key)}" for key in keys]
    none = f"{options.organization} has no API keys."
    answer(options, {"keys": [_document(key) for key in keys]}, *(lines or [none]))
    return SOUND


def _revoke(options: argparse.Namespace) -> int:
    with database(options) as engine, writing(engine) as connection:
        key = revoke_api_key(connection, _scope(options, engine), options.key, reason=options.reason)
    answer(options, {"key": _document(key)}, f"The key {key.id} ({key.name}) is revoked; record {key.seq:,} says so.")
    return SOUND


def _add_account(options: argparse.Namespace) -> int:
    with database(options) as engine, writing(engine) as connection:
        made = add_service_account(
            connection, _scope(options, engine), options.account, options.name, reason=options.reason
        )
    answer(options, {"account": asdict(made)}, f"The service account {made.id} is there; record {made.seq:,} says so.")
    return SOUND


def _list_accounts(options: argparse.Namespace) -> int:
    with database(options) as engine:
        accounts = list_service_accounts(engine, _scope(options, engine))
    lines = [_account_line(account) for account in accounts]
    none = f"{options.organization} has no service accounts."
    answer(options, {"accounts": [asdict(account) for account in accounts]}, *(lines or [none]))
    return SOUND


def _retire_account(options: argparse.Namespace) -> int:
    with database(options) as engine, writing(engine) as connection:
        account = retire_service_account(connection, _scope(options, engine), options.account, reason=options.reason)
    sentence = f"The service account {account.id} is retired and its keys revoked; record {account.seq:,} says so."
    answer(options, {"account": asdict(account)}, sentence)
    return SOUND


def _scope(options: argparse.Namespace, engine: Engine) -> Scope:
    return acting(engine, options.organization, options.by, Permission.MANAGE_KEYS)


def _document(key: ApiKey) -> dict[str, Any]:
    return asdict(key) | {"status": key.status()}


def _owner(key: ApiKey) -> str:
    return "an actor of its own" if key.service_account_id is None else f"of {key.service_account_id}"


def _allows(key: ApiKey) -> str:
    """What a key is good for, and until when."""
    recorded = "any action" if ANY_ACTION in key.actions else ", ".join(key.actions)
    parts = [f"may record {recorded}"] if recorded else []
    parts += ["may read"] if key.may_read else []
    parts += ["may name users"] if key.may_name_users else []
    return f"{' and '.join(parts)} until {key.expires_at}"


def _account_line(account: ServiceAccount) -> str:
    return f"{account.id}  {account.name}" + (f", retired at {account.retired_at}" if account.retired_at else "")
