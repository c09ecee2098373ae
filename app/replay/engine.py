"""Records enter a pipeline one by one; all that its stages make of each leaves at once, in order.

This is how the flow is run outside a worker: replays, backtests, searches and forks feed it. (The
other driver, `app.replay.driver`, reads topics in any order and crashes on purpose: for tests.)

Nothing waits in a topic here. A record goes to each stage that reads its topic, and what that stage
makes goes to the stages behind it, until nothing moves; only then does the next stage have it. So
what candles decide is ordered before execution takes the trade that closed them, and a join holds
about one interval. By law L1 any other order would make the same records.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from app.core.events import Inbound, Message, Output, Signal
from app.core.flow import Machine, Stage
from app.replay.cut import Cut, KeyState, seen, sent

Collect = Callable[[Output], object]

_SLOT = 1 << 20  # records of one decision time on `signals`, for all accounts, are fewer
_FIRST_LOOK = 64


def command_offset(time: int, number: int = 0) -> int:
    """Return the offset of a command that acts at the first decision time at or after `time`.

    A command acts by where it stands among the signals of its account, so here a signal stands at
    twice its decision time and a command just before it, whichever of them is made first.

    Args:
        time: Milliseconds since the epoch UTC.
        number: Tells commands of one account and time apart, in their order.
    """
    return 2 * time * _SLOT + number


class _Inlet:
    """A topic as one stage reads it.

    Attributes:
        topic: The topic.
        machines: The stage's machines, by key.
        open: Makes a key's machine at its first record.
        floors: By key, the oldest offset from outside that its state is not past.
        last: By key, the offset of the last record from outside.
        sent: By key, the newest records from other stages.
    """

    __slots__ = ("_limits", "floors", "last", "machines", "open", "sent", "topic")

    def __init__(
        self, topic: str, machines: dict[str, Machine], open_: Callable[[str], Machine]
    ) -> None:
        self.topic = topic
        self.machines = machines
        self.open = open_
        self.floors: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.sent: dict[str, list[Output]] = {}
        self._limits: dict[str, int] = {}

    def receive(self, output: Output, inbound: Inbound) -> list[Output]:
        """Take a record of another stage; keep it until it has its effect in the state."""
        key = output.key
        outputs = (self.machines.get(key) or self.open(key)).take(inbound)
        kept = self.sent.setdefault(key, [])
        kept.append(output)
        if len(kept) > self._limits.get(key, _FIRST_LOOK):
            kept = self.sent[key] = self.pending(key)
            self._limits[key] = max(_FIRST_LOOK, 2 * len(kept))
        return outputs

    def pending(self, key: str) -> list[Output]:
        """Return what a key has received and does not have in its durable state."""
        machine = self.machines[key]
        if self.topic not in machine.needs():
            return []
        taken = seen(machine.durable())
        return [
            output
            for output in self.sent.get(key, ())
            if (identity := output.message.identity) is not None
            and identity.number > taken.get(identity.sender, 0)
        ]

    def needs(self, key: str, machine: Machine) -> dict[str, int]:
        """Return the oldest offset from outside that a key's durable state is not past."""
        last = self.last.get(key, self.floors.get(key))
        if last is None:
            return {}
        if key in self.sent:
            # Commands alone enter among what stages make, and each stands where it acts.
            return {self.topic: command_offset(machine.time + 1)}
        # The last one again, in case only a part of it was fed: a repeat does no harm.
        return {self.topic: min(machine.needs().get(self.topic, last), last)}


class _Reader:
    """One stage: its machines by key, and a topic each that it reads."""

    __slots__ = ("inlets", "machines", "stage")

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.machines: dict[str, Machine] = {}
        self.inlets = {topic: _Inlet(topic, self.machines, self.open) for topic in stage.inputs}

    def open(self, key: str) -> Machine:
        machine = self.machines[key] = self.stage.machine(key, None)
        return machine

    def load(self, state: KeyState) -> None:
        self.machines[state.key] = self.stage.machine(state.key, state.body)
        for topic, offset in state.needs.items():
            self.inlets[topic].floors[state.key] = offset

    def states(self) -> Iterator[KeyState]:
        """Yield every key's durable state; it needs only what entered from outside."""
        for key, machine in self.machines.items():
            needs: dict[str, int] = {}
            for inlet in self.inlets.values():
                needs |= inlet.needs(key, machine)
            yield KeyState(self.stage.name, key, machine.time, machine.durable(), needs)

    def pending(self) -> Iterator[Output]:
        """Yield what its keys have received and do not have in their durable states."""
        for key in self.machines:
            for inlet in self.inlets.values():
                yield from inlet.pending(key)


