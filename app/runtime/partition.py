"""One owned partition of a stage: its machines, positions, and the state log that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.events import Claim, Message, Progress, StageState
from app.core.flow import VERSION, Machine, Stage
from app.errors import LockstepError
from app.runtime.admission import admit_for
from app.runtime.codec import decode_state, encode, encode_state
from app.runtime.crowding import Crowd
from app.runtime.ports import Entry, Log, Place, Stored

STALE_RECORDS = 5_000
CLAIM = b"!claim"


class StateError(LockstepError):
    """A state on the log does not fit what reads it; the sentence says what to do."""


@dataclass(slots=True)
class Partition:
    """What a worker holds in memory for one partition it owns.

    Attributes:
        number: The partition.
        token: The offset of this owner's claim; it stands in all the owner writes.
        machines: By key.
        written: The revision of each key's state that stands in the state log.
        floors: By key, the oldest offset by topic that its state as it stands still needs.
        position: The next offset to take, by input topic.
        begun: Whether the stage has ever written down anything here.
        inherited: Keys whose state on the log carries the token of an earlier owner.
        touched: Keys that took something since their states were last written, in that order.
        crowd: What machines hold for want of another topic; of a stage with a patient input.
    """

    number: int
    token: int
    machines: dict[str, Machine]
    written: dict[str, int]
    floors: dict[str, dict[str, int]] = field(default_factory=dict)
    position: dict[str, int] = field(default_factory=dict)
    begun: bool = False
    inherited: set[str] = field(default_factory=set)
    touched: dict[str, None] = field(default_factory=dict)
    crowd: Crowd = field(default_factory=Crowd)

    def needs(self) -> dict[str, int]:
        """Return the oldest offset that a successor must read again, by input topic."""
        oldest = dict(self.position)
        for machine in self.machines.values():
            for topic, offset in machine.needs().items():
                oldest[topic] = min(offset, oldest[topic])
        return oldest

    def needs_of(self, key: str) -> dict[str, int]:
        """Return the oldest offset that one key's successor must read again, by input topic.

        Never below what its state as it stands is past: while other keys catch up, the partition
        is read from before that.
        """
        past = self.floors.get(key, {})
        begins = {topic: max(at, past.get(topic, 0)) for topic, at in self.position.items()}
        return begins | self.machines[key].needs()

    def has_taken(self, key: str, stored: Stored) -> bool:
        """Return whether a key's state is past a record that is read again for other keys.

        Numbers and ids alone don't tell everywhere: a jump in trades that was skipped before it
        was filled would be taken by a state that has moved on.
        """
        floors = self.floors.get(key)
        return floors is not None and stored.offset < floors.get(stored.topic, 0)

    def stale(self, most: int | None = None) -> list[str]:
        """Return the keys whose states should be written again though nothing changed in them.

        Those that would make a successor read far more than they need. And those of an earlier
        owner: an owner between it and this one may be frozen with an older state in its hands,
        whose token is higher than theirs and lower than this one's.

        Args:
            most: How many records more are not far; none: a number that keeps a start short.
        """
        most = STALE_RECORDS if most is None else most
        return [key for key in self.floors if key in self.inherited or self._behind(key) > most]

    def _behind(self, key: str) -> int:
        """Return how many records more than it needs a key's state as written asks for."""
        floors, needs = self.floors[key], self.needs_of(key)
        return max((offset - floors.get(topic, 0) for topic, offset in needs.items()), default=0)


@dataclass(frozen=True, slots=True)
class _Found:
    """A state with the offset it stands at."""

    state: StageState
    offset: int


