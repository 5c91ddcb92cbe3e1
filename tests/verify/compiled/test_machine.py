"""Machine code is kept in files, and only what was made from these very sources, whole, is used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite.binding import JITLibraryBuilder

from flasktrack.verify import compiled as compiled_code
from flasktrack.verify.compiled import machine
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.compiled.machine import compiled
from flasktrack.verify.compiled.symbols import memcpy

SOURCE = """
def doubled(number):
    return 2 * number

def tripled(number):
    return 3 * number
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLASKTRACK_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def makings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that were compiled."""
    made: list[str] = []
    make = machine._make

    def making(function: Any, signature: str) -> Any:
        made.append(function.__name__)
        return make(function, signature)

    monkeypatch.setattr(machine, "_make", making)
    return made


def doubling(folder: Path, source: str = SOURCE, name: str = "doubled") -> Any:
    """A function of a module that is loaded anew."""
    file = folder / "doubling.py"
    file.write_text(source)
    module: dict[str, Any] = {"__name__": "doubling"}
    exec(compile(source, file, "exec"), module)  # noqa: S102 (an import would take bytecode of the same second)
    machine._sources.cache_clear()
    return compiled(module[name])


def test_what_was_compiled_is_read_from_its_file(folder: Path, makings: list[str]) -> None:
    for _ in range(3):
        assert doubling(folder)(21) == 42
    assert makings == ["doubled"]


def test_it_is_not_used_once_its_sources_changed(folder: Path, makings: list[str]) -> None:
    """Machine code has in it whatever the function calls, and constants of other modules."""
    doubling(folder)(21)
    assert doubling(folder, SOURCE.replace("2 *", "3 *"))(21) == 63
    assert makings == ["doubled"] * 2
    assert len(list(folder.glob("*.o"))) == 1, "what is of no use any more is gone"


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_damaged_file_is_made_anew(folder: Path, makings: list[str], at: int) -> None:
    doubling(folder)(21)
    (kept,) = folder.glob("*.o")
    whole = kept.read_bytes()
    altered = bytearray(whole)
    altered[at] ^= 1
    for content in (bytes(altered), whole[:-1], b""):
        kept.write_bytes(content)
        assert doubling(folder)(21) == 42
    assert makings == ["doubled"] * 4


def test_one_functions_file_is_not_used_under_the_name_of_another(folder: Path, makings: list[str]) -> None:
    doubling(folder)(21)
    (doubled,) = folder.glob("*.o")
    swapped = doubled.with_name(doubled.name.replace("doubled", "tripled"))
    swapped.write_bytes(doubled.read_bytes())
    assert doubling(folder, name="tripled")(21) == 63
    assert makings == ["doubled", "tripled"]


def test_nothing_is_compiled_unless_that_was_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_may_compile", False)
    function = doubling(folder)
    for _ in range(2):
        with pytest.raises(Unreadable):
            function(21)
    machine.allow_compiling()
    assert function(21) == 42


def test_what_another_process_kept_meanwhile_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_may_compile", False)
    function = doubling(folder)
    with pytest.raises(Unreadable):
        function(21)
    with monkeypatch.context() as other:
        other.setattr(machine, "_may_compile", True)
        doubling(folder)(21)
    assert function(21) == 42


def test_where_nothing_can_be_linked_that_is_tried_once(
    folder: Path, makings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chunk of leaves is folded by a call, and each call would compile for a second."""

    def refuse(*_: object) -> None:
        raise RuntimeError("Permission denied")  # as llvmlite says where a process may not write code

    monkeypatch.setattr(JITLibraryBuilder, "link", refuse)
    function = doubling(folder)
    for _ in range(3):
        with pytest.raises(Unreadable):
            function(21)
    assert makings == ["doubled"]


def test_without_the_compiler_nothing_is_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "flasktrack.verify.compiled.making", None)
    function = doubling(folder)
    monkeypatch.setattr(machine, "version", none)
    with pytest.raises(Unreadable):
        function(21)


def test_without_the_linker_everything_is_done_by_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "flasktrack.verify.compiled.blocks"
    importlib.import_module(name)
    monkeypatch.setattr(compiled_code, "_ready", False)
    monkeypatch.delattr(compiled_code, "blocks")
    monkeypatch.setitem(sys.modules, name, None)
    compiled_code.load()
    assert not compiled_code._is_worth_it(10**6)


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FLASKTRACK_CACHE_DIR", str(tmp_path / "file" / "folder"))
    assert doubling(tmp_path)(21) == 42


@compiled
def item(items: Any, row: int, column: int) -> int:
    return int(items[row, column])


def test_arrays_are_taken_as_they_lie_in_memory() -> None:
    numbers = np.arange(24, dtype=np.int64).reshape(4, 6)
    for array in (numbers, numbers[::2], numbers[:, 1::2], numbers.T):
        for row, column in ((0, 0), (1, 2)):
            assert item(array, row, column) == array[row, column]


@pytest.mark.parametrize("place", [(4, 0), (0, 6), (2**62, 2**62)])
def test_what_lies_outside_of_an_array_is_not_touched(place: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match="outside of an array"):
        item(np.zeros((4, 6), dtype=np.int64), *place)


@pytest.mark.parametrize(("number", "error"), [(2**63, OverflowError), (-(2**63) - 1, OverflowError), (1.5, TypeError)])
def test_a_number_is_taken_whole_or_not_at_all(number: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        item(np.zeros((4, 6), dtype=np.int64), 0, number)


def test_the_environment_does_not_switch_the_check_of_bounds_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import config

    monkeypatch.setattr(config, "BOUNDSCHECK", 0)
    with pytest.raises(IndexError):
        compiled(item.function)(np.zeros((1, 1), dtype=np.int64), 9, 9)  # type: ignore[attr-defined]
    assert vars(config)["BOUNDSCHECK"] == 0, "it is left to others as it was"


def test_other_code_of_numba_calls_the_functions_that_it_means(folder: Path) -> None:
    """What compiled code calls is told to LLVM by name, in this process."""
    import numba

    @compiled
    def move(to: Any, start: Any) -> None:
        memcpy(to.ctypes.data, start.ctypes.data, 800)

    numbers, moved = np.arange(100), np.zeros(100, dtype=np.int64)
    move(moved, numbers)
    copied = numba.njit(lambda array: array.copy())(numbers)
    assert (moved == numbers).all()
    assert (copied == numbers).all()


def test_a_process_that_finds_everything_kept_does_without_the_compiler(folder: Path) -> None:
    code = "from tests.verify.compiled.test_machine import *; machine.allow_compiling(); "
    code += "print(item(np.ones((1, 1), dtype=np.int64), 0, 0), 'numba' in sys.modules)"
    run = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(2)]
    assert run == [["1", "True"], ["1", "False"]]
