"""The runtime and the sink, each with one safety rule taken out: the oracle must object to each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.events import Inbound
from app.runtime import admission
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Entry, Place, Stored
from app.runtime.sink import SinkIntake
from app.runtime.stage import StageRuntime
from app.storage import sink as sink_module
from app.storage.errors import TRANSIENT
from app.storage.sink import Sink, Skipped
from app.storage.tables import TABLES, Table
from app.storage.values import Row
from tests.simulation.database import DEADLOCK, SimulatedStore, SimulatedTransaction
from tests.simulation.explore import LONG_EVERY, Outcome, run_seed
from tests.simulation.log import Point
from tests.simulation.members import Group, Member
from tests.simulation.points import FREEZE
from tests.simulation.world import Parts


class StatesBeforeOutputs(StageRuntime):
    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        partitions = self._partitions
        outputs = self._outputs(batches, [])
        await self._log.append(self._changed_states())
        await self._log.append(outputs)
        if partitions is self._partitions:
            self._committable = self._needs()


class OffsetsBeforeOutputs(StageRuntime):
    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        outputs = self._outputs(batches, [])
        self._committable = self._needs()
        await self._log.append(outputs)
        await self._log.append(self._changed_states())


class GoesOnAfterAFailedWrite(StageRuntime):
    """As if the log's errors were only logged: its world's processes don't end on them either."""

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        partitions = self._partitions
        for entries in (self._outputs(batches, []), self._changed_states()):
            with contextlib.suppress(Exception):  # the rule that is taken out
                await self._log.append(entries)
        if partitions is self._partitions:
            self._committable = self._needs()


class KeepsMemoryOfACancelledTake(StageRuntime):
    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        partitions = self._partitions
        await self._log.append(self._outputs(batches, []))
        await self._log.append(self._changed_states())
        if partitions is self._partitions:
            self._committable = self._needs()


class CommitsWhatItHasRead(StageRuntime):
    def _needs(self) -> dict[Place, int]:
        return {
            Place(topic, partition.number): offset
            for partition in self._partitions.values()
            for topic, offset in partition.position.items()
        }


class ResumesAtTheCommittedOffset(StageRuntime):
    def _resume(
        self, place: Place, bounds: tuple[int, int], committed: int | None, needed: int | None
    ) -> int:
        del place, bounds, needed
        return committed or 0


class ResumesAtTheStates(StageRuntime):
    """Leaves "nothing committed means from the start" out of the minimum."""

    def _resume(
        self, place: Place, bounds: tuple[int, int], committed: int | None, needed: int | None
    ) -> int:
        if committed is None and needed is not None:
            return needed
        return super()._resume(place, bounds, committed, needed)


class NewestStateWins(StateLog):
    def _newest(self, stored: list[Stored], number: int) -> Any:
        latest, _ = super()._newest(stored, number)
        return latest, dict(latest)


class NeverRewrites(StateLog):
    async def _rewrite(self, number: int, keys: list[str], winners: Any) -> None:
        pass


class NeverLooksForItsClaim(StateLog):
    async def load(self, number: int, token: int) -> Any:
        stored = await self._log.read(Place(self.topic, number))
        log = self._log
        self._log = _Answers(log, [*stored, *log.stored(Place(self.topic, number), token)])  # type: ignore[attr-defined, assignment]
        try:
            return await super().load(number, token)
        finally:
            self._log = log


class _Answers:
    """A log that gives one answer to a read."""

    def __init__(self, log: Any, answer: list[Stored]) -> None:
        self._log = log
        self._answer = answer

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        offsets: list[int] = await self._log.append(entries)
        return offsets

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        del place, start
        return self._answer


def with_states(states: type[StateLog], base: type[StageRuntime] = StageRuntime) -> Any:
    """Return a runtime that keeps its states in another way."""

    def made(*arguments: Any, unwritten: int = 0) -> StageRuntime:
        runtime = base(*arguments, unwritten=unwritten)
        runtime._states = states(*arguments)
        return runtime

    return made


class ForgetsItsStates(StageRuntime):
    def _changed_states(self) -> list[Entry]:
        return []


class TakesRepeats(StageRuntime):
    """Loads states, but without the numbers that tell a repeat."""

    async def _open(self, number: int, places: Mapping[Place, int | None]) -> dict[Place, int]:
        resume = await super()._open(number, places)
        partition: Partition = self._partitions[number]
        for machine in partition.machines.values():
            inbox = getattr(machine, "_inbox", None)
            if inbox is not None:
                inbox._received.clear()
        return resume


