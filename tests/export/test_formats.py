"""The registry of formats: every one can be used, and refuses what it does not take."""

from __future__ import annotations

import pytest

from flasktrack.core.record import SECTIONS
from flasktrack.errors import ExportFailed
from flasktrack.export.formats import COLUMNS, FORMATS, WITHHELD, ExportFormat
from flasktrack.export.selection import ExportOptions
from tests.export.samples import BERLIN


@pytest.mark.parametrize("format_", FORMATS.values(), ids=list(FORMATS))
def test_an_option_that_a_format_does_not_take_is_refused(format_: ExportFormat) -> None:
    for name, options in {
        COLUMNS: ExportOptions(BERLIN, columns=("seq",)),
        WITHHELD: ExportOptions(BERLIN, withheld=SECTIONS),
    }.items():
        if name in format_.takes:
            format_.check(options)
        else:
            with pytest.raises(ExportFailed, match=f"In the format {format_.name} "):
                format_.check(options)
