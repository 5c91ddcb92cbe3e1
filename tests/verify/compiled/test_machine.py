"""Machine code is kept in files, and only what was made from these very sources, whole, is used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flasktrack.verify.compiled import machine
from flasktrack.verify.compiled.cells import Unreadable
from flasktrack.verify.compiled.machine import compiled

SOURCE = """
def doubled(number):
    return 2 * number
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


def doubling(folder: Path, source: str = SOURCE) -> Any:
    """The function of a module that is loaded anew."""
    file = folder / "doubling.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("doubling", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    machine._sources.cache_clear()
    return compiled(module.doubled)


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


def test_nothing_is_compiled_unless_that_was_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_may_compile", False)
    function = doubling(folder)
    for _ in range(2):
        with pytest.raises(Unreadable):
            function(21)
    machine.allow_compiling()
    assert function(21) == 42


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


def test_a_process_that_finds_everything_kept_does_without_the_compiler(folder: Path) -> None:
    code = "from tests.verify.compiled.test_machine import *; machine.allow_compiling(); "
    code += "print(item(np.ones((1, 1), dtype=np.int64), 0, 0), 'numba' in sys.modules)"
    run = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(2)]
    assert run == [["1", "True"], ["1", "False"]]
