"""`verify`, `checkpoint` and `erase` (spec section 6): what is done with whole chains on the command line."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from flasktrack.access.acting import acting
from flasktrack.cli_common import (
    FAILED,
    NOBODY,
    NOT_SOUND,
    SOUND,
    actor,
    add_progress,
    answer,
    complain,
    database,
    progress_report,
    say,
)
from flasktrack.errors import FlaskTrackError, InvalidFilter, NotIntact
from flasktrack.settings import Settings, parse_duration
from flasktrack.store.engine import writing
from flasktrack.store.inspection import IndexCheck
from flasktrack.store.organizations import chain_sizes, list_chains, list_strays
from flasktrack.store.row_security import of_organization
from flasktrack.store.scope import Permission
from flasktrack.trust.anchors import Anchors
from flasktrack.trust.keyring import Keyring
from flasktrack.verify.keeping import REQUEST
from flasktrack.verify.runner import Trust

_WORTH_A_POOL = 200_000  # records: below that, starting processes takes longer than what they save


def add_chain_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands; `command` makes the parser of one, given its name, what runs it, and a summary."""
    verify = command("verify", _verify, "check every record and checkpoint, and say what is wrong")
    verify.add_argument("--organization", metavar="ID", help="default: all")
    which = verify.add_mutually_exclusive_group()
    which.add_argument("--incremental", action="store_true", help="only what came since the last verified checkpoint")
    which.add_argument("--seq", metavar="A-B", help="only these positions")
    verify.add_argument("--workers", metavar="N", type=int, help="processes; for large chains half the processors")
    verify.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster whose workers read the database")
    verify.add_argument("--by", metavar="TYPE:ID", type=actor, default=NOBODY, help="who asks for it")
    verify.add_argument("--every", metavar="TIME", help="again and again, such as 6h, until it is stopped")
    verify.add_argument("--seal", action="store_true", help="with --every: seal what is verified")
    verify.add_argument("--health", metavar="FILE", type=Path, help="with --every: write there how it fares")
    add_progress(verify)

    checkpoint = command("checkpoint", _checkpoint, "seal: verify what is new, then sign a checkpoint over everything")
    checkpoint.add_argument("--organization", metavar="ID", help="default: all")
    checkpoint.add_argument("--by", metavar="TYPE:ID", type=actor, default=NOBODY, help="who asks for it")
    add_progress(checkpoint)

    erase = command("erase", _erase, "remove sections of records by law; a record says which, why and by whom")
    erase.add_argument("--organization", metavar="ID", required=True)
    erase.add_argument("--seq", metavar="A-B", required=True, help="positions")
    erase.add_argument("--section", metavar="NAME", action="append", required=True, help="before, after or context")
    erase.add_argument("--reason", metavar="TEXT", required=True)
    erase.add_argument("--actor", metavar="TYPE:ID", required=True, help="who erases")


def trust_from(settings: Settings) -> Trust:
    """The keys and anchors that the settings name."""
    anchors = Anchors(settings.anchor_dir) if settings.anchor_dir is not None else None
    return Trust(Keyring.from_settings(settings), anchors)


def _verify(options: argparse.Namespace) -> int:
    from flasktrack.store.verifications import VERIFIED
    from flasktrack.verify.compiled import open_indexes
    from flasktrack.verify.runner import verify_organization

    if options.every:
        return _verify_on_schedule(options)
    trust = trust_from(Settings.from_environment())
    between = _positions(options.seq) if options.seq else None
    done, failed, strays = [], [], []
    with database(options) as engine:
        if not options.organization:
            strays = list_strays(engine)
        anchored = trust.anchors.organizations() if trust.anchors is not None else []
        chains = [options.organization] if options.organization else sorted({*list_chains(engine), *anchored})
        whole = between is None and not options.incremental  # then indexes are read, once for all organizations
        check = IndexCheck(engine, open_indexes) if whole and chains else nullcontext(None)
        with _workers(options, engine, chains) as workers, check as indexes:
            for chain in chains:
                try:
                    _check(engine, chain, options, Permission.VERIFY)
                    with progress_report(options.progress) as progress:
                        done.append(
                            verify_organization(
                                engine, chain, started_by=options.by, trust=trust, incremental=options.incremental,
                                between=between, workers=workers, progress=progress, indexes=indexes,
                                context=_request(),
                            )
                        )  # fmt: skip
                except FlaskTrackError as problem:  # it must not keep the others from being checked
                    if options.organization:
                        raise
                    failed.append({"organization_id": chain, "problem": str(problem)})
    for failure in failed:
        complain(f"{failure['organization_id']}: {failure['problem']}")
    if not all(one.kept for one in done):
        complain("This database user may only read, so the result is not kept: pages don't show it.")
    document: dict[str, Any] = {"organizations": [verification.as_json() for verification in done]}
    document |= {"failed": failed} if failed else {}
    document |= {"strays": strays} if strays else {}
    lines = [line for verification in done for line in _verdict(verification)]
    lines += [f"Somebody put rows under {name[:80]!r}, which can't be an organization." for name in strays]
    if not lines and not failed:
        lines = ["Nothing was checked: the database holds no organization."]
    answer(options, document, *lines)
    if failed:
        return FAILED
    return SOUND if done and not strays and all(one.status == VERIFIED for one in done) else NOT_SOUND


