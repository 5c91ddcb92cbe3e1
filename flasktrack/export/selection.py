"""The records of one export: counted once, with the upper end fixed, so that what is announced is what is written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Self, cast
from zoneinfo import ZoneInfo

from flasktrack.errors import ExportFailed
from flasktrack.insight.filter import RecordFilter
from flasktrack.store.reader import CheckedRecord, Ledger
from flasktrack.verify.runner import Trust

Progress = Callable[[int, int], None]
"""Called with the number of records written so far, and of how many; may raise to cancel."""

_REPORT_EVERY = 500  # records


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is asked for beside the records. A format says which of them it takes (`export.formats`).

    Times are given in `zone`, too. `columns` are names of `export.columns`, none for all; `withheld` are names of
    sections. `requested_by` is who asks, as type:id. `trust` holds the keys to sign with.
    """

    zone: ZoneInfo
    columns: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    requested_by: str = "command line"
    trust: Trust | None = None


class Selection:
    """What a filter selects up to the newest record that there was when this was made.

    `chosen` is the filter as it was asked for, `counted` the same with its upper end, `total` how many meet it.
    """

    def __init__(self, ledger: Ledger, chosen: RecordFilter, progress: Progress | None = None) -> None:
        self.ledger = ledger
        self.chosen = chosen
        self.counted, self.total = count_selected(ledger, chosen)
        self.progress = progress
        self.whole = self.total == 0
        """Whether all records were read, once at least."""
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # or an error's traceback would keep a database's read transaction open

    def expect(self, announced: int) -> None:
        """Raise ExportFailed where other than the announced number of records was counted."""
        if self.total != announced:
            raise _changed(announced, f"{self.total:,}")

    def records(self, *, progress: bool = True) -> Iterator[CheckedRecord]:
        """Every record by position, in constant memory; may be asked again. Reports its progress unless told not to.

        Raises ExportFailed where there are more or fewer records than were counted.
        """
        report = self.progress if progress and self.progress is not None else _nothing
        read = 0
        if self.total:  # where nothing was counted, nothing is read: a record may have come since
            stream = cast("Generator[CheckedRecord, None, None]", self.ledger.stream(*self.counted.conditions()))
            self._open.enter_context(closing(stream))
            for checked in stream:
                if read % _REPORT_EVERY == 0:
                    report(read, self.total)
                read += 1
                if read > self.total:
                    break
                yield checked
        if read != self.total:
            raise _changed(self.total, f"{'more than ' * (read > self.total)}{min(read, self.total):,}")
        self.whole = True
        report(read, self.total)


def _changed(announced: int, there: str) -> ExportFailed:
    return ExportFailed(
        f"{announced:,} records met the filter when the export began, but {there} were there to be written.",
        "Somebody changed the database meanwhile: run a verification. Nothing was left behind.",
    )


def count_selected(ledger: Ledger, chosen: RecordFilter) -> tuple[RecordFilter, int]:
    """The filter up to the newest record that there is now, and how many records meet it."""
    counted = up_to(chosen, ledger.newest())
    return (chosen, 0) if counted is None else (counted, ledger.count(*counted.conditions()))


def up_to(chosen: RecordFilter, newest: int) -> RecordFilter | None:
    """The filter with the newest position as its upper end; None where it begins above that: nothing meets it."""
    if (chosen.seq_first or 1) > newest:
        return None
    return replace(chosen, seq_last=min(newest, chosen.seq_last or newest))


def _nothing(_done: int, _total: int) -> None:
    pass