class TakesWhatItsStateIsPast(StageRuntime):
    async def _open(self, number: int, places: Mapping[Place, int | None]) -> dict[Place, int]:
        resume = await super()._open(number, places)
        self._partitions[number].floors = _NoFloors()
        return resume


class _NoFloors(dict[str, dict[str, int]]):
    def get(self, key: str, default: Any = None) -> Any:
        del key
        return default


class TakesTheSameOffsetsAgain(StageRuntime):
    def _step(self, partition: Partition, stored: Stored, made: Any) -> list[Entry]:
        due = partition.position[stored.topic]
        partition.position[stored.topic] = min(due, stored.offset)
        entries = super()._step(partition, stored, made)
        partition.position[stored.topic] = max(due, partition.position[stored.topic])
        return entries


class OverlooksHoles(StageRuntime):
    def _step(self, partition: Partition, stored: Stored, made: Any) -> list[Entry]:
        partition.position[stored.topic] = max(partition.position[stored.topic], stored.offset)
        return super()._step(partition, stored, made)


class KeepsWhatWasRevoked(StageRuntime):
    def revoke(self) -> None:
        pass

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        StageRuntime.revoke(self)
        return await super().assign(places)


class CommitsForItsSuccessor(StageRuntime):
    """Doesn't ask whether the partitions are still the ones of the take that ends."""

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        partitions = self._partitions
        await super().take(batches)
        self._committable = {
            Place(topic, partition.number): offset
            for partition in partitions.values()
            for topic, offset in partition.needs().items()
        }


class DropsForeignBytes(StageRuntime):
    def _step(self, partition: Partition, stored: Stored, made: Any) -> list[Entry]:
        entries = super()._step(partition, stored, made)
        return [entry for entry in entries if entry.topic != "dead-letters"]


class NotOnlyTheWarden(StageRuntime):
    def _step(self, partition: Partition, stored: Stored, made: Any) -> list[Entry]:
        entries = super()._step(partition, stored, made)
        if stored.value == b"not a record" and not entries:
            return [admission.dead_letter(stored, self.stage.name, "no record")]
        return entries


# --- the sink ----------------------------------------------------------------------------------


class MovesFirst(Sink):
    """Moves the offsets in a transaction of their own."""

    async def _attempt(self, prepared: Any) -> int:
        async with self._store.transaction() as transaction:
            held = await transaction.lock(sorted({item.place for item in prepared}))
            fresh, offsets = sink_module._unstored(prepared, held)
            if fresh:
                await transaction.move(offsets)
        async with self._store.transaction() as transaction:
            for table, batch in sink_module._by_table(fresh).items():
                await transaction.insert(TABLES[table], batch)
        return len(fresh)


class MovesLast(Sink):
    async def _attempt(self, prepared: Any) -> int:
        async with self._store.transaction() as transaction:
            held = await transaction.lock(sorted({item.place for item in prepared}))
            fresh, offsets = sink_module._unstored(prepared, held)
            for table, batch in sink_module._by_table(fresh).items():
                await transaction.insert(TABLES[table], batch)
        async with self._store.transaction() as transaction:
            if fresh:
                await transaction.move(offsets)
        return len(fresh)


class ComparesNothing(Sink):
    async def _attempt(self, prepared: Any) -> int:
        async with self._store.transaction() as transaction:
            await transaction.lock(sorted({item.place for item in prepared}))
            for table, batch in sink_module._by_table(prepared).items():
                await transaction.insert(TABLES[table], batch)
            await transaction.move({item.place: item.offset + 1 for item in prepared})
        return len(prepared)


class OverlooksHolesInTables(Sink):
    async def _attempt(self, prepared: Any) -> int:
        async with self._store.transaction() as transaction:
            held = await transaction.lock(sorted({item.place for item in prepared}))
            fresh = [item for item in prepared if item.offset >= held[item.place]]
            for table, batch in sink_module._by_table(fresh).items():
                await transaction.insert(TABLES[table], batch)
            await transaction.move({item.place: item.offset + 1 for item in fresh})
        return len(fresh)


