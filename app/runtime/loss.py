"""Input that retention took before its reader had it: said in a sentence, or recorded as a gap.

The loss becomes a record on `trades`, so that every reader and every replay of the log sees it.
Three steps make it durable, each safe to repeat: the gaps, then the states of who has lost input,
which from then on need no more than there is, then the offsets of their groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

import structlog

from app.config import Settings
from app.core.candles import CandleState
from app.core.events import Gap, Message
from app.core.execution import ExecutionState
from app.core.flow import Stage
from app.market.state import FeedState
from app.pipeline import EDGES, STAGES
from app.runtime import market, topics
from app.runtime.admission import admit_for
from app.runtime.codec import encode, identity_of
from app.runtime.groups import Groups
from app.runtime.kafka import KafkaLog
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Entry, Place
from app.runtime.remains import Reader, UnrecordableError, gaps
from app.runtime.stage import TRADES, begins_at, lost_input, resume_at

log = structlog.get_logger()

LINGERING = 5.0
"""Seconds more than a killed worker's session lasts, until its groups are surely left."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Input of a stage that is gone: its offsets from `needed` to before `first`.

    Attributes:
        stage: Who needs it.
        place: Where it stood.
        needed: The oldest offset it still needs.
        first: The oldest offset that is there.
        committed: What its group has committed; none: nothing.
    """

    stage: Stage
    place: Place
    needed: int
    first: int
    committed: int | None


@dataclass(slots=True)
class Loser:
    """One partition of a stage that has lost trades, and its part in each instrument."""

    loss: Loss
    states: StateLog
    partition: Partition
    readers: dict[str, Reader] = field(default_factory=dict)

    def reader(self, key: str) -> Reader | None:
        """Return the stage's place in an instrument; none where it has lost nothing of it."""
        floor = self.partition.floors.get(key, {}).get(TRADES, 0)
        if floor >= self.loss.first:
            return None
        if key not in self.readers:
            self.readers[key] = Reader(self.loss.stage.name, key, self.state(key).tape, floor)
        return self.readers[key]

    def state(self, key: str) -> CandleState | ExecutionState:
        """Return the stage's durable state of an instrument; an empty one where it has none."""
        state = self.loss.stage.machine(key, None).durable()
        if key in self.partition.machines:
            state = self.partition.machines[key].durable()
        if not isinstance(state, CandleState | ExecutionState):
            raise TypeError(f"{self.loss.stage.name} reads {TRADES} and keeps no tape")
        return state

    def rewritten(self) -> list[Entry]:
        """Return the states of who has lost input, which need no more than there is."""
        entries = []
        for key, reader in self.readers.items():
            if key in self.partition.machines:
                needs = self.partition.floors[key] | {TRADES: max(reader.floor, self.loss.first)}
                self.partition.position = dict.fromkeys(self.loss.stage.inputs, 0) | needs
                entries.append(self.states.state_entry(self.partition, key))
        return entries

    def sent(self, key: str) -> Mapping[str, int]:
        """Return the last number sent to each destination, as the durable state has it."""
        sent = self.state(key).sent
        return {key: sent} if isinstance(sent, int) else sent


