"""Topics enter, the outputs of one machine leave by identity, whatever crashes in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from app.core.events import Inbound, Output
from app.core.flow import Machine
from app.runtime.codec import decode_state, encode, encode_state


class Driver:
    """Feeds a machine as the runtime does: outputs kept, then the state if it changed.

    Topics are interleaved at random; each keeps its own order.
    """

    def __init__(
        self,
        make: Callable[[Any], Machine],
        state: type,
        topics: Mapping[str, Sequence[Inbound]],
        seed: int = 0,
    ) -> None:
        self._make = make
        self._state = state
        self._topics = topics
        self._random = Random(seed)
        self.machine = make(None)
        self._positions = dict.fromkeys(topics, 0)
        self._saved: tuple[str | None, dict[str, int]] = (None, dict(self._positions))
        self.outputs: dict[str, bytes] = {}
        self.order: list[Output] = []

    def step(self) -> bool:
        """Take one input of a topic that has one left; False if there is none."""
        ready = [
            topic for topic, each in self._topics.items() if self._positions[topic] < len(each)
        ]
        if not ready:
            return False
        topic = self._random.choice(ready)
        inbound = self._topics[topic][self._positions[topic]]
        self._positions[topic] += 1
        before = self.machine.revision, encode_state(self.machine.durable())
        for output in self.machine.take(inbound):
            self._keep(output)
        after = self.machine.revision, encode_state(self.machine.durable())
        assert (before[0] == after[0]) <= (before[1] == after[1])
        if before[0] != after[0]:
            self._saved = after[1], self._positions | self.machine.needs()
        return True

    def run(self) -> None:
        while self.step():
            pass

    def crash(self) -> None:
        """Lose memory; go on from the state last written, reading again what it needs."""
        text, needs = self._saved
        self.machine = self._make(None if text is None else decode_state(self._state, text))
        self._positions = dict(needs)

    def _keep(self, output: Output) -> None:
        identity = output.message.identity
        assert identity is not None
        assert identity.destination == output.key
        raw = encode(output.message)
        if str(identity) in self.outputs:
            assert self.outputs[str(identity)] == raw
            return
        sent = sum(each.key == output.key for each in self.order)
        assert identity.number == sent + 1
        self.outputs[str(identity)] = raw
        self.order.append(output)


def survives(
    make: Callable[[Any], Machine], state: type, topics: Mapping[str, Sequence[Inbound]], seed: int
) -> Driver:
    """Crash after every single take, each in a run of its own; return the run without a crash."""
    whole = Driver(make, state, topics, seed)
    whole.run()
    for crash in range(sum(map(len, topics.values())) + 1):
        crashed = Driver(make, state, topics, seed + crash)
        for _ in range(crash):
            crashed.step()
        crashed.crash()
        for _ in range(crash % 3):
            crashed.step()
        crashed.crash()
        crashed.run()
        assert crashed.outputs == whole.outputs
    return whole
