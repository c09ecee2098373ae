"""What every step keeps by: inputs taken once, outputs counted, the oldest input still needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.events import Identity, Inbound, Message, Output, Record

VERSION = 1
"""Version of the code that decides: raised by any change that could change an output."""


class HoleError(RuntimeError):
    """A record was missing between two of one sender: the log or a state is not what it was."""


class Machine(Protocol):
    """One key's state and its step: pure, synchronous, fed one record at a time.

    A machine holds a durable state, which changes only together with the outputs of a decision
    time (or of a join, an epoch, a leave), and memory, which a successor rebuilds by reading
    again every input from `needs` on.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The decision time of the durable state, milliseconds since the epoch UTC.
    """

    revision: int
    time: int

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one input; return what it causes, in order. Repeats cause nothing."""

    def durable(self) -> object:
        """Return the durable state: a frozen dataclass that JSON can carry."""

    def needs(self) -> dict[str, int]:
        """Return the oldest offset still needed by topic; a topic not named needs none."""

    def waiting(self) -> str:
        """Return what it waits for in a few words; empty when for nothing but input."""


class Patient(Protocol):
    """A machine that may have read far more of one topic than it can use yet."""

    def ahead(self) -> int | None:
        """Return how many records or trades it holds until another topic brings what they wait for.

        None while it needs more of the topic itself.
        """


INSTRUMENT = "instrument"
ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Stage:
    """One pure step of the flow.

    Attributes:
        name: Its one name: of the Faust agent, of the state topic, in identities and tests.
        inputs: Topics it reads; all have as many partitions as there are for its key.
        outputs: Topics it writes.
        key: What its states are keyed by: INSTRUMENT or ACCOUNT.
        machine: Makes one key's machine, from its durable state or new (None).
        state: The type of the durable state.
        patient: The input that may wait while its machines, each of them Patient, are far ahead;
            empty: none.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    key: str
    machine: Callable[[str, Any], Machine]
    state: type
    patient: str = ""


class Holds:
    """The inputs that are in memory only, so that they must be read again after a crash."""

    __slots__ = ("_offsets",)

    def __init__(self) -> None:
        self._offsets: dict[str, dict[int, None]] = {}

    def hold(self, inbound: Inbound) -> None:
        """Keep an input readable: it has been taken but is not in the durable state."""
        self._offsets.setdefault(inbound.topic, {})[inbound.offset] = None

    def release(self, inbound: Inbound) -> None:
        """Let an input go: its whole effect is in the durable state."""
        self._offsets.get(inbound.topic, {}).pop(inbound.offset, None)

    def oldest(self) -> dict[str, int]:
        """Return the oldest offset held, by topic."""
        # Inputs of one topic arrive in offset order, so the first key is the oldest.
        return {topic: next(iter(held)) for topic, held in self._offsets.items() if held}


class Inbox:
    """What one key has taken from each sender: the next number, once, and nothing else.

    Attributes:
        seen: Durable: the last number of each sender whose effect is in the state.
        holds: The inputs taken since.
    """

    __slots__ = ("_received", "holds", "seen")

    def __init__(self, seen: Mapping[str, int] | None = None) -> None:
        self.seen: dict[str, int] = dict(seen or {})
        self._received: dict[str, int] = dict(self.seen)
        self.holds = Holds()

    def accept(self, inbound: Inbound) -> bool:
        """Take the next record of its sender and hold it; False for a repeat.

        Raises:
            HoleError: The record is not the next one.
        """
        identity = _identity(inbound)
        expected = self._received.get(identity.sender, 0) + 1
        if identity.number < expected:
            return False
        if identity.number > expected:
            raise HoleError(
                f"{inbound.topic}/{inbound.partition}/{inbound.offset} held {identity}, but number "
                f"{expected} of that sender was due: records were lost before it. Run "
                f"`lockstep verify` to see where, then replay from the last snapshot."
            )
        self._received[identity.sender] = identity.number
        self.holds.hold(inbound)
        return True

    def absorb(self, inbound: Inbound) -> None:
        """Note that the record's whole effect is in the durable state from now on."""
        self.absorb_all([inbound])

    def absorb_all(self, inbounds: Sequence[Inbound]) -> None:
        """Note it of records of one sender, in its order."""
        if not inbounds:
            return
        last = _identity(inbounds[-1])
        sender = last.sender
        self.seen[sender] = max(last.number, self.seen.get(sender, 0))
        for inbound in inbounds:
            self.holds.release(inbound)


class Outbox:
    """Numbers what one key sends: without holes for each destination.

    Attributes:
        sent: The last number sent to each destination key.
    """

    __slots__ = ("_source", "_stage", "sent")

    def __init__(self, stage: str, source: str, sent: Mapping[str, int] | None = None) -> None:
        self._stage = stage
        self._source = source
        self.sent: dict[str, int] = dict(sent or {})

    def send(self, topic: str, destination: str, record: Record, origin: str) -> Output:
        """Return the record as the next output for a destination, caused by `origin`."""
        number = self.sent.get(destination, 0) + 1
        self.sent[destination] = number
        identity = Identity(self._stage, self._source, destination, number)
        return Output(topic, destination, Message(record, identity, origin))


def _identity(inbound: Inbound) -> Identity:
    if inbound.message.identity is None:
        raise HoleError(
            f"{inbound.topic}/{inbound.partition}/{inbound.offset} held a "
            f"{inbound.record.TYPE} without an identity: a foreign writer is on that topic."
        )
    return inbound.message.identity
