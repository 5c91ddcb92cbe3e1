"""Functions of C libraries that compiled code calls: those that Python's own modules are linked with.

Asking a module's file for a symbol finds it in the very library that the module uses. That matters for SQLite: a second
copy of the library in a process would give up the locks of the first (POSIX locks belong to the process).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
from numba import njit, types

F = TypeVar("F", bound=Callable[..., Any])

_CRYPTO = ("SHA256_Init", "SHA256_Update", "SHA256_Final")
_SQLITE = (
    "sqlite3_step", "sqlite3_column_type", "sqlite3_column_int64", "sqlite3_column_blob", "sqlite3_column_bytes",
    "sqlite3_column_value", "sqlite3_value_type", "sqlite3_value_int64", "sqlite3_value_blob", "sqlite3_value_bytes",
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
sqlite3_column_blob = _external("sqlite3_column_blob", _pointer, _pointer, _int)
sqlite3_column_bytes = _external("sqlite3_column_bytes", _int, _pointer, _int)
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
    try:
        return cast(F, njit(nogil=True, boundscheck=True, cache=True)(function))
    except RuntimeError:  # no folder for what was compiled can be written: compile it in each process
        return cast(F, njit(nogil=True, boundscheck=True)(function))


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
