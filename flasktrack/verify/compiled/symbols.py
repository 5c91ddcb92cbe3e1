"""Functions of C libraries that compiled code calls: those that Python's own modules are linked with.

Asking a module's file for a symbol finds it in the very library that the module uses. That matters for SQLite: a second
copy of the library in a process would give up the locks of the first (POSIX locks belong to the process).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

from flasktrack.verify.compiled.machine import External, provide

_CRYPTO = ("SHA256_Init", "SHA256_Update", "SHA256_Final")
_SQLITE = (
    "sqlite3_step", "sqlite3_column_type", "sqlite3_column_int64", "sqlite3_column_value",
    "sqlite3_value_type", "sqlite3_value_int64", "sqlite3_value_blob", "sqlite3_value_bytes",
)  # fmt: skip
_POSTGRESQL = ("PQgetvalue", "PQgetlength", "PQgetisnull")

_INT, _LONG, _POINTER = "int32", "int64", "intp"


def _external(name: str, gives: str, *takes: str) -> Any:
    return External(f"flasktrack_{name}", gives, takes)


sha256_init = _external("SHA256_Init", _INT, _POINTER)
sha256_update = _external("SHA256_Update", _INT, _POINTER, _POINTER, _POINTER)
sha256_final = _external("SHA256_Final", _INT, _POINTER, _POINTER)

sqlite3_step = _external("sqlite3_step", _INT, _POINTER)
sqlite3_column_type = _external("sqlite3_column_type", _INT, _POINTER, _INT)
sqlite3_column_int64 = _external("sqlite3_column_int64", _LONG, _POINTER, _INT)
# Quicker, where one thread alone has the connection.
sqlite3_column_value = _external("sqlite3_column_value", _POINTER, _POINTER, _INT)
sqlite3_value_type = _external("sqlite3_value_type", _INT, _POINTER)
sqlite3_value_int64 = _external("sqlite3_value_int64", _LONG, _POINTER)
sqlite3_value_blob = _external("sqlite3_value_blob", _POINTER, _POINTER)
sqlite3_value_bytes = _external("sqlite3_value_bytes", _INT, _POINTER)

pq_getvalue = _external("PQgetvalue", _POINTER, _POINTER, _INT, _INT)
pq_getlength = _external("PQgetlength", _INT, _POINTER, _INT, _INT)
pq_getisnull = _external("PQgetisnull", _INT, _POINTER, _INT, _INT)

memcpy: Any = External("memcpy", _POINTER, (_POINTER, _POINTER, _POINTER))

SHA256_STATE_BYTES = 256
"""Room for OpenSSL's SHA256_CTX, which takes 112."""


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
        addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names]
    except (AttributeError, OSError):  # built into the interpreter, or linked so that nobody else can call it
        return None
    for name, address in zip(names, addresses, strict=True):
        provide(f"flasktrack_{name}", address)
    return library
