"""Records enter a pipeline in memory; every record that its stages make of them leaves.

This is the driver of the tests: it steps the same machines as the workers do, over topics that are
lists, reads them in whatever order it is told, and crashes on purpose. What the workers do to make
a step safe it does then, too: outputs, then the state, and after a crash everything that is still
needed is read again. Whatever only wants the outcome feeds `app.replay.engine`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from app.core.events import Inbound, Message, Record
from app.core.flow import Machine, Stage
from app.runtime.codec import decode_state, encode, encode_state

Choose = Callable[[int], int]
"""Given how many there are, returns which: from 0 to one less."""

LARGEST_BATCH = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in a topic."""

    key: str
    message: Message


class Topics:
    """Every topic's partitions: lists of entries, whose indexes are the offsets."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._entries: dict[str, list[list[Entry]]] = {}

    def append(self, topic: str, entry: Entry) -> None:
        """Append to the partition of the entry's key."""
        number = zlib.crc32(entry.key.encode()) % self.partitions
        self.partition(topic, number).append(entry)

    def partition(self, topic: str, number: int) -> list[Entry]:
        """Return a partition's entries."""
        if topic not in self._entries:
            self._entries[topic] = [[] for _ in range(self.partitions)]
        return self._entries[topic][number]


@dataclass(slots=True)
class Shard:
    """One partition of one stage, as one worker owns it.

    Attributes:
        stage: The stage.
        number: The partition.
        positions: The next offset to take, by input topic.
        machines: By key.
        written: The revision of each key's state that is stored.
        stored: Each key's stored state, and the oldest offset it needs by input topic.
    """

    stage: Stage
    number: int
    positions: dict[str, int]
    machines: dict[str, Machine] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    stored: dict[str, tuple[str, dict[str, int]]] = field(default_factory=dict)

    def machine(self, key: str) -> Machine:
        """Return the key's machine, a new one at the key's first record."""
        if key not in self.machines:
            self.machines[key] = self.stage.machine(key, None)
            self.written[key] = self.machines[key].revision
        return self.machines[key]

    def needs(self) -> dict[str, int]:
        """Return the oldest offset that a successor must read again, by input topic."""
        oldest = dict(self.positions)
        for machine in self.machines.values():
            for topic, offset in machine.needs().items():
                oldest[topic] = min(offset, oldest[topic])
        return oldest

    def store(self) -> None:
        """Store the state of every key that has changed."""
        for key, machine in self.machines.items():
            if machine.revision != self.written[key]:
                needs = dict(self.positions) | machine.needs()
                self.stored[key] = (encode_state(machine.durable()), needs)
                self.written[key] = machine.revision

    def restore(self, committed: dict[str, int]) -> None:
        """Start again from what is stored, and read again what any key needs."""
        self.machines = {
            key: self.stage.machine(key, decode_state(self.stage.state, text))
            for key, (text, _) in self.stored.items()
        }
        self.written = {key: machine.revision for key, machine in self.machines.items()}
        self.positions = {
            topic: min([offset, *(needs[topic] for _, needs in self.stored.values())])
            for topic, offset in committed.items()
        }


