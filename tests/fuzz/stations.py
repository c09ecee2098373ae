"""A case enters a real stage runtime over a log in memory; what it did to both leaves, checked."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from app.core.flow import Stage
from app.errors import LockstepError
from app.pipeline import STAGES
from app.runtime.admission import OwnRecordError, admit_for
from app.runtime.codec import DecodeError
from app.runtime.ports import Entry, Place, Stored
from app.runtime.stage import StageRuntime
from tests.fuzz import judge
from tests.fuzz.mutations import Case
from tests.fuzz.samples import epoch_on

T = TypeVar("T")


class WrongError(Exception):
    """Something malformed had an effect it must not have, or none where it must."""


class Memory:
    """A log in memory, one partition a topic, that never waits."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        first = len(self.entries)
        self.entries += entries
        return list(range(first, len(self.entries)))

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        return [
            Stored(place.topic, place.partition, offset, entry.key, entry.value)
            for offset, entry in enumerate(self.entries)
            if entry.topic == place.topic and offset >= (start or 0)
        ]

    async def bounds(self, _: Place) -> tuple[int, int]:
        return 0, 2**60

    async def partitions(self, _: str) -> int:
        return 1

    def partition_for(self, _: bytes, __: int) -> int:
        return 0


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that never waits returns."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waited")


class Station:
    """One stage on one of its input topics, warm: its key's machine has taken an epoch."""

    def __init__(self, stage: Stage, topic: str) -> None:
        self.name = stage.name
        self._stage = stage
        self._topic = topic
        self._log = Memory()
        self._runtime = StageRuntime(self._stage, self._log, "run", "fuzz")
        now(self._runtime.assign({Place(topic, 0): 0 for topic in self._stage.inputs}))
        self._offset = 0
        self._warm("trades" if self._stage.name == "execution" else self._stage.inputs[0])

    def _warm(self, topic: str) -> None:
        sample = epoch_on(topic)
        now(self._runtime.take({Place(topic, 0): [Stored(topic, 0, 0, sample.key, sample.value)]}))
        self._partition = self._runtime._partitions[0]
        self._warmth = self._states()
        assert self._warmth
        self._offset = int(topic == self._topic)

    def refuse(self, case: Case) -> None:
        """Feed it a malformed case; raises WrongError unless it is refused and changes nothing."""
        place = Place(self._topic, 0)
        stored = Stored(*place, self._offset, case.key, case.value)
        written = len(self._log.entries)
        committable = self._runtime.committable()
        must_stop = judge.stops(case.topic, case.value)
        try:
            now(self._runtime.take({place: [stored]}))
        except OwnRecordError as error:
            if not must_stop or self._log.entries[written:]:
                raise WrongError(f"{self.name} stopped, or wrote and stopped") from error
            if self._runtime.committable() != committable:
                raise WrongError(f"{self.name} moved its offsets and stopped") from error
            check_sentence(stored, str(error))
            self._check_states()
            self._take_up()
            return
        self._offset += 1
        if must_stop:
            raise WrongError(f"{self.name} did not stop")
        check_letter(stored, self.name, self._log.entries[written:])
        self._check_states()
        del self._log.entries[written:]

    def _take_up(self) -> None:
        """Go on as a worker does that is started again, with the states that it would load."""
        if self._runtime._partitions:
            raise WrongError(f"{self.name} stopped, and keeps its partitions")
        self._partition.position[self._topic] = self._offset
        self._runtime._partitions[0] = self._partition

    def _check_states(self) -> None:
        if self._states() != self._warmth:
            raise WrongError(f"{self.name} changed its state")

    def _states(self) -> dict[str, tuple[int, object]]:
        return {
            key: (machine.revision, machine.durable())
            for key, machine in self._partition.machines.items()
        }


class Loader:
    """The stage `candles` as it begins to own a partition whose state topic holds a case."""

    def refuse(self, case: Case) -> None:
        """Let it load a malformed case; raises WrongError unless it refuses and writes nothing."""
        if judge.reads(case.value) is not None:
            return  # a record under another key: for the admission to refuse, not for the loader
        stage = STAGES[0]
        log = Memory()
        log.entries.append(Entry(case.topic, case.key or b"", case.value))
        runtime = StageRuntime(stage, log, "run", "fuzz")
        try:
            now(runtime.assign({Place(topic, 0): 0 for topic in stage.inputs}))
        except (DecodeError, LockstepError):
            pass
        else:
            raise WrongError("a malformed state was loaded")
        if [entry.key for entry in log.entries[1:]] != [b"!claim"]:
            raise WrongError("a malformed state led to more than a claim")


def stations(topic: str) -> list[Station] | list[Loader]:
    """Return what reads a topic: every stage, one for all strategies, or a loader of states."""
    if topic.startswith("state-"):
        return [Loader()]
    found = [stage for stage in STAGES if topic in stage.inputs]
    return [Station(stage, topic) for stage in (found[:1] if topic == "candles" else found)]


def check_admission(case: Case, reader: str) -> None:
    """Check that a reader at the edges refuses a malformed case; raises WrongError."""
    stored = Stored(case.topic, 3, 4_711, case.key, case.value)
    must_stop = judge.stops(case.topic, case.value)
    try:
        admitted = admit_for(stored, reader)
    except OwnRecordError as error:
        if not must_stop:
            raise WrongError(f"{reader} stopped") from error
        check_sentence(stored, str(error))
        return
    if must_stop or not isinstance(admitted, list):
        raise WrongError(f"{reader} took it")
    check_letter(stored, reader, admitted)


def check_sentence(stored: Stored, sentence: str) -> None:
    """Check that a sentence says where the record stands and what to do, and is not long."""
    place = f"{stored.topic}/{stored.partition}/{stored.offset} could not be taken: "
    if not sentence.startswith(place) or "lockstep topics read" not in sentence:
        raise WrongError(f"the sentence was {sentence}")
    if len(sentence) > 1_000:
        raise WrongError(f"the sentence had {len(sentence)} characters")


def check_letter(stored: Stored, reader: str, entries: list[Entry]) -> None:
    """Check that exactly one reader reports malformed bytes, by one dead letter that says where."""
    wanted = int(judge.FOREIGN[stored.topic] == reader)
    if len(entries) != wanted:
        raise WrongError(f"{reader} wrote {len(entries)} records, not {wanted}")
    for entry in entries:
        said = judge.reads(entry.value)
        if said is None or not judge.may_stand("dead-letters", entry.key, entry.value):
            raise WrongError(f"{reader} wrote a dead letter that is malformed itself")
        place = [said.fields[name] for name in ("topic", "stage", "size", "offset")]
        due = [stored.topic, reader, len(stored.value or b""), stored.offset]
        if place[:2] != due[:2] or [int(number.text) for number in place[2:]] != due[2:]:
            raise WrongError(f"{reader} reported another record: {place}")
