"""Workers on other machines: a Dask cluster as an executor (an optional extra, `pip install distributed`).

Each worker opens the database by itself, so its address must be one that the workers reach: PostgreSQL, not a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, cast

from flasktrack.errors import ClusterError

CONNECT_TIMEOUT = "10s"


@contextmanager
def cluster_executor(address: str) -> Iterator[Executor]:
    """The executor of the Dask scheduler at an address such as tcp://10.0.0.5:8786. Raises ClusterError."""
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "The package distributed is not installed, which a Dask cluster needs.", "Run: pip install distributed"
        ) from None
    try:
        client: Any = Client(address, timeout=CONNECT_TIMEOUT)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as problem:
        raise ClusterError(
            f"There is no Dask scheduler at {address[:200]}: {str(problem)[:200]}", "Check --scheduler."
        ) from None
    with client:
        yield cast(Executor, client.get_executor())
