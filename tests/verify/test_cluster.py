"""A Dask cluster's workers read the records themselves and find what one process finds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from flasktrack.errors import ClusterError
from flasktrack.verify import runner
from flasktrack.verify.cluster import cluster_executor
from flasktrack.verify.runner import verify_organization
from tests.store.samples import NORTHWIND, event, organizations, record, tamper


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster with two workers, each a process of its own."""
    from distributed import LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
            yield cluster.scheduler_address


@pytest.mark.filterwarnings("ignore")
def test_the_workers_of_a_cluster_find_what_one_process_finds(
    engine: Engine, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SPAN", 256)
    organizations(engine)
    record(engine, *(event(number) for number in range(1, 1001)))
    tamper(engine, "UPDATE audit_record SET reason = 'forged' WHERE seq = 600")
    alone = verify_organization(engine, NORTHWIND, started_by="command line")
    with cluster_executor(scheduler) as workers:
        together = verify_organization(engine, NORTHWIND, started_by="command line", workers=workers)
    assert [finding.code for finding in alone.findings] == ["record_modified"]
    assert (together.findings, together.records) == (alone.findings, 1000)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flasktrack.verify.cluster.CONNECT_TIMEOUT", "1s")
    with pytest.raises(ClusterError, match="no Dask scheduler"), cluster_executor(address):
        pass
