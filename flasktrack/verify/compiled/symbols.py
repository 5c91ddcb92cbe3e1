"""Functions of C libraries that compiled code calls: those that Python's own modules are linked with.

Asking a module's file for a symbol finds it in the very library that the module uses. That matters for SQLite: a second
copy of the library in a process would give up the locks of the first (POSIX locks belong to the process).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile

F = TypeVar("F", bound=Callable[..., Any])

_CRYPTO = ("SHA256_Init", "SHA256_Update", "SHA256_Final")
_SQLITE = (
    "sqlite3_step", "sqlite3_column_type", "sqlite3_column_int64", "sqlite3_column_value",
    "sqlite3_value_type", "sqlite3_value_int64", "sqlite3_value_blob", "sqlite3_value_bytes",
)  # fmt: skip
_POSTGRESQL = ("PQgetvalue", "PQgetlength", "PQgetisnull")

_int, _long, _pointer = types.int32, types.int64, types.intp


def _external(name: str, result: Any, *arguments: Any) -> Any:
    return types.ExternalFunction(f"flasktrack_{name}", result(*arguments))


sha256_init = _external("SHA256_Init", _int, _pointer)
sha256_update = _external("SHA256_Update", _int, _pointer, _pointer, _pointer)
sha256_final = _external("SHA256_Final", _int, _pointer, _pointer)

sqlite3_step = _external("sqlite3_step", _int, _pointer)
sqlite3_column_type = _external("sqlite3_column_type", _int, _pointer, _int)
sqlite3_column_int64 = _external("sqlite3_column_int64", _long, _pointer, _int)
# Quicker, where one thread alone has the connection.
sqlite3_column_value = _external("sqlite3_column_value", _pointer, _pointer, _int)
sqlite3_value_type = _external("sqlite3_value_type", _int, _pointer)
sqlite3_value_int64 = _external("sqlite3_value_int64", _long, _pointer)
sqlite3_value_blob = _external("sqlite3_value_blob", _pointer, _pointer)
sqlite3_value_bytes = _external("sqlite3_value_bytes", _int, _pointer)

pq_getvalue = _external("PQgetvalue", _pointer, _pointer, _int, _int)
pq_getlength = _external("PQgetlength", _int, _pointer, _int, _int)
pq_getisnull = _external("PQgetisnull", _int, _pointer, _int, _int)

memcpy: Any = types.ExternalFunction("memcpy", _pointer(_pointer, _pointer, _pointer))

SHA256_STATE_BYTES = 256
"""Room for OpenSSL's SHA256_CTX, which takes 112."""


def compiled(function: F) -> F:
    """Compile a function when it is first called; every access to an array is checked against its bounds."""
    dispatcher: Any = njit(nogil=True, boundscheck=True)(function)
    with suppress(RuntimeError):  # no folder for what was compiled can be written: compile it in each process
        dispatcher._cache = _Kept(function)
    return cast(F, dispatcher)


class _Kept(FunctionCache):
    """What was compiled of a function, kept in a file.

    numba looks at the file that a function stands in alone. But machine code has in it whatever the function calls, and
    the constants that it takes from elsewhere: so it is good as long as none of these sources has changed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, _sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for a signature; None, so that it is compiled anew, where a file is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 (whatever unpickling such a file may lead to)
            with suppress(OSError):
                self.flush()
            return None


@cache
def _sources() -> str:
    """A digest of all files that compiled code is made of."""
    here = Path(__file__).parent
    core = here.parents[1] / "core"
    digest = sha256()
    for file in (*sorted(here.glob("*.py")), core / "record.py", core / "merkle.py", core / "header.py"):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def hashing() -> bool:
    """Whether SHA-256 is there to be called; it is from then on."""
    import _hashlib

    return _provide(_hashlib, _CRYPTO) is not None


@cache
def sqlite_library() -> ctypes.CDLL | None:
    """SQLite's library, its functions ready to be called; None where it can't be reached."""
    import _sqlite3

    return _provide(_sqlite3, _SQLITE)


@cache
def postgresql_library() -> ctypes.CDLL | None:
    """libpq, its functions ready to be called; None where it can't be reached."""
    from psycopg import pq

    return _provide(sys.modules[pq.PGresult.__module__], _POSTGRESQL)


def _provide(module: Any, names: tuple[str, ...]) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(module.__file__)
        addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names]
    except (AttributeError, OSError):  # built into the interpreter, or linked so that nobody else can call it
        return None
    for name, address in zip(names, addresses, strict=True):
        llvm.add_symbol(f"flasktrack_{name}", address)
    return library
