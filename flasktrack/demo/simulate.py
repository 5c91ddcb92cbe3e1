"""Half a year of both organizations' work, the same for the same last day."""

from __future__ import annotations

from datetime import date, timedelta

from flasktrack.demo.lab import Lab
from flasktrack.demo.plant import plant
from flasktrack.demo.work import schedule_everything
from flasktrack.demo.world import Act, World

DAYS = 184


def simulate(lab: Lab, until: date) -> list[Act]:
    """The acts of one organization in the order in which they were recorded, before the day `until`."""
    world = World(lab, until - timedelta(days=DAYS), until)
    schedule_everything(world)
    plant(world)
    return sorted(world.run(), key=lambda act: act.recorded_at)
