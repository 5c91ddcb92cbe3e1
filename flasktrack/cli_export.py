"""`export` (spec section 6): the filters and options of the command line, put together for `flasktrack.export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flasktrack.cli_common import NOBODY, SOUND, actor, add_progress, answer, database, progress_report
from flasktrack.core.record import SECTIONS
from flasktrack.errors import ExportFailed
from flasktrack.export.formats import FORMATS
from flasktrack.settings import Settings

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
    export.add_argument("--output", metavar="FILE", type=Path, required=True)
    export.add_argument("--columns", metavar="NAME,...", type=_names, default=(), help="default: all")
    export.add_argument("--time-zone", metavar="ZONE", help="of the times; default: the organization's")
    export.add_argument("--withhold", metavar="NAME,...", type=_names, default=(), help="before, after, context")
    export.add_argument("--by", metavar="TYPE:ID", type=actor, default=NOBODY, help="who asks for it")
    add_progress(export)
    filters = export.add_argument_group("filters", "repeatable ones are OR inside, AND between")
    filters.add_argument("--from", metavar="TIME", dest="from_", help="occurred at or after")
    filters.add_argument("--to", metavar="TIME", help="occurred before")
    for name, metavar in _REPEATABLE:
        filters.add_argument(f"--{name}", metavar=metavar, action="append", default=[])
    filters.add_argument("--with-related", action="store_true", help="records that relate to the --entity, too")
    filters.add_argument("--seq", metavar="A-B", help="positions")
    filters.add_argument("--positions", metavar="N,A-B,...", help="single positions, such as 3,7,12-14")
    filters.add_argument("--text", metavar="WORDS", help="records that hold all these words")

    run = command("run-export", _run_export, "write an export that the page Exports was asked for")
    run.add_argument("--organization", metavar="ID", required=True)
    run.add_argument("--id", metavar="ID", required=True, help="of the export")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _export(options: argparse.Namespace) -> int:
    from flasktrack.cli_chain import trust_from
    from flasktrack.export.exporting import export_records
    from flasktrack.export.running import record_export
    from flasktrack.export.selection import ExportOptions
    from flasktrack.insight.filter import RecordFilter
    from flasktrack.store.organizations import check_time_zone, get_organization

    if unknown := set(options.withhold) - set(SECTIONS):
        raise ExportFailed(f"{min(unknown)[:60]!r} is no section.", f"Sections are {', '.join(SECTIONS)}.")
    with database(options) as engine, progress_report(options.progress) as progress:
        zone = check_time_zone(get_organization(engine, options.organization).time_zone)
        chosen = RecordFilter.from_params(_params(options), zone)
        asked = ExportOptions(
            zone=check_time_zone(options.time_zone) if options.time_zone else zone,
            columns=options.columns,
            withheld=options.withhold,
            requested_by=options.by,
            trust=trust_from(Settings.from_environment()),
        )
        on_record = partial(record_export, engine, options.organization, options.format, asked)
        result = export_records(
            engine, options.organization, chosen, options.format, options.output, options=asked, progress=progress,
            keep=None if options.by == NOBODY else on_record,
        )  # fmt: skip
    document = {
        "organization_id": options.organization,
        "format": options.format,
        "output": str(result.path),
        "records": result.records,
        "sha256": result.sha256,
    }
    answer(options, document, f"{result.records:,} records written to {result.path} (SHA-256 {result.sha256})")
    return SOUND


def _run_export(options: argparse.Namespace) -> int:
    from flasktrack.cli_chain import trust_from
    from flasktrack.export.running import run_export

    settings = Settings.from_environment()
    with database(options) as engine:
        result = run_export(engine, options.organization, options.id, settings, trust_from(settings))
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
