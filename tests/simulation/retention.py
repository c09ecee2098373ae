"""A world enters; up to which offset retention may take a partition's records leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.runtime.ports import Place
from tests.simulation.states import newest_states

if TYPE_CHECKING:
    from tests.simulation.world import World

SINK = "sink"


def unneeded(world: World, place: Place) -> int:
    """Return the first offset that a group, a state or the database still needs.

    Retention is told in days, so it never takes what was needed a moment ago; here it takes all
    that nothing durable needs: no committed offset, no state that a successor would load, neither
    the database nor the older copy that may take its place.
    """
    needed = []
    for name, group in world.groups.items():
        if place.topic not in group.topics:
            continue
        if name == SINK:
            if _is_assigned(world):
                return 0
            needed += [world.database.offsets.get(place, 0), world.copy.offsets.get(place, 0)]
            continue
        committed = group.committed.get(place, 0)
        states = newest_states(world.log, Place(f"state-{name}", place.partition)).values()
        needed += [committed, *(state["needs"].get(place.topic, committed) for state in states)]
    return min(needed, default=0)


def _is_assigned(world: World) -> bool:
    """Return whether a sink has asked the database where to resume, and not yet begun."""
    sinks = [member for member in world.members if member.group.name == SINK]
    return any(member.main is not None and member.main.kind == "assign" for member in sinks)