def _request() -> dict[str, Any] | None:
    """The request of a page that started this command (see `ui.jobs`)."""
    request: dict[str, Any] | None = json.loads(os.environ.get(REQUEST, "null"))
    return request


def _check(engine: Engine, chain: str, options: argparse.Namespace, permission: Permission) -> None:
    """Raise NotPermitted where the command names a person who may not do it."""
    if options.by != NOBODY:
        acting(engine, chain, options.by, permission)


def _verify_on_schedule(options: argparse.Namespace) -> int:
    from flasktrack.seal.schedule import run_schedule, stopped_by_signals

    if options.organization or options.incremental or options.seq or options.json:
        raise InvalidFilter(
            "On a schedule every organization is verified in full.",
            "Leave out --organization, --incremental, --seq and --json, or --every.",
        )
    settings = Settings.from_environment()
    with database(options) as engine, stopped_by_signals() as stop:
        run_schedule(
            engine, trust_from(settings), parse_duration(options.every), seals=options.seal, health=options.health,
            report=say, stop=stop,
        )  # fmt: skip
    return SOUND


@contextmanager
def _workers(options: argparse.Namespace, engine: Engine, chains: list[str]) -> Iterator[Executor | None]:
    """A pool of processes, or a cluster's workers; None where one process is asked for, or is faster."""
    if options.scheduler:
        from flasktrack.verify.cluster import cluster_executor

        with cluster_executor(options.scheduler) as cluster:
            yield cluster
        return
    count: int | None = options.workers
    if count is None:
        sizes = chain_sizes(of_organization(engine, options.organization) if options.organization else engine)
        large = max((sizes.get(chain, 0) for chain in chains), default=0) >= _WORTH_A_POOL
        count = max(1, (os.cpu_count() or 1) // 2) if large else 1  # each keeps two busy: it reads while it judges
    if count < 1:
        raise InvalidFilter(f"There can't be {count} workers.", "Give --workers 1 or more.")
    if count == 1:
        yield None
        return
    # Not forked: a copy of this process would share its database connections.
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _verdict(verification: Any) -> list[str]:
    """A verification as people read it: the state with its scope, then each finding and remark."""
    words = {"verified": "verified", "broken": "BROKEN", "not_checked": "not checked"}
    scope = {"full": "", "incremental": f" since {verification.first_seq:,} only", "range": " of a range only"}
    lines = [
        f"{verification.organization_id}: {words[verification.status]} - {verification.records:,} records checked"
        f"{scope[verification.mode]}, {verification.sealed:,} sealed, {verification.anchored:,} anchored, "
        f"{len(verification.findings):,} findings, in {verification.seconds:.1f} s"
    ]
    lines += [f"  {finding.severity}: {finding.detail} [{finding.code}]" for finding in verification.findings]
    return lines + [f"  error: {remark}" for remark in verification.remarks]


def _checkpoint(options: argparse.Namespace) -> int:
    from flasktrack.seal.sealing import seal

    trust = trust_from(Settings.from_environment())
    sealed, refused = [], []
    with database(options) as engine:
        for chain in [options.organization] if options.organization else list_chains(engine):
            with progress_report(options.progress) as progress:
                try:
                    _check(engine, chain, options, Permission.SEAL)
                    checkpoint = seal(
                        engine, chain, trust, started_by=options.by, progress=progress, context=_request()
                    )
                except NotIntact as problem:
                    refused.append({"organization_id": chain, "problem": str(problem)})
                    continue
            if checkpoint is not None:
                sealed.append({"organization_id": chain, "size": checkpoint.size, "note": checkpoint.note})
    for refusal in refused:
        complain(refusal["problem"])
    lines = [f"{one['organization_id']}: {one['size']:,} records sealed" for one in sealed]
    document = {"checkpoints": sealed} | ({"refused": refused} if refused else {})
    answer(options, document, *(lines or ["Nothing was sealed: there is no record."]))
    return NOT_SOUND if refused else SOUND


def _erase(options: argparse.Namespace) -> int:
    from flasktrack.store.erasure import erase

    first, last = _positions(options.seq)
    type_, _, id_ = options.actor.partition(":")
    with database(options) as engine:
        acting(engine, options.organization, options.actor, Permission.ERASE)
        with writing(engine) as connection:
            record = erase(
                connection, options.organization, first, last, options.section, actor=(type_, id_),
                reason=options.reason,
            )  # fmt: skip
    document = {"organization_id": options.organization, "seq": record.seq, "record_id": record.record_id}
    erased = f"{' and '.join(options.section)} of the records {first:,} to {last:,}"
    answer(options, document, f"{options.organization}: erased {erased}; record {record.seq:,} says so.")
    return SOUND


def _positions(text: str) -> tuple[int, int]:
    """A-B, or a single position. Raises InvalidFilter."""
    first, dash, last = text.partition("-")
    if not (first.isascii() and first.isdigit() and ((last.isascii() and last.isdigit()) or not dash)):
        raise InvalidFilter(f"{text[:60]!r} is no range of positions.", "Give --seq 10-20 or --seq 10.")
    return int(first), int(last or first)
