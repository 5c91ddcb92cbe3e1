"""Machine code of a function, made by numba: needed once for each function on a machine (see `machine`)."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.extending import typeof_impl
from numba.np.numpy_support import from_dtype

from flasktrack.verify.compiled.machine import Compiled, External

types: Any = numba.types
njit: Any = numba.njit
config: Any = numba.config
_dispatchers: dict[Compiled, Any] = {}


def make(function: Compiled, signature: str) -> tuple[str, str, bytes]:
    """The symbol of the function, numba's name of what it gives, and its object file."""
    arguments = tuple(map(_type, signature.split()))
    told = config.BOUNDSCHECK, config.DISABLE_JIT
    # What NUMBA_BOUNDSCHECK=0 asks for would be kept for every process that comes after.
    config.BOUNDSCHECK, config.DISABLE_JIT = None, 0
    try:
        dispatcher = _dispatcher(function)
        dispatcher.compile(arguments)
    finally:
        config.BOUNDSCHECK, config.DISABLE_JIT = told
    result = dispatcher.overloads[arguments]
    _, _, (code, _) = result.library.serialize_using_object_code()
    return result.fndesc.mangled_name, str(types.unliteral(result.signature.return_type)), code


def _type(name: str) -> Any:
    item, _, shape = name.partition(":")
    number = from_dtype(np.dtype(item))
    return types.Array(number, int(shape[:-1]), shape[-1]) if shape else number


def _dispatcher(function: Compiled) -> Any:
    if function not in _dispatchers:
        # Without objects of Python's or of numba's own, it needs nothing of either once it is made.
        alone = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
        _dispatchers[function] = njit(function.function, nogil=True, boundscheck=True, **alone)
    return _dispatchers[function]


@typeof_impl.register(Compiled)
def _(value: Compiled, context: Any) -> Any:
    return types.Dispatcher(_dispatcher(value))


@typeof_impl.register(External)
def _(value: External, context: Any) -> Any:
    # numba links what it makes in this process, too, where nobody calls it: any address will do. But what the process
    # has by this name, such as memcpy, other code that numba compiled calls.
    if not llvm.address_of_symbol(value.symbol):
        llvm.add_symbol(value.symbol, ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value)
    gives, *takes = (getattr(types, name) for name in (value.gives, *value.takes))
    return types.ExternalFunction(value.symbol, gives(*takes))