class Engine:
    """A pipeline that is pushed, in memory that does not grow with what it has taken."""

    def __init__(self, stages: Sequence[Stage], collect: Collect, start: Cut | None = None) -> None:
        """Start new, or from a cut.

        Args:
            stages: The pipeline, in flow order.
            collect: Is handed every record that a stage makes, once, in the order of making.
            start: States to start from. Records that were on their way then are delivered
                first, and not collected: their senders' states are past them.

        Raises:
            HoleError: The cut lacks a record that was on its way.
        """
        self._collect = collect
        self._readers = {stage.name: _Reader(stage) for stage in stages}
        readers = self._readers.values()
        self._inlets = {
            topic: tuple(reader.inlets[topic] for reader in readers if topic in reader.inlets)
            for stage in stages
            for topic in (*stage.inputs, *stage.outputs)
        }
        self._made = 0
        if start is not None:
            self._restore(start)

    def feed(self, topic: str, key: str, message: Message, offset: int) -> None:
        """Take a record that entered from outside, and all that follows from it.

        Args:
            topic: Where it stood.
            key: Its key.
            message: The record.
            offset: Rises with every record of a key on a topic; of a command: `command_offset`.
        """
        inbound = Inbound(message, topic, 0, offset)
        for inlet in self._inlets[topic]:
            if inlet.floors and offset < inlet.floors.get(key, 0):
                continue  # the key's state is past it
            inlet.last[key] = offset
            outputs = (inlet.machines.get(key) or inlet.open(key)).take(inbound)
            if outputs:
                self._settle(outputs)

    def cut(self) -> Cut:
        """Return where the pipeline stands, for another engine to go on from.

        Feed that one the same records again, from the oldest that any of the states needs.
        """
        readers = self._readers.values()
        states = tuple(state for reader in readers for state in reader.states())
        numbers = {(state.stage, state.key): sent(state) for state in states}
        pending = (output for reader in readers for output in reader.pending())
        return Cut(states, tuple(output for output in pending if _was_sent(output, numbers)))

    def machine(self, stage: str, key: str) -> Machine | None:
        """Return a key's machine; none where the key has had no record."""
        return self._readers[stage].machines.get(key)

    def waiting(self) -> dict[str, str]:
        """Return what each machine waits for, by stage and key, where it waits."""
        return {
            f"{name}/{key}": machine.waiting()
            for name, reader in self._readers.items()
            for key, machine in reader.machines.items()
            if machine.waiting()
        }

    def _restore(self, start: Cut) -> None:
        for state in start.states:
            self._readers[state.stage].load(state)
        # All of these before anything they lead to: what a sender makes anew follows on them.
        outputs = [made for output in start.in_flight for made in self._deliver(output)]
        self._settle(outputs)

    def _settle(self, outputs: Iterable[Output]) -> None:
        queue = deque(outputs)
        while queue:
            output = queue.popleft()
            self._collect(output)
            queue.extend(self._deliver(output))

    def _deliver(self, output: Output) -> list[Output]:
        inlets = self._inlets[output.topic]
        if not inlets:
            return []
        self._made += 1
        message = output.message
        record = message.record
        offset = self._made
        if type(record) is Signal:
            offset = (2 * record.time + 1) * _SLOT + self._made % _SLOT
        inbound = Inbound(message, output.topic, 0, offset)
        outputs: list[Output] = []
        for inlet in inlets:
            outputs += inlet.receive(output, inbound)
        return outputs


def _was_sent(output: Output, numbers: dict[tuple[str, str], dict[str, int]]) -> bool:
    """Return whether its sender's state is past it: what it is not past, it makes again."""
    identity = output.message.identity
    if identity is None:
        return False
    sender = numbers.get((identity.stage, identity.source), {})
    return identity.number <= sender.get(identity.destination, 0)
