"""What the modules of the command line share: exit statuses, the database, and how an answer is printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.acting import OPERATOR, acting, operator_scope
from flasktrack.core.printable import printable, printable_json
from flasktrack.core.record import ACTOR_TYPES, MAX_ID
from flasktrack.settings import Settings
from flasktrack.store.engine import open_database, open_engine
from flasktrack.store.organizations import get_organization
from flasktrack.store.scope import Permission, Scope

SOUND, NOT_SOUND, FAILED = 0, 1, 2
NOBODY = "command line"


@contextmanager
def database(options: argparse.Namespace, *, blank: bool = False) -> Iterator[Engine]:
    """The database that the command is about; `blank` where its schema may be missing yet."""
    url = options.database or Settings.from_environment().database_url
    engine = open_engine(url) if blank else open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def answer(options: argparse.Namespace, document: dict[str, Any], *lines: str) -> None:
    """Print the document where JSON is asked for, and otherwise the lines: text from records can't make another."""
    print(printable_json(document) if options.json else "\n".join(map(printable, lines)))


def say(line: str) -> None:
    """Print one line at once, as a command that goes on does."""
    print(printable(line), flush=True)


def complain(sentence: str) -> None:
    """Print what is wrong, on one line of standard error."""
    print("flasktrack:", printable(" ".join(sentence.split())), file=sys.stderr)


def actor(text: str) -> str:
    """An option's actor as type:id, or who starts a command that names nobody."""
    type_, _, id_ = text.partition(":")
    if text != NOBODY and not (type_ in ACTOR_TYPES and 1 <= len(id_) <= MAX_ID):
        raise argparse.ArgumentTypeError(
            f"{text[:60]!r} is not type:id of an actor; the types are {', '.join(ACTOR_TYPES)}"
        )
    return text


def command_scope(
    engine: Engine, organization_id: str, by: str | None, permission: Permission, *, unnamed: str = OPERATOR.subject
) -> Scope:
    """The scope in which a command acts: for whom it names (`by`, type:id), or else for whoever runs it (`unnamed`).

    Raises UnknownOrganization, and NotPermitted for a person whose roles don't permit it.
    """
    name = get_organization(engine, organization_id).id
    if by is None or by == NOBODY:
        return operator_scope(name, unnamed)
    return acting(engine, name, by, permission)


def add_progress(command: argparse.ArgumentParser) -> None:
    """Let a command report its progress to a program."""
    command.add_argument("--progress", action="store_true", help="report progress as JSON lines on standard error")


def add_request(command: argparse.ArgumentParser) -> None:
    """Let the app say in which request a command was asked for."""
    command.add_argument("--request", metavar="JSON", type=_request, default={}, help=argparse.SUPPRESS)


def _request(text: str) -> dict[str, str]:
    """What records of the command say of the request."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no JSON object of texts")
    return given


@contextmanager
def progress_bar(unit: str, *, scale: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error where that is a terminal; the callback takes how much is done, and of how much."""
    from tqdm import tqdm

    with tqdm(unit=unit, unit_scale=scale, disable=None, leave=False, delay=0.5) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield show


@contextmanager
def progress_report(as_json: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar, or a line of JSON on standard error for each report."""
    if not as_json:
        with progress_bar("record") as progress:
            yield progress
        return

    def report(checked: int, total: int) -> None:
        print(json.dumps({"checked": checked, "of": total}), file=sys.stderr, flush=True)

    yield report
