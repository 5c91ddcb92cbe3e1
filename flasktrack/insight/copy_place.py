"""Where a copy lies and who owns it: a DuckDB file belongs to one process at a time, and a second one does without it.

A file that another process has open is left to it: this process gets a private copy in a temporary file, which goes
when it ends. A file that can't be read is thrown away; it holds nothing that isn't in the SQL database.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

import duckdb
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from flasktrack.errors import DatabaseError
from flasktrack.insight.copy import Copy, CopyFailed
from flasktrack.insight.duckdb_dialect import DRIVER
from flasktrack.settings import DATA
from flasktrack.store.engine import open_engine, sqlite_file

_SESSIONS = 20  # connections that are kept open
_MEMORY = "300MB"  # for DuckDB's buffers: beyond it, large answers go through a file; see docs/scale.md


def open_copy(source: Engine, url: str | None = None) -> Copy:
    """The copy of `source` at the URL of a database (default: a DuckDB file of its own), made where there is none.

    Raises DatabaseError for a URL that can't be used, or a server that can't be reached.
    """
    try:
        place = make_url(url) if url else default_place(source)
        if place.get_backend_name() != "duckdb":
            return Copy(source, _server(place))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError):
        raise DatabaseError(
            "FLASKTRACK_ANALYTICS_URL is not a database URL that can be used.",
            "Give duckdb:///path/to/file.duckdb or postgresql://user@host/name, or leave it out.",
        ) from None
    if not place.database or place.database == ":memory:":
        return Copy(source, _private())
    file = Path(place.database)
    for _ in range(2):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            return _explaining(Copy(source, _duckdb(file), partial(_spare, file)))
        except OSError:
            break
        except DBAPIError as problem:
            if _is_locked(problem) or not file.exists():
                break
            _discard(file)
    return Copy(source, _private())


def default_place(source: Engine) -> URL:
    """Beside an SQLite file; for another database, in a folder under data/ that is named after it."""
    file = sqlite_file(source)
    if file is None:
        name = sha256(source.url.render_as_string(hide_password=True).encode()).hexdigest()[:16]
        path = DATA / "copies" / name / "copy.duckdb"
    else:
        path = file.resolve().with_name(f"{file.name}.copy.duckdb")
    return URL.create("duckdb", database=str(path))


def _discard(file: Path) -> None:
    """Remove a copy's file, and what lies beside it."""
    for path in (file, file.with_name(f"{file.name}.wal")):
        with suppress(OSError):
            path.unlink()


def _spare(file: Path) -> Engine:
    """What to go on with after a file turned out to be damaged; the next process makes it anew."""
    _discard(file)
    return _private()


def _private() -> Engine:
    """A file that this process alone knows of."""
    folder = Path(tempfile.mkdtemp(prefix="flasktrack-copy-"))
    atexit.register(_remove, folder, os.getpid())
    engine = _duckdb(folder / "copy.duckdb")
    event.listen(engine, "handle_error", _explain)
    return engine


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a process that was forked off it
        shutil.rmtree(folder, ignore_errors=True)


def _duckdb(file: Path) -> Engine:
    place, config = URL.create(DRIVER, database=str(file)), {"memory_limit": _MEMORY}
    return create_engine(place, pool_size=_SESSIONS, connect_args={"config": config})


def _server(place: URL) -> Engine:
    if place.get_backend_name() in ("sqlite", "postgresql", "postgres"):
        return open_engine(place.render_as_string(hide_password=False))
    return create_engine(place)


def _is_locked(problem: DBAPIError) -> bool:
    return isinstance(problem.orig, duckdb.IOException) and "lock" in str(problem.orig)


def _explaining(copy: Copy) -> Copy:
    """From now on, what DuckDB reports becomes a sentence for the user; until now it told whose the file is."""
    event.listen(copy.engine, "handle_error", _explain)
    return copy


def _explain(context: ExceptionContext) -> CopyFailed | None:
    if not isinstance(context.original_exception, duckdb.Error):
        return None
    return CopyFailed((str(context.original_exception).strip().splitlines() or ["nothing"])[0])
