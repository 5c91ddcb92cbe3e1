"""`export` (spec section 6): the filters and options of the command line, put together for `flasktrack.export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Engine

from flasktrack.access.acting import OPERATOR
from flasktrack.cli_common import (
    SOUND,
    actor,
    add_progress,
    add_request,
    answer,
    command_scope,
    complain,
    database,
    progress_report,
    say,
)
from flasktrack.core.record import SECTIONS
from flasktrack.errors import ExportFailed, InvalidFilter
from flasktrack.export.formats import FORMATS
from flasktrack.export.selection import ExportOptions
from flasktrack.insight.filter import RecordFilter
from flasktrack.settings import Settings, parse_duration
from flasktrack.store.scope import Permission, Scope

_REPEATABLE = (
    ("actor", "TYPE:ID"),
    ("actor-type", "TYPE"),
    ("action", "NAME"),
    ("entity", "TYPE:ID"),
    ("entity-type", "TYPE"),
    ("outcome", "NAME"),
    ("credential", "ID"),
    ("on-behalf-of", "TYPE:ID"),
    ("ip", "ADDRESS"),
    ("hours", "DAYS:HOURS"),
)


def add_export_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command; `command` makes the parser of one, given its name, what runs it, and a summary."""
    export = command("export", _export, "write the records that a filter selects to a file")
    export.add_argument("--organization", metavar="ID", required=True)
    export.add_argument("--format", choices=tuple(FORMATS), required=True)
    export.add_argument("--output", metavar="FILE", type=Path)
    export.add_argument("--columns", metavar="NAME,...", type=_names, default=(), help="default: all")
    export.add_argument("--time-zone", metavar="ZONE", help="of the times; default: the organization's")
    export.add_argument("--withhold", metavar="NAME,...", type=_names, default=(), help="before, after, context")
    export.add_argument(
        "--by", metavar="TYPE:ID", type=actor,
        help="who asks for it; default: system:command-line, or automation:schedule with --every",
    )  # fmt: skip
    export.add_argument("--saved", metavar="NAME", help="a filter that was saved on the page Exports")
    export.add_argument("--every", metavar="TIME", help="again and again what is new, such as 1d, until it is stopped")
    add_progress(export)
    filters = export.add_argument_group("filters", "repeatable ones are OR inside, AND between")
    filters.add_argument("--from", metavar="TIME", dest="from_", help="occurred at or after")
    filters.add_argument("--to", metavar="TIME", help="occurred before; with --every: the folder to export to")
    for name, metavar in _REPEATABLE:
        filters.add_argument(f"--{name}", metavar=metavar, action="append", default=[])
    filters.add_argument("--with-related", action="store_true", help="records that relate to the --entity, too")
    filters.add_argument("--seq", metavar="A-B", help="positions")
    filters.add_argument("--positions", metavar="N,A-B,...", help="single positions, such as 3,7,12-14")
    filters.add_argument("--text", metavar="WORDS", help="records that hold all these words")

    run = command("run-export", _run_export, "write an export that the page Exports was asked for")
    run.add_argument("--organization", metavar="ID", required=True)
    run.add_argument("--id", metavar="ID", required=True, help="of the export")
    add_request(run)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _export(options: argparse.Namespace) -> int:
    from flasktrack.export.exporting import ExportResult, export_records
    from flasktrack.export.running import record_export
    from flasktrack.seal.schedule import BY

    options.unnamed = BY if options.every else OPERATOR.subject
    if options.every:
        return _export_on_schedule(options)
    if options.output is None:
        raise ExportFailed("Where to is not said.", "Give --output FILE, or --every TIME --to DIR.")
    with database(options) as engine, progress_report(options.progress) as progress:
        scope, chosen, asked = _asked(engine, options)
        problem: str | None = None

        def keep(written: ExportResult) -> None:
            nonlocal problem
            problem = record_export(engine, scope, options.format, asked, written)

        result = export_records(
            engine, scope, chosen, options.format, options.output, options=asked, progress=progress,
            keep=keep,
        )  # fmt: skip
    if problem is not None:
        complain(problem)
    document = {
        "organization_id": options.organization,
        "format": options.format,
        "output": str(result.path),
        "records": result.records,
        "sha256": result.sha256,
        "recorded": problem is None,
    }
    answer(options, document, f"{result.records:,} records written to {result.path} (SHA-256 {result.sha256})")
    return SOUND


def _export_on_schedule(options: argparse.Namespace) -> int:
    from flasktrack.export.schedule import Schedule, run_export_schedule
    from flasktrack.seal.schedule import stopped_by_signals

    folder = options.to
    options.to = None  # with --every it is no filter's
    if not options.saved or not folder or options.output is not None or options.json:
        raise ExportFailed(
            "On a schedule, a saved filter is exported to a folder.", "Give --saved NAME and --to DIR, and no --output."
        )
    with database(options) as engine, stopped_by_signals() as stop:
        _, chosen, asked = _asked(engine, options)
        schedule = Schedule(options.organization, options.saved, chosen, options.format, asked, Path(folder))
        run_export_schedule(engine, schedule, parse_duration(options.every), report=say, stop=stop)
    return SOUND


def _asked(engine: Engine, options: argparse.Namespace) -> tuple[Scope, RecordFilter, ExportOptions]:
    """For whom is exported, the filter and the options that the arguments give."""
    from flasktrack.cli_chain import trust_from
    from flasktrack.store.organizations import check_time_zone, get_organization
    from flasktrack.store.saved_filters import find_filter

    if unknown := set(options.withhold) - set(SECTIONS):
        raise ExportFailed(f"{min(unknown)[:60]!r} is no section.", f"Sections are {', '.join(SECTIONS)}.")
    zone = check_time_zone(get_organization(engine, options.organization).time_zone)
    scope = command_scope(engine, options.organization, options.by, Permission.EXPORT, unnamed=options.unnamed)
    params: Mapping[str, Sequence[str]] = _params(options)
    if options.saved:
        if params:
            raise InvalidFilter("A saved filter stands alone.", "Leave out --saved, or the other filters.")
        params = find_filter(engine, scope, options.saved).params
    asked = ExportOptions(
        zone=check_time_zone(options.time_zone) if options.time_zone else zone,
        columns=options.columns,
        withheld=options.withhold,
        requested_by=scope.actor.subject,
        trust=trust_from(Settings.from_environment()),
    )
    return scope, RecordFilter.from_params(params, zone), asked


def _run_export(options: argparse.Namespace) -> int:
    from flasktrack.cli_chain import trust_from
    from flasktrack.export.running import run_export

    settings = Settings.from_environment()
    with database(options) as engine:
        result = run_export(
            engine, options.organization, options.id, settings, trust_from(settings), request=options.request
        )
    document = {"organization_id": options.organization, "id": options.id, "records": result.records}
    answer(options, document, f"{result.records:,} records written to {result.path}")
    return SOUND


def _params(options: argparse.Namespace) -> dict[str, list[str]]:
    """The filters as an address's parameters, which `RecordFilter.from_params` reads."""
    given = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name, _ in _REPEATABLE}
    given |= {"from": options.from_, "to": options.to, "seq": options.seq}
    given |= {"positions": options.positions, "text": options.text}
    given["with_related"] = "1" if options.with_related else None
    return {name: [value] if isinstance(value, str) else value for name, value in given.items() if value}