class Acceptance:
    """Finds what the stages of an installation have lost, and records it.

    Args:
        log: The topics.
        settings: The installation's.
        owner: Who claims the partitions it changes.
    """

    def __init__(self, log: KafkaLog, settings: Settings, owner: str) -> None:
        self._log = log
        self._ours = [stage for stage in STAGES if stage.name in settings.worker.stages]
        self._patience = settings.kafka.session_timeout + LINGERING
        self._groups = Groups(settings.kafka)
        self._run = settings.worker.run
        self._owner = owner

    async def accept(self) -> None:
        """Record what this worker's stages, or any other reader of trades, have lost.

        It says so, also where there is nothing, and changes nothing while others are at work.

        Raises:
            LostInputError: Derived records are lost.
            UnrecordableError: More than trades is lost.
            BusyError: Another worker is at work.
        """
        if not await self._recordable():
            log.warning("no loss to accept", reason="retention took nothing that a stage needs")
            return
        names = (*(stage.name for stage in STAGES), *EDGES)
        await self._groups.require_nobody(names, self._patience)
        if not await self._recordable():
            return
        readers = [stage for stage in STAGES if TRADES in stage.inputs]
        losses = [loss for stage in readers for loss in await self._find(stage)]
        trades = sorted((loss for loss in losses if loss.place.topic == TRADES), key=_place)
        for place, found in groupby(trades, key=_place):
            await self._record(place, list(found))

    async def _recordable(self) -> list[Loss]:
        losses = [loss for stage in self._ours for loss in await self._find(stage)]
        for loss in losses:
            if loss.place.topic != TRADES:
                raise lost_input(loss.stage.name, loss.place, loss.needed, loss.first)
        return losses

    async def _find(self, stage: Stage) -> list[Loss]:
        found = []
        committed = await self._groups.committed(stage.name)
        states = self._states(stage)
        for number in range(await self._log.partitions(stage.inputs[0])):
            needed, begun = await states.peek(number)
            for topic in stage.inputs:
                place = Place(topic, number)
                first, _ = await self._log.bounds(place)
                begin = begins_at(topic, committed.get(place), begun=begun)
                resume = resume_at(first, begin, needed.get(topic))
                if resume < first:
                    found.append(Loss(stage, place, resume, first, committed.get(place)))
        return found

    async def _record(self, place: Place, losses: list[Loss]) -> None:
        feeds = await self._feeds(place.partition)
        losers = [Loser(loss, *await self._load(loss.stage, place.partition)) for loss in losses]
        await self._follow(place, losers, feeds)
        found: list[Gap] = []
        for key in sorted({key for loser in losers for key in loser.readers}):
            readers = [loser.readers[key] for loser in losers if key in loser.readers]
            found += gaps(feeds.get(key), readers)
        for loser in losers:
            await self._require_told(loser)
        await self._log.append([_entry(gap) for gap in found])
        for loser in losers:
            await self._log.append(loser.rewritten())
            await self._commit(loser.loss)
        _say(losses, found)

    async def _commit(self, loss: Loss) -> None:
        if loss.committed is None or loss.committed < loss.first:
            await self._groups.commit(loss.stage.name, {loss.place: loss.first})

    async def _load(self, stage: Stage, number: int) -> tuple[StateLog, Partition]:
        states = self._states(stage)
        partition, _ = await states.load(number, await states.claim(number))
        return states, partition

    async def _feeds(self, number: int) -> dict[str, FeedState]:
        """Return what market data remembers of each instrument of a partition."""
        _, partition = await self._load(market.STAGE, number)
        return {
            key: machine.state
            for key, machine in partition.machines.items()
            if isinstance(machine, market.Kept)
        }

    async def _follow(
        self, place: Place, losers: list[Loser], feeds: Mapping[str, FeedState]
    ) -> None:
        """Let each loser take what is left of every instrument that it may have lost input of."""
        for loser in losers:
            for key in (*feeds, *loser.partition.machines):
                loser.reader(key)
        async for stored in self._log.scan(place):
            admitted = admit_for(stored, "worker")
            if isinstance(admitted, Message):
                for loser in losers:
                    reader = loser.reader((stored.key or b"").decode())
                    if reader is not None:
                        reader.take(stored.offset, admitted.record)

    async def _require_told(self, loser: Loser) -> None:
        """Refuse where outputs stand that no state holds: made anew, they would differ.

        Raises:
            UnrecordableError: There are some.
        """
        stage = loser.loss.stage
        senders = {f"{stage.name}/{key}": key for key in loser.readers}
        for topic in stage.outputs:
            for place in await self._written(stage, topic, loser.loss.place.partition):
                async for stored in self._log.scan(place):
                    identity = identity_of(stored.value)
                    if identity is None or identity.sender not in senders:
                        continue
                    key = senders[identity.sender]
                    if identity.number > loser.sent(key).get(identity.destination, 0):
                        raise UnrecordableError(
                            stage.name,
                            key,
                            f"{identity} was made from it, and no state holds that",
                        )

    async def _written(self, stage: Stage, topic: str, number: int) -> list[Place]:
        """Return where a partition of a stage writes to."""
        if topics.declared()[topic].key == stage.key:
            return [Place(topic, number)]
        return [Place(topic, each) for each in range(await self._log.partitions(topic))]

    def _states(self, stage: Stage) -> StateLog:
        return StateLog(stage, self._log, self._run, self._owner)


def _place(loss: Loss) -> Place:
    return loss.place


def _entry(gap: Gap) -> Entry:
    return Entry(TRADES, gap.instrument.encode(), encode(Message(gap)))


def _say(losses: list[Loss], found: list[Gap]) -> None:
    for loss in losses:
        log.warning(
            "loss accepted",
            stage=loss.stage.name,
            reason=f"retention took {loss.place.topic}/{loss.place.partition} from {loss.needed} "
            f"to {loss.first - 1}",
        )
    for gap in found:
        log.warning("gap", instrument=gap.instrument, trades=gap.name())
