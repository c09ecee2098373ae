"""A pure step made safe: bytes of a log enter, outputs, then states, are appended to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from app.core.events import Inbound, Message, Output, Snapshot
from app.core.flow import VERSION, Patient, Stage
from app.errors import LockstepError
from app.runtime import admission
from app.runtime.codec import encode, encode_state
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Entry, Log, Place, Stored
from app.runtime.recent import Recent

DAY = 86_400_000
TRADES = "trades"
REWRITE_EVERY = 3_600
"""Checkpoints, of about a second each, after which no state stays behind what its key needs."""


class LostInputError(LockstepError):
    """Input that is still needed is no longer in the log, or never was."""


def begins_at(topic: str, committed: int | None, *, begun: bool) -> int | None:
    """Return what counts as committed; none: whatever the log begins with will do.

    Other inputs are numbered by their senders, so that a reader finds a hole before the first one
    it meets. Trades are not: who has never begun needs every record there ever was.
    """
    return 0 if committed is None and topic == TRADES and not begun else committed


def resume_at(first: int, committed: int | None, needed: int | None) -> int:
    """Return the offset to read on from: of what was committed and is needed, the older.

    Nothing committed means from the start, whatever the states need: a key that has none yet may
    have had input that only memory held.
    """
    resume = first if committed is None else committed
    return resume if needed is None else min(resume, needed)


def lost_input(reader: str, place: Place, needed: int, first: int) -> LostInputError:
    """Return the sentence for input from `needed` on that the log has only from `first` on."""
    remedy = (
        "start one worker with --accept-loss and no other: it records the loss as a gap, final "
        "for decisions, and goes on; or start a new run (kafka.prefix)."
        if place.topic == TRADES
        else "start a new run (kafka.prefix). No gap can stand for derived records, and what "
        "follows from them would be wrong, so --accept-loss can't help here."
    )
    return LostInputError(
        f"{reader} needs {place.topic}/{place.partition} from offset {needed}, but retention has "
        f"left it from {first}: the {first - needed} records from {needed} to {first - 1} are "
        f"lost to it. To go on, {remedy}"
    )


class StageRuntime:
    """Feeds one stage's machines; durability comes in this order: outputs, state, acknowledgement.

    A crash between any two of them leaves repeats, never losses: what is read again makes the
    same outputs under the same identities, which receivers skip. So states may come late, too: they
    wait for a checkpoint, or until too many records would be read again.

    Args:
        stage: The stage.
        log: What it reads and appends to.
        run: The run's name.
        owner: Who this is, for people.
        watch: Is given what was made.
        recent: What was decoded lately.
        unwritten: How many records may be taken before the states they led to are written; 0: the
            states follow the outputs of every take.
    """

    def __init__(
        self,
        stage: Stage,
        log: Log,
        run: str,
        owner: str,
        watch: Callable[[Message], None] | None = None,
        *,
        recent: Recent | None = None,
        unwritten: int = 0,
    ) -> None:
        self.stage = stage
        self._recent = recent
        self._watch = watch
        self._log = log
        self._states = StateLog(stage, log, run, owner)
        self._partitions: dict[int, Partition] = {}
        self._counts: dict[str, int] = {}
        self._committable: dict[Place, int] = {}
        self._checkpoints = 0
        self._unwritten = unwritten
        self._ahead = 0  # records taken since memory was what the states on the log say
        self._moved = False  # what is committable may have changed since it was found out
        self._asked = False  # somebody asked while it could not be

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Claim partitions, load their states, and return where to resume reading.

        Raises:
            LostInputError: Retention took input that is needed, or a topic was made anew.
            StateError: A state does not fit.
        """
        self.revoke()
        resume: dict[Place, int] = {}
        for number in sorted({place.partition for place in places}):
            resume |= await self._open(number, places)
        self._committable = self._needs()
        return resume

    def revoke(self) -> None:
        """Forget every partition: another worker may own them from now on."""
        # New objects: a take still under way must not write what a successor's loader missed.
        self._partitions = {}
        self._committable = {}
        self._ahead, self._moved = 0, False

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        """Take records as read: step, append outputs; the states they led to follow in time.

        Raises:
            HoleError, DecodeError, LostInputError: The log is not what it must be.
        """
        partitions = self._partitions
        made: list[Output] = []
        self._ahead += sum(map(len, batches.values()))
        try:
            await self._log.append(self._outputs(batches, made))
        except BaseException:
            # Memory is ahead of the log now: whoever goes on must load the states again.
            partitions.clear()
            raise
        if self._ahead > self._unwritten:
            await self._write()
        if self._watch is not None:
            for output in made:
                self._watch(output.message)

    def committable(self) -> dict[Place, int]:
        """Return the oldest offset still needed of every input partition, by the states on the log.

        By those that stand there now; while memory is ahead of them, by those that stood there once
        since this was asked before. Of a partition whose inherited states are still to be written:
        nothing.
        """
        # Every key has to be asked for it, so it is not done at each write for nobody.
        self._asked = self._ahead > 0
        if self._moved and not self._ahead:
            self._settle()
        return dict(self._committable)

    def full(self) -> frozenset[Place]:
        """Return the input partitions of which enough is held, and of which nobody needs more."""
        return frozenset(
            Place(self.stage.patient, number)
            for number, partition in self._partitions.items()
            if partition.crowd.full
        )

    async def _write(self) -> None:
        """Append the states that memory is ahead with."""
        partitions = self._partitions
        try:
            await self._log.append(self._changed_states())
        except BaseException:
            partitions.clear()  # as in a take: what was to be written counts as written
            raise
        if partitions is self._partitions:
            self._ahead, self._moved = 0, True
            if self._asked:
                self._settle()

    def _settle(self) -> None:
        self._committable = self._needs()
        self._moved = self._asked = False

    async def checkpoint(self) -> None:
        """Append states and progress that moved, and states that fell behind or were inherited."""
        await self._write()
        entries = []
        partitions = self._partitions
        self._checkpoints += 1
        # Where few records come, a key's last one may be older than retention: it needs it no more.
        most = 0 if self._checkpoints % REWRITE_EVERY == 0 else None
        for partition in partitions.values():
            entries += [self._states.state_entry(partition, key) for key in partition.stale(most)]
            count = self._counts[self.stage.inputs[0]]
            entries += self._states.progress_entries(partition, count)
        await self._log.append(entries)
        for partition in partitions.values():
            partition.inherited.clear()
        if partitions is self._partitions:
            self._settle()

    async def close(self) -> None:
        """Do nothing: a stage acts only when it is fed."""

    async def _open(self, number: int, places: Mapping[Place, int | None]) -> dict[Place, int]:
        for topic in self.stage.inputs:
            if Place(topic, number) not in places:
                raise LostInputError(
                    f"{self.stage.name} was given partition {number} without that of {topic}: all "
                    f"inputs of a stage need the same number of partitions. Run `lockstep topics "
                    f"check`."
                )
            self._counts[topic] = await self._log.partitions(topic)
        await self._states.check_begun(number, places)
        token = await self._states.claim(number)
        partition, needed = await self._states.load(number, token)
        for topic in self.stage.inputs:
            place = Place(topic, number)
            committed = begins_at(topic, places[place], begun=partition.begun)
            bounds = await self._log.bounds(place)
            partition.position[topic] = self._resume(place, bounds, committed, needed.get(topic))
            self._check_end(partition, topic, bounds[1])
        self._check_keys(partition)
        for key in partition.machines:
            self._note(partition, key)
        self._partitions[number] = partition
        return {Place(topic, number): offset for topic, offset in partition.position.items()}

    def _resume(
        self, place: Place, bounds: tuple[int, int], committed: int | None, needed: int | None
    ) -> int:
        first, end = bounds
        resume = resume_at(first, committed, needed)
        if resume < first:
            raise lost_input(self.stage.name, place, resume, first)
        if resume > end:
            raise LostInputError(
                f"{self.stage.name} had read {place.topic}/{place.partition} up to {resume}, "
                f"but it ends at {end}: the topic was made anew. Start a new run (kafka.prefix)."
            )
        return resume

    def _check_end(self, partition: Partition, topic: str, end: int) -> None:
        # A broker forgets a group's offsets with the topic; the states remember theirs.
        through = max((floors.get(topic, 0) for floors in partition.floors.values()), default=0)
        if through > end:
            raise LostInputError(
                f"a state of {self.stage.name} has read {topic}/{partition.number} up to "
                f"{through}, but it ends at {end}: the topic was made anew. Start a new run "
                f"(kafka.prefix)."
            )

    def _check_keys(self, partition: Partition) -> None:
        count = self._counts[self.stage.inputs[0]]
        for key in partition.machines:
            if self._log.partition_for(key.encode(), count) != partition.number:
                raise LostInputError(
                    f"{self.stage.name} found the state of {key} in partition {partition.number}, "
                    f"where {count} partitions don't put it: partitions were added. Start a new "
                    f"run (kafka.prefix)."
                )

    def _step(self, partition: Partition, stored: Stored, made: list[Output]) -> list[Entry]:
        due = partition.position[stored.topic]
        if stored.offset < due:
            return []
        if stored.offset > due:
            raise LostInputError(
                f"{stored.topic}/{stored.partition} gave offset {stored.offset} where {due} was "
                f"due: records between them are gone. Start the worker again; if it repeats, run "
                f"`lockstep topics check`."
            )
        partition.position[stored.topic] = due + 1
        admitted = admission.admit(stored, self.stage, self._recent)
        if not isinstance(admitted, Message):
            return admitted
        return self._feed(partition, stored, admitted, made)

    def _feed(
        self, partition: Partition, stored: Stored, message: Message, made: list[Output]
    ) -> list[Entry]:
        key = (stored.key or b"").decode()
        if partition.has_taken(key, stored):
            return []
        machine = partition.machines.get(key)
        if machine is None:
            machine = partition.machines[key] = self.stage.machine(key, None)
            partition.written[key] = machine.revision
        before = machine.time
        partition.touched[key] = None
        outputs = machine.take(Inbound(message, stored.topic, stored.partition, stored.offset))
        self._note(partition, key)
        made += outputs
        entries = [_entry(output) for output in outputs]
        if before // DAY != machine.time // DAY and machine.time % DAY == 0:
            entries.append(self._snapshot(partition, key))
        return entries

    def _note(self, partition: Partition, key: str) -> None:
        if self.stage.patient:
            partition.crowd.note(key, cast("Patient", partition.machines[key]).ahead())

    def _snapshot(self, partition: Partition, key: str) -> Entry:
        machine = partition.machines[key]
        snapshot = Snapshot(
            stage=self.stage.name,
            key=key,
            version=VERSION,
            time=machine.time,
            needs=partition.needs_of(key),
            body=encode_state(machine.durable()),
        )
        return Entry("snapshots", key.encode(), encode(Message(snapshot)))

    def _outputs(
        self, batches: Mapping[Place, Sequence[Stored]], made: list[Output]
    ) -> list[Entry]:
        """Return the entries that the batches cause; add the outputs among them to `made`."""
        entries: list[Entry] = []
        for place, batch in batches.items():
            partition = self._partitions.get(place.partition)
            if partition is not None:
                for stored in batch:
                    entries += self._step(partition, stored, made)
        return entries

    def _needs(self) -> dict[Place, int]:
        # Not before what was inherited stands under this owner's token: until then a state that
        # needs more may still win.
        return {
            Place(topic, partition.number): offset
            for partition in self._partitions.values()
            if not partition.inherited
            for topic, offset in partition.needs().items()
        }

    def _changed_states(self) -> list[Entry]:
        entries = []
        for partition in self._partitions.values():
            for key in _changed(partition):
                entries.append(self._states.state_entry(partition, key))
                partition.written[key] = partition.machines[key].revision
        return entries


def _changed(partition: Partition) -> Iterable[str]:
    """Return the keys with states to write; only who took something can have one."""
    touched, partition.touched = partition.touched, {}
    return [key for key in touched if partition.machines[key].revision != partition.written[key]]


def _entry(output: Output) -> Entry:
    return Entry(output.topic, output.key.encode(), encode(output.message), message=output.message)
