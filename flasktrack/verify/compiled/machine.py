"""Functions as machine code: numba compiles one when it is first called anywhere, and it is kept as an object file,
which later processes link without numba. That takes them milliseconds; loading numba and what it keeps takes seconds.

A compiled function takes contiguous or strided arrays of numpy and whole numbers, and gives a whole number, a truth
value or nothing. While it runs it holds no lock of Python's. Access to an array is checked against its bounds.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import threading
import uuid
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import cache, update_wrapper
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import llvmlite.binding as llvm
import numpy as np

from flasktrack.verify.compiled.cells import Unreadable

F = TypeVar("F", bound=Callable[..., Any])

_HERE = Path(__file__).parent
_DIGEST_BYTES = 32
_GIVES: dict[str, Callable[[int], Any]] = {"int64": int, "bool": bool, "none": lambda _: None}


class External(NamedTuple):
    """A function of a C library that compiled code calls: its symbol, and numba's names of what it gives and takes."""

    symbol: str
    gives: str
    takes: tuple[str, ...]


_provided: dict[str, int] = {}


def provide(symbol: str, address: int) -> None:
    """Tell where an external function stands that is none of the process's own symbols."""
    _provided[symbol] = address


_linking = threading.Lock()
_may_compile = False


def allow_compiling() -> None:
    """From now on, compile what is called and was not kept: that takes numba some seconds for each function."""
    global _may_compile
    _may_compile = True


class Compiled:
    """A function that is called as machine code, from Python and from other compiled functions."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._linked: dict[str, _Linked | None] = {}
        """By the types of arguments; None where this process can have none, which it finds out but once."""
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Raises Unreadable where there is no machine code, and compiling was not allowed or is not possible here;
        IndexError for what lies outside of an array, and OverflowError for a number of more than 64 bits."""
        signature = " ".join(map(_type, arguments))
        linked = self._linked.get(signature)
        if linked is None:
            linked = self._link(signature)
        return linked(arguments)

    def _link(self, signature: str) -> _Linked:
        with _linking:  # several threads call compiled code, and the first call of a function is slow
            if signature not in self._linked:
                made = _kept(self, signature)
                if made is None and not _may_compile:
                    raise Unreadable
                self._linked[signature] = None
                self._linked[signature] = _Linked(made or _make(self, signature))
            linked = self._linked[signature]
            if linked is None:
                raise Unreadable
            return linked


def compiled(function: F) -> F:
    """Have a function called as machine code."""
    return cast(F, Compiled(function))


def _type(argument: Any) -> str:
    """Of an array: its items' type as numpy writes it, how many dimensions it has, and whether it is contiguous."""
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype.str}:{argument.ndim}{'C' if argument.flags.c_contiguous else 'A'}"
    return "<i8"


class _Object(NamedTuple):
    """An object file, the symbol of its function, and numba's name of what that gives."""

    symbol: str
    gives: str
    code: bytes


class _Linked:
    """A function whose machine code is in this process's memory."""

    _count = 0

    def __init__(self, made: _Object) -> None:
        """Raises Unreadable where it can't be linked."""
        library = llvm.JITLibraryBuilder().add_object_img(made.code).add_current_process().export_symbol(made.symbol)
        for symbol, address in _provided.items():
            library.import_symbol(symbol, address)
        _Linked._count += 1
        try:
            self._library = library.link(_linker(), f"flasktrack_{_Linked._count}")
        except RuntimeError:
            raise Unreadable from None
        self._address = self._library[made.symbol]
        self._gives = _GIVES[made.gives]
        self._function: Any = None

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        # As numba calls: places for the result and for what is raised, then the arguments, an array by its parts.
        words = array("q")
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                words.extend((0, 0, argument.size, argument.itemsize, argument.ctypes.data))
                words.extend(argument.shape)
                words.extend(argument.strides)
            else:
                words.append(argument)
        if self._function is None:
            places = (ctypes.c_void_p, ctypes.c_void_p)
            prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *places, *[ctypes.c_int64] * len(words))
            self._function = prototype(self._address)
        result, raised = ctypes.c_int64(0), ctypes.c_void_p()
        if self._function(ctypes.byref(result), ctypes.byref(raised), *words):
            raise IndexError("Compiled code reached outside of an array, or divided by zero.")
        return self._gives(result.value)


@cache
def _linker() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(codemodel="jitdefault", jit=True)
    return llvm.create_lljit_compiler(machine, suppress_errors=True)  # whoever can't link says so otherwise


def _kept(function: Compiled, signature: str) -> _Object | None:
    """What was kept of a function, if it is whole, this very function's, and made from these sources."""
    name = _file_name(function, signature)
    for folder in _folders():
        with suppress(OSError, PackageNotFoundError):
            content = (folder / name).read_bytes()
            digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if _digest(function, name, rest) == digest:
                head, _, code = rest.partition(b"\n")
                return _Object(**json.loads(head), code=code)
    return None


def _make(function: Compiled, signature: str) -> _Object:
    """Compile a function, and keep what that gives where it can be kept. Raises Unreadable where numba is not there, or
    may not run what it makes, as on systems that forbid a process to write code."""
    try:
        from flasktrack.verify.compiled.making import make
    except (ImportError, OSError):
        raise Unreadable from None
    made = _Object(*make(function, signature))
    rest = json.dumps({"symbol": made.symbol, "gives": made.gives}).encode() + b"\n" + made.code
    name = _file_name(function, signature)
    for folder in _folders():
        with suppress(OSError):
            _write(folder / name, _digest(function, name, rest) + rest)
            break
    return made


def _digest(function: Compiled, name: str, rest: bytes) -> bytes:
    """What a file of this name begins with, before the rest: one function's file is of no use under another's name."""
    return sha256(_sources(Path(function.function.__code__.co_filename)) + f"{name}\0".encode() + rest).digest()


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _folders() -> list[Path]:
    """Where object files are kept, the first that can be written."""
    named, beside = os.environ.get("FLASKTRACK_CACHE_DIR"), _HERE / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        return [Path(named).expanduser()] if named else [beside, Path.home() / ".cache" / "flasktrack"]
    return [beside]


def _file_name(function: Compiled, signature: str) -> str:
    variant = sha256(f"{signature}\0{_processor()}".encode()).hexdigest()[:16]
    return f"{function.__module__.rpartition('.')[2]}.{function.function.__qualname__}.{variant}.o"


@cache
def _processor() -> str:
    """What machine code is made for."""
    features = llvm.get_host_cpu_features().flatten()
    return f"{llvm.get_default_triple()} {llvm.get_host_cpu_name()} {features} {platform.python_implementation()}"


@cache
def _sources(module: Path) -> bytes:
    """A digest of all that compiled code is made of: machine code has in it whatever a function calls, and constants
    from elsewhere."""
    core = _HERE.parents[1] / "core"
    digest = sha256(f"{sys.version}\0{version('numba')}\0{version('llvmlite')}\0".encode())
    for file in (module, *sorted(_HERE.glob("*.py")), core / "record.py", core / "merkle.py", core / "header.py"):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.digest()
