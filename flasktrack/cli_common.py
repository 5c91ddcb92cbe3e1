"""What the modules of the command line share: exit statuses, the database, and how an answer is printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
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
