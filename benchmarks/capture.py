"""What capture costs: a flush and its commit, without it, with it, and with SQLAlchemy-Continuum, on SQLite.

    python -m benchmarks.capture capture-flasktrack-1000 /tmp/folder 50000     # objects in each flush, and in all

Each transaction updates objects that are loaded already, all of them. The database is as durable for all three:
FlaskTrack's own settings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Float, Integer, String
from sqlalchemy.orm import Session, configure_mappers, declarative_base
from sqlalchemy_continuum import make_versioned

from benchmarks.apart import report
from benchmarks.stopwatch import Stopwatch
from flasktrack.capture.context import Actor, acting
from flasktrack.capture.marks import audited
from flasktrack.capture.recorder import capture
from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization

ORGANIZATION = "northwind-labs"


def measure(tool: str, size: int, folder: Path, count: int, watch: Stopwatch) -> None:
    """Update `count` objects, `size` in each flush, with `tool` (none, flasktrack, continuum) recording it."""
    file = folder / "capture.db"
    for path in folder.glob(f"{file.name}*"):  # with its write-ahead log
        path.unlink()
    engine = open_engine(f"sqlite:///{file}")
    initialize(engine)
    if tool == "continuum":
        make_versioned(user_cls=None)
    base, sample = _application(versioned=tool == "continuum")
    base.metadata.create_all(engine)
    if tool == "flasktrack":
        with writing(engine) as connection:
            create_organization(connection, ORGANIZATION)
        capture(engine, ORGANIZATION)
    with acting(Actor("user", "u-17", "Zoë", "analyst")), Session(engine, expire_on_commit=False) as session:
        objects = [sample(code=f"S-{number}", volume=0.0, state="received") for number in range(size)]
        session.add_all(objects)
        session.commit()
        for turn in range(count // size):
            for one in objects:
                one.volume = turn + 1.0
            with watch:
                session.commit()
    engine.dispose()


def _application(versioned: bool) -> tuple[Any, Any]:
    """The application's tables, and its one class."""
    base = declarative_base()

    class Versioned:
        if versioned:
            __versioned__: dict[str, Any] = {}

    @audited(name="code")
    class Sample(Versioned, base):  # type: ignore[misc, valid-type]
        __tablename__ = "sample"
        id = Column(Integer, primary_key=True)
        code = Column(String)
        volume = Column(Float)
        state = Column(String)
        batch = Column(String)

    configure_mappers()
    return base, Sample


def main() -> None:
    name, folder, count = sys.argv[1:]
    _, tool, size = name.split("-")
    watch = Stopwatch()
    measure(tool, int(size), Path(folder), int(count), watch)
    report(watch)


if __name__ == "__main__":
    main()