class StateLog:
    """The compacted topic in which a stage keeps its states, claims and progress."""

    def __init__(self, stage: Stage, log: Log, run: str, owner: str) -> None:
        self._stage = stage
        self._log = log
        self._run = run
        self._owner = owner
        self.topic = f"state-{stage.name}"
        self._told: dict[int, bytes] = {}

    async def check_begun(self, number: int, committed: Mapping[Place, int | None]) -> None:
        """Raise StateError where the group has come further than an empty state topic can tell."""
        begun = any(at for place, at in committed.items() if place.partition == number)
        if begun and (await self._log.bounds(Place(self.topic, number)))[1] == 0:
            raise StateError(
                f"{self.topic}/{number} is empty, but {self._stage.name} has committed offsets: "
                f"the topic was made anew, and the states it held are lost. Start a new run "
                f"(kafka.prefix)."
            )

    async def claim(self, number: int) -> int:
        """Begin to own a partition; return the token."""
        claim = Claim(self._stage.name, number, self._owner)
        entry = Entry(self.topic, CLAIM, encode(Message(claim)), number)
        return (await self._log.append([entry]))[0]

    async def peek(self, number: int) -> tuple[dict[str, int], bool]:
        """Return each input's oldest needed offset, and whether anything was ever written down.

        It claims nothing, so it disturbs no owner.
        """
        stored = await self._log.read(Place(self.topic, number))
        _, winners = self._newest(stored, number)
        return _oldest([found.state.needs for found in winners.values()]), _begun(stored)

    async def load(self, number: int, token: int) -> tuple[Partition, dict[str, int]]:
        """Return the partition as its states stand, and each input's oldest needed offset.

        Raises:
            StateError: A state is of another version, run or number of partitions.
        """
        stored = await self._log.read(Place(self.topic, number))
        if not stored or stored[-1].offset < token:
            raise StateError(
                f"{self.topic}/{number} ended at {stored[-1].offset if stored else 'nothing'} when "
                f"read, before the claim at {token}: the read was cut short. Start again."
            )
        latest, winners = self._newest(stored, number)
        await self._rewrite(number, [key for key in winners if winners[key] is not latest[key]],
                            winners)  # fmt: skip
        machines = {key: self._machine(key, found.state) for key, found in winners.items()}
        partition = Partition(
            number,
            token,
            machines,
            {key: machine.revision for key, machine in machines.items()},
            {key: dict(found.state.needs) for key, found in winners.items()},
            begun=_begun(stored),
            inherited=set(winners),
        )
        return partition, _oldest([found.state.needs for found in winners.values()])

    def state_entry(self, partition: Partition, key: str) -> Entry:
        """Return the entry that writes down one key's durable state, and what it needs now."""
        machine = partition.machines[key]
        needs = partition.needs_of(key)
        partition.floors[key] = needs
        state = StageState(
            stage=self._stage.name,
            key=key,
            token=partition.token,
            version=VERSION,
            time=machine.time,
            needs=needs,
            body=encode_state(machine.durable()),
        )
        return Entry(self.topic, key.encode(), encode(Message(state)), partition.number)

    def progress_entries(self, partition: Partition, partitions: int) -> list[Entry]:
        """Return the entry that tells how far a partition has come; none if that was told."""
        entry = self._progress_entry(partition, partitions)
        if self._told.get(partition.number) == entry.value:
            return []
        self._told[partition.number] = entry.value
        return [entry]

    def _progress_entry(self, partition: Partition, partitions: int) -> Entry:
        waiting = {key: machine.waiting() for key, machine in partition.machines.items()}
        progress = Progress(
            stage=self._stage.name,
            partition=partition.number,
            token=partition.token,
            partitions=partitions,
            run=self._run,
            version=VERSION,
            through=dict(partition.position),
            time=max((machine.time for machine in partition.machines.values()), default=0),
            waiting={key: text for key, text in waiting.items() if text},
        )
        return Entry(self.topic, b"!progress", encode(Message(progress)), partition.number)

    def _newest(
        self, stored: list[Stored], number: int
    ) -> tuple[dict[str, _Found], dict[str, _Found]]:
        """Return each key's last state, and the one that counts: highest token, then last."""
        latest: dict[str, _Found] = {}
        winners: dict[str, _Found] = {}
        for entry in stored:
            admitted = admit_for(entry, self._stage.name)
            record = admitted.record if isinstance(admitted, Message) else None
            if isinstance(record, Progress):
                self._check(record, number)
            elif isinstance(record, StageState):
                found = _Found(record, entry.offset)
                latest[record.key] = found
                winner = winners.get(record.key)
                if winner is None or record.token >= winner.state.token:
                    winners[record.key] = found
        return latest, winners

    async def _rewrite(self, number: int, keys: list[str], winners: Mapping[str, _Found]) -> None:
        """Append states again that an older owner's late write would let compaction erase."""
        await self._log.append(
            [
                Entry(self.topic, key.encode(), encode(Message(winners[key].state)), number)
                for key in keys
            ]
        )

    def _machine(self, key: str, state: StageState) -> Machine:
        if state.version != VERSION:
            raise StateError(
                f"the state of {self._stage.name}/{key} was written by version {state.version} of "
                f"the deciding code, this worker is version {VERSION}: drain the old version, "
                f"then start a new run (kafka.prefix)."
            )
        return self._stage.machine(key, decode_state(self._stage.state, state.body))

    def _check(self, progress: Progress, number: int) -> None:
        if progress.run != self._run or progress.partition != number:
            raise StateError(
                f"{self.topic}/{number} belonged to partition {progress.partition} of run "
                f"{progress.run!r}, this worker is for run {self._run!r}: check worker.run and "
                f"kafka.prefix."
            )


def _begun(stored: list[Stored]) -> bool:
    return any(entry.key != CLAIM for entry in stored)


def _oldest(needs: list[dict[str, int]]) -> dict[str, int]:
    oldest: dict[str, int] = {}
    for need in needs:
        for topic, offset in need.items():
            oldest[topic] = min(offset, oldest.get(topic, offset))
    return oldest
