"""A world enters; what happens to it needs no point: rebalances, housekeeping of the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.runtime.partition import StateError
from app.runtime.ports import Place
from app.storage.sink import HoleError as SinkHoleError
from tests.simulation.faults import StepError
from tests.simulation.retention import unneeded

if TYPE_CHECKING:
    from tests.simulation.world import World


class Events:
    """What happens to a world as a whole, between two steps of its members."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tape = world.tape
        self._log = world.log
        self._fates = world.fates

    def happen(self) -> None:
        """Let something happen to the world as a whole."""
        self._fates.budget -= 1
        happenings = [
            self._shuffle,
            self._compact,
            self._world.deaths.stop,
            self._restore,
            self._cut_reads,
        ]
        if self._fates.faults.retention:
            happenings += [self._truncate, self._compact]
        if self._fates.faults.breaks:
            happenings.append(self._break)
        if self._fates.faults.only:
            happenings = [self._hand_over]
        self._tape.pick(happenings)()

    def _hand_over(self) -> None:
        """Move partitions where nothing is under way; what was read comes late to who lost them."""
        group = self._tape.pick(list(self._world.groups.values()))
        if any(m.main or m.owed is not None or m.late for m in group.members):
            return
        for member in group.members:
            self._world.memberships.read_ahead(member)
            member.revoke()
        group.assign([*group.members[1:], *group.members[:1]])

    def _shuffle(self) -> None:
        """Move partitions between the members as they are."""
        self._world.tally.event("rebalances")
        group = self._tape.pick(list(self._world.groups.values()))
        turned = self._tape.randrange(3)
        group.members = [*group.members[turned:], *group.members[:turned]]
        self._world.memberships.rebalance(group)

    def _compact(self) -> None:
        self._world.tally.event("compactions")
        for name in self._world.stages:
            for place in self._log.places(f"state-{name}"):
                if self._tape.randrange(2):
                    self._compact_one(place)

    def _compact_one(self, place: Place) -> None:
        below = self._world.loaded.get(place, 0) if self._fates.faults.retention else None
        self._log.compact(place, below)

    def _truncate(self) -> None:
        """Take some of what nobody needs from the log; copies of the database are younger."""
        if self._tape.randrange(4):
            self._world.copy = self._world.database.copy()
        for place in sorted(self._log.ends):
            first = self._log.starts.get(place, 0)
            spare = unneeded(self._world, place) - first
            if spare > 0 and (taken := self._tape.randrange(spare + 1)):
                self._world.tally.event("partitions truncated")
                self._log.truncate(place, first + taken)

    def age(self) -> None:
        """Take all that nobody needs from the log, and all that is superseded."""
        if not self._fates.faults.retention:
            return
        self._world.copy = self._world.database.copy()
        for place in sorted(self._log.ends):
            if place.topic.removeprefix("state-") in self._world.stages:
                self._compact_one(place)
            elif unneeded(self._world, place) > self._log.starts.get(place, 0):
                self._world.tally.event("partitions truncated")
                self._log.truncate(place, unneeded(self._world, place))

    def _break(self) -> None:
        """Let the code of one stage be wrong: it raises at one record, until it is mended."""
        if self._world.broken is not None:
            return
        stage = self._tape.pick(list(self._world.stages.values()))
        place = self._tape.pick(self._log.places(self._tape.pick(stage.inputs)))
        at = self._log.ends.get(place, 0) + self._tape.randrange(6) - 3
        self._world.broken = (stage.name, place, max(at, 0))
        self._world.tally.event("steps made to raise")
        self._fates.allow(StepError)
        self._world.later(self._tape.pick((200, 600, 1500)), self.mend)

    def mend(self) -> None:
        """Mend the code."""
        self._world.broken = None

    def _restore(self) -> None:
        """Take the place of the database by an older copy of it."""
        if self._tape.randrange(2) == 0:
            self._world.copy = self._world.database.copy()
            return
        self._world.tally.event("databases restored")
        self._fates.allow(SinkHoleError)
        self._world.database.restore(self._world.copy)
        self._world.on_restore()

    def _cut_reads(self) -> None:
        self._world.tally.event("reads cut short")
        self._fates.allow(StateError)
        self._log.cuts += 1
