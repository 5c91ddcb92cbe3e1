"""Times at the very ends of the calendar, which some zones' clocks never show, stop no page."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flasktrack.store.engine import initialize, open_engine, writing
from flasktrack.store.organizations import create_organization
from flasktrack.store.writer import append
from flasktrack.ui.registry import PAGES
from tests.store.samples import event
from tests.ui.app import OpenApp

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
WEST, EAST = "america", "kiritimati"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two organizations, west and east of UTC, each with acts at both ends of time and one between."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('ends') / 'ends.db'}")
    initialize(engine)
    with writing(engine) as connection:
        for organization, zone in ((WEST, "America/Los_Angeles"), (EAST, "Pacific/Kiritimati")):
            create_organization(connection, organization, time_zone=zone)
            ends = datetime.fromisoformat(FIRST), datetime.fromisoformat(LAST)
            moments = [ends[0], datetime(2026, 11, 2, 8, tzinfo=UTC), ends[1]]
            append(connection, organization, [event(n, occurred_at=moment) for n, moment in enumerate(moments)])
    address = engine.url.render_as_string()
    engine.dispose()
    return address


@pytest.mark.parametrize("organization", [WEST, EAST])
@pytest.mark.parametrize("page", PAGES)
def test_acts_at_the_ends_of_time_are_shown(page: str, organization: str, open_app: OpenApp, url: str) -> None:
    app = open_app(url, page, org=organization, record="1")
    assert app.errors == []
    assert app.headers == [PAGES[page].title]


@pytest.mark.parametrize("organization", [WEST, EAST])
@pytest.mark.parametrize("period", [{"from_": FIRST}, {"to": LAST}, {"from_": FIRST, "to": LAST}], ids="-".join)
@pytest.mark.parametrize("page", PAGES)
def test_an_address_may_name_the_ends_of_time(
    page: str, period: dict[str, str], organization: str, open_app: OpenApp, url: str
) -> None:
    app = open_app(url, page, org=organization, **period)
    assert app.errors == []
    assert app.params["org"] == [organization]


def test_an_entity_that_was_touched_at_the_ends_of_time_has_a_history(open_app: OpenApp, url: str) -> None:
    for organization in (WEST, EAST):
        listed = open_app(url, "entities", org=organization)
        listed.click_cell("entities_", 0, "type")
        assert listed.errors == []
        assert "revision" in listed.text
