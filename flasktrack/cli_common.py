"""What the modules of the command line share: exit statuses, the database, and how an answer is printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from flasktrack.settings import Settings
from flasktrack.store.engine import open_database, open_engine

SOUND, NOT_SOUND, FAILED = 0, 1, 2


@contextmanager
def database(options: argparse.Namespace, *, blank: bool = False) -> Iterator[Engine]:
    """The database that the command is about; `blank` where its schema may be missing yet."""
    url = options.database or Settings.from_environment().database_url
    engine = open_engine(url) if blank else open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()


def answer(options: argparse.Namespace, document: dict[str, Any], sentence: str) -> None:
    """Print the document where JSON is asked for, and otherwise the sentence."""
    print(json.dumps(document, indent=2, ensure_ascii=False) if options.json else sentence)


def add_progress(command: argparse.ArgumentParser) -> None:
    """Let a command report its progress to a program."""
    command.add_argument("--progress", action="store_true", help="report progress as JSON lines on standard error")


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