class TakesUnknownForDone(Sink):
    async def _patiently(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await attempt()
        except TRANSIENT:
            return await super()._patiently(self._store.positions)


class GivesUpOnTheDatabase(Sink):
    """Drops a batch that the database refused."""

    async def write(self, batch: Sequence[Inbound | Skipped]) -> int:
        try:
            prepared = [sink_module._prepare(item) for item in batch]
            return await self._attempt(prepared)
        except TRANSIENT:
            return 0


class LocksUnsorted(Sink):
    async def _attempt(self, prepared: Any) -> int:
        async with self._store.transaction() as transaction:
            held = await transaction.lock(list({item.place: None for item in prepared}))
            fresh, offsets = sink_module._unstored(prepared, held)
            for table, batch in sink_module._by_table(fresh).items():
                await transaction.insert(TABLES[table], batch)
            if fresh:
                await transaction.move(offsets)
        return len(fresh)


class EndsOnADeadlock(Sink):
    async def _patiently(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        async def impatient() -> Any:
            try:
                return await attempt()
            except TRANSIENT as error:
                if error is DEADLOCK:
                    raise RuntimeError("a deadlock") from error
                raise

        return await super()._patiently(impatient)


class LocksUnsortedAndEnds(EndsOnADeadlock, LocksUnsorted):
    pass


class ResumesTheSinkAtTheCommittedOffset(SinkIntake):
    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        held = await super().assign(places)
        self._stored = {place: places[place] or 0 for place in held}
        return dict(self._stored)


class StoresWhatItNoLongerOwns(SinkIntake):
    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        for place, batch in batches.items():
            self._stored.setdefault(place, batch[0].offset)
        await super().take(batches)


class _Unlocked(SimulatedTransaction):
    async def lock(self, places: Sequence[Any]) -> Any:
        await Point("lock")
        self.check()
        return {place: self._database.offsets.get(place, 0) for place in places}


class LocksNoRows(SimulatedStore):
    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as transaction:
            transaction.__class__ = _Unlocked
            yield transaction


class _Doubling(SimulatedTransaction):
    async def insert(self, table: Table, batch: Sequence[Row]) -> None:
        await super().insert(table, batch)
        self.rows[table.name].update({("again", *row): row for row in batch})


class InsertsTwice(SimulatedStore):
    """No rule, but the canary: a store that doubles every row."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as transaction:
            transaction.__class__ = _Doubling
            yield transaction


class FencesNobody(Group):
    def commit(self, member: Member, generation: int, offsets: dict[Place, int]) -> None:
        del member, generation
        self.committed |= offsets


REMOVED: dict[str, Parts] = {
    "outputs are appended before states": Parts(runtime=StatesBeforeOutputs),
    "offsets may move after outputs": Parts(runtime=OffsetsBeforeOutputs),
    "a failed write ends the process": Parts(runtime=GoesOnAfterAFailedWrite, ends_on_errors=False),
    "memory of a cancelled take is dropped": Parts(runtime=KeepsMemoryOfACancelledTake),
    "committed up to the oldest needed": Parts(runtime=CommitsWhatItHasRead),
    "states are written": Parts(runtime=ForgetsItsStates),
    "resume at the lower of committed and needed": Parts(runtime=ResumesAtTheCommittedOffset),
    "nothing committed means from the start": Parts(runtime=ResumesAtTheStates),
    "the highest token wins": Parts(runtime=with_states(NewestStateWins)),
    "the highest token wins, and resume at the lower": Parts(
        runtime=with_states(NewestStateWins, ResumesAtTheCommittedOffset)
    ),
    "a winner is written again, and resume at the lower": Parts(
        runtime=with_states(NeverRewrites, ResumesAtTheCommittedOffset)
    ),
    "a load must reach the claim": Parts(runtime=with_states(NeverLooksForItsClaim)),
    "repeats are told by number": Parts(runtime=TakesRepeats),
    "a key's state is past what is read for others": Parts(runtime=TakesWhatItsStateIsPast),
    "offsets given again are skipped": Parts(runtime=TakesTheSameOffsetsAgain),
    "offsets left out stop the stage": Parts(runtime=OverlooksHoles),
    "a revocation empties the hands": Parts(runtime=KeepsWhatWasRevoked),
    "a take that was overtaken commits nothing": Parts(runtime=CommitsForItsSuccessor),
    "foreign bytes become dead letters": Parts(runtime=DropsForeignBytes),
    "one stage reports foreign bytes": Parts(runtime=NotOnlyTheWarden),
    "offsets move with the rows (before)": Parts(sink=MovesFirst),
    "offsets move with the rows (after)": Parts(sink=MovesLast),
    "the sink compares first": Parts(sink=ComparesNothing),
    "the sink refuses a hole": Parts(sink=OverlooksHolesInTables),
    "an unknown outcome is read again": Parts(sink=TakesUnknownForDone),
    "the sink is patient": Parts(sink=GivesUpOnTheDatabase),
    "the sink locks in order": Parts(sink=LocksUnsorted),
    "the sink resumes where the database says": Parts(intake=ResumesTheSinkAtTheCommittedOffset),
    "the sink leaves what it does not own": Parts(intake=StoresWhatItNoLongerOwns),
    "offsets are read under a lock": Parts(store=LocksNoRows),
    "canary: every row twice": Parts(store=InsertsTwice),
    "the broker fences commits": Parts(group=FencesNobody),
}
"""What is under test without each rule."""

HEAVY: dict[str, Any] = {
    "kills": 8,
    "freezes": 12,
    "fails": 4,
    "events": 30,
    "bad_reads": 5,
    "breaks": False,
    "budget": 20,
    "workers": 3,
}
AGAIN = {"only": True, "targets": (), "kills": 0, "freezes": 0, "fails": 0, "budget": 40}
"""Nothing but hand-overs while nothing is under way, and records that come again."""

AIMED: dict[str, dict[str, Any]] = {
    "offsets left out stop the stage": {"bad_reads": 60},
    "offsets given again are skipped": {**AGAIN, "bad_reads": 60, "events": 0, "workers": 1},
    "an unknown outcome is read again": {"fails": 40},
    "the sink is patient": {"fails": 40},
    "the sink leaves what it does not own": {**AGAIN, "bad_reads": 0, "events": 20},
    "the sink locks in order": {"targets": (), "fails": 0, "events": 60, "budget": 40},
    "a take that was overtaken commits nothing": {"events": 80, "kills": 20, "budget": 40},
    "a key's state is past what is read for others": {"kills": 20},
    "the highest token wins": {
        "retention": True,
        "targets": tuple(
            ("take: append states: sent, not applied", FREEZE, passing) for passing in (4, 12, 25)
        ),
        "events": 60,
        "kills": 2,
        "freezes": 2,
        "fails": 0,
        "budget": 40,
    },
    "a revocation empties the hands": {
        "retention": True,
        "workers": 2,
        "events": 80,
        "kills": 0,
        "freezes": 40,
        "budget": 100,
    },
    "the broker fences commits": {"retention": True, "kills": 2, "freezes": 30, "budget": 60},
    "resume at the lower of committed and needed": {"retention": False},
    "nothing committed means from the start": {"retention": False},
}
"""What goes wrong where a rule is taken out, and more of what that rule is for."""

ON_THE_RING = frozenset(
    {"a key's state is past what is read for others", "offsets given again are skipped"}
)
"""Rules that the tiny stages don't need: nothing there acts on what it takes out of order."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The rule behind which another is the second line: without either alone nothing happens.

    Attributes:
        name: The covering rule.
        alone: What is under test without it.
        both: What is under test without the two.
    """

    name: str
    alone: Parts
    both: Parts


COVERED: dict[str, Cover] = {
    "the sink locks in order": Cover(
        "the sink tries again when the database has broken a circle of locks",
        Parts(sink=EndsOnADeadlock),
        Parts(sink=LocksUnsortedAndEnds),
    ),
}
"""Rules that no seed needs as long as another one stands."""


def without(
    rule: str, seed: int, replay: Sequence[int] | None = None, parts: Parts | None = None
) -> Outcome:
    """Run a seed without a rule (or with other parts, under what that rule is for)."""
    heavy = HEAVY | AIMED.get(rule, {})
    return run_seed(seed, parts or REMOVED[rule], replay, heavy=heavy, traced=replay is not None)


def objecting(rule: str, count: int, parts: Parts | None = None) -> Outcome | None:
    """Return the first of so many schedules to which the oracle objects only without a rule."""
    step = LONG_EVERY if rule in ON_THE_RING else 1
    runs = (without(rule, seed, parts=parts) for seed in range(0, step * count, step))
    wrong = (outcome for outcome in runs if outcome.wrong)
    return next((each for each in wrong if not without(rule, each.seed, parts=Parts()).wrong), None)