class Replay:
    """A pipeline over topics in memory.

    Without `choose`, what the stages make is taken before what enters from outside, so that
    little waits in between; and of two stages that read what enters, the one behind goes first.

    Attributes:
        steps: How many batches were taken so far.
        crashes: How many times a stage was started again.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        partitions: int = 1,
        choose: Choose | None = None,
        crash_every: int = 0,
    ) -> None:
        """Start with empty topics.

        Args:
            stages: The pipeline, in flow order.
            partitions: How many partitions every topic has.
            choose: Picks which partition of which input is read next, how much of it, and where
                a crash strikes; none for the order above, a record at a time.
            crash_every: One in so many batches ends in a crash; 0 for never. Needs `choose`.
        """
        self.steps = 0
        self.crashes = 0
        self._topics = Topics(partitions)
        self._choose = choose
        self._crash_every = crash_every if choose else 0
        self._shards = [
            Shard(stage, number, dict.fromkeys(stage.inputs, 0))
            for stage in stages
            for number in range(partitions)
        ]
        self._made = {topic: index for index, stage in enumerate(stages) for topic in stage.outputs}

    def feed(self, topic: str, key: str, message: Message) -> None:
        """Append a message that enters from outside."""
        self._topics.append(topic, Entry(key, message))

    def run(self) -> None:
        """Step until nothing moves."""
        while self._step():
            self.steps += 1

    def entries(self, topic: str) -> Iterator[Entry]:
        """Yield a topic's entries, repeats included, partition by partition."""
        for number in range(self._topics.partitions):
            yield from self._topics.partition(topic, number)

    def messages(self, topic: str, key: str | None = None) -> list[Message]:
        """Return a topic's messages, or one key's, each once, partition by partition.

        Raises:
            ValueError: A repeat was not the same bytes.
        """
        return distinct(
            entry.message for entry in self.entries(topic) if key is None or entry.key == key
        )

    def records(self, topic: str, key: str | None = None) -> list[Record]:
        """Return the records of `messages`."""
        return [message.record for message in self.messages(topic, key)]

    def machine(self, stage: str, key: str) -> Machine:
        """Return a key's machine; raises KeyError if the key has had no record."""
        for shard in self._shards:
            if shard.stage.name == stage and key in shard.machines:
                return shard.machines[key]
        raise KeyError(f"{stage} has had no record for {key}.")

    def waiting(self) -> dict[str, str]:
        """Return what each machine waits for, by stage and key, where it waits."""
        return {
            f"{shard.stage.name}/{key}": machine.waiting()
            for shard in self._shards
            for key, machine in shard.machines.items()
            if machine.waiting()
        }

    def _step(self) -> bool:
        unread = [
            (shard, topic)
            for shard in self._shards
            for topic in shard.stage.inputs
            if shard.positions[topic] < len(self._topics.partition(topic, shard.number))
        ]
        if not unread:
            return False
        if self._choose is None:
            self._take(*min(unread, key=self._order), count=1)
        else:
            shard, topic = unread[self._choose(len(unread))]
            self._take(shard, topic, 1 + self._choose(LARGEST_BATCH))
        return True

    def _order(self, unread: tuple[Shard, str]) -> tuple[int, int]:
        shard, topic = unread
        made = self._made.get(topic)
        return (1, shard.positions[topic]) if made is None else (-made, 0)

    def _take(self, shard: Shard, topic: str, count: int) -> None:
        """Take a batch: append its outputs, then store its states, unless a crash comes first."""
        crash = self._crash_every > 0 and self._chosen(self._crash_every) == 0
        committed = shard.needs() if crash else {}
        outputs = self._outputs(shard, topic, count)
        appended = self._chosen(len(outputs) + 2) if crash else len(outputs) + 1
        for entry_topic, entry in outputs[:appended]:
            self._topics.append(entry_topic, entry)
        if self._crash_every and appended > len(outputs):
            shard.store()
        if crash:
            self.crashes += 1
            shard.restore(committed)

    def _outputs(self, shard: Shard, topic: str, count: int) -> list[tuple[str, Entry]]:
        position = shard.positions[topic]
        outputs: list[tuple[str, Entry]] = []
        batch = self._topics.partition(topic, shard.number)[position : position + count]
        for offset, entry in enumerate(batch, position):
            shard.positions[topic] = offset + 1
            inbound = Inbound(entry.message, topic, shard.number, offset)
            outputs += [
                (output.topic, Entry(output.key, output.message))
                for output in shard.machine(entry.key).take(inbound)
            ]
        return outputs

    def _chosen(self, bound: int) -> int:
        return self._choose(bound) if self._choose else 0


def distinct(messages: Iterable[Message]) -> list[Message]:
    """Return the messages without repeats, by name, in order.

    Raises:
        ValueError: A repeat was not the same bytes.
    """
    first: dict[str, Message] = {}
    for message in messages:
        known = first.setdefault(message.name, message)
        if known is not message and encode(known) != encode(message):
            raise ValueError(
                f"{message.name} was repeated with other bytes, first {encode(known)!r:.400}, then "
                f"{encode(message)!r:.400}: a step is not a function of its records alone."
            )
    return list(first.values())
