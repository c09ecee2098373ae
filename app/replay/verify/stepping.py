"""A stage's recorded inputs enter; what its machines make of them leaves, or who can't go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.core.events import Command, Epoch, Inbound, Output
from app.core.flow import HoleError, Stage
from app.core.tape import StreamError
from app.replay.verify.starting import Starts
from app.runtime.ports import Place


class Stepper:
    """Every machine of one stage, each stepped from its start.

    Attributes:
        unproven: Who can't be stepped to the end, by stage and key, and why.
    """

    def __init__(
        self,
        stage: Stage,
        starts: Starts,
        firsts: Mapping[Place, int],
        home: Callable[[str], int],
    ) -> None:
        """Begin to step.

        Args:
            stage: The stage.
            starts: Where each key is stepped from.
            firsts: The first offset that is there, of each input partition.
            home: Returns the partition of a key.
        """
        self.unproven: dict[str, str] = {}
        self._stage = stage
        self._starts = starts
        self._truncated = {place: first for place, first in firsts.items() if first}
        self._home = home
        self._begun: dict[tuple[str, str], None] = {}
        self._machines = {
            key: stage.machine(key, state.body) for key, state in starts.states.items()
        }

    def take(self, key: str, inbound: Inbound) -> list[Output]:
        """Return what an input makes: nothing where its key was given up."""
        if f"{self._stage.name}/{key}" in self.unproven or not self._is_followed(key, inbound):
            return []
        if key not in self._machines:
            self._machines[key] = self._stage.machine(key, None)
        try:
            return self._machines[key].take(inbound)
        except (HoleError, StreamError) as error:
            # An input is lost or another, which the turn of the stage that made it names.
            self._give_up(key, str(error))
            return []

    def is_unproven(self, sender: str) -> bool:
        """Tell whether nothing can be said of what a sender wrote and no input made."""
        stage, _, key = sender.partition("/")
        if stage != self._stage.name or sender in self.unproven:
            return sender in self.unproven
        if key in self._starts.states:
            return False
        for place, first in self._truncated.items():
            # All that it had from there is gone.
            if place.partition == self._home(key) and (key, place.topic) not in self._begun:
                self._give_up(key, _late(place, first))
        return sender in self.unproven

    def _is_followed(self, key: str, inbound: Inbound) -> bool:
        """Give a key up whose first record of a topic is not its beginning."""
        place = Place(inbound.topic, inbound.partition)
        known = key in self._starts.states or (key, inbound.topic) in self._begun
        if place not in self._truncated or known or isinstance(inbound.record, Command):
            return True
        if _is_beginning(inbound):
            self._begun[key, inbound.topic] = None
            return True
        self._give_up(key, _late(place, self._truncated[place]))
        return False

    def _give_up(self, key: str, why: str) -> None:
        self._machines.pop(key, None)
        self.unproven[f"{self._stage.name}/{key}"] = why


def _is_beginning(inbound: Inbound) -> bool:
    """Tell whether a record is what a key begins with: an epoch, or the first of a sender."""
    identity = inbound.message.identity
    return isinstance(inbound.record, Epoch) if identity is None else identity.number == 1


def _late(place: Place, first: int) -> str:
    return f"{place.topic}/{place.partition} begins at offset {first}"
