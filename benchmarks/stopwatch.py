"""What is timed, and what is not."""

from __future__ import annotations

import time
from typing import Self


class Stopwatch:
    """Seconds that passed in all its `with` blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start
