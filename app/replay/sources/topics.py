"""A run's topics enter, read piece by piece; what entered the run from outside leaves in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from app.core.events import Epoch, Message
from app.errors import LockstepError
from app.replay.cut import Cut
from app.replay.engine import command_offset
from app.replay.sources.entering import Chunks, Entering, merged_chunks, own_time, split
from app.runtime.admission import admit_for
from app.runtime.ports import Place, Stored

TRADES, SIGNALS = "trades", "signals"
_COMMAND = b'{"type":"command"'
_SIGNAL = b'{"type":"signal"'


class Recording(Protocol):
    """The topics of a run, as a replay reads them."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""

    async def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset that is there and the offset the next record will have."""

    def partition_for(self, key: bytes, partitions: int) -> int:
        """Return the partition of a key among `partitions`."""

    def chunks(self, place: Place, start: int, stop: int) -> AsyncIterator[list[Stored]]:
        """Yield what stands from `start` to before `stop`, in pieces of bounded size."""


async def entering(
    recording: Recording, start: Cut | None = None, moments: Sequence[int] = ()
) -> Chunks:
    """Yield all that entered a run from outside, from its beginning or from a cut on.

    Args:
        recording: The run.
        start: Where the engine starts that is fed; what its states are past is left out.
        moments: Records of trades are split at these times, milliseconds since the epoch UTC.

    Raises:
        LockstepError: Retention took what is needed.
    """
    lanes: list[Chunks] = [_listed(await commands(recording, start))]
    for number in range(await recording.partitions(TRADES)):
        place = Place(TRADES, number)
        begins = await _begins(recording, place, _floors(start))
        lanes += [_lane(recording, place, key, begin, moments) for key, begin in begins.items()]
    async for chunk in merged_chunks(lanes):
        yield chunk


async def commands(recording: Recording, start: Cut | None = None) -> list[Entering]:
    """Return the commands that have acted, each at the decision time at which it did, by time.

    A command acts at the first decision time of which some signal stands behind it.
    """
    taken = {
        state.key: state.time
        for state in (start.states if start else ())
        if state.stage == "portfolio"
    }
    found: list[Entering] = []
    for number in range(await recording.partitions(SIGNALS)):
        place = Place(SIGNALS, number)
        readers: dict[str, _Commands] = {}
        async for chunk in recording.chunks(place, *await recording.bounds(place)):
            for stored in chunk:
                key = (stored.key or b"").decode(errors="replace")
                if key not in readers:
                    readers[key] = _Commands(key, taken.get(key, 0))
                readers[key].take(stored)
        for reader in readers.values():
            found += reader.acted()
    return sorted(found, key=lambda one: (one.time, one.offset))


async def keys_of(recording: Recording, place: Place) -> list[str]:
    """Return the keys that a stage has a state of in a partition."""
    keys: dict[str, None] = {}
    async for chunk in recording.chunks(place, *await recording.bounds(place)):
        keys |= dict.fromkeys((stored.key or b"").decode(errors="replace") for stored in chunk)
    return [key for key in keys if not key.startswith("!")]


@dataclass(slots=True)
class _Commands:
    """One account's commands, and the earliest decision time that stands behind each.

    Attributes:
        account: The account.
        time: What acted by then is left out, milliseconds since the epoch UTC.
        last: The last number of each sender of signals: what stands again does not count.
        found: Each command with its decision time, none while no signal stands behind it.
    """

    account: str
    time: int
    last: dict[str, int] = field(default_factory=dict)
    found: list[tuple[Message, int | None]] = field(default_factory=list)

    def take(self, stored: Stored) -> None:
        value = stored.value or b""
        if value.startswith(_SIGNAL):
            self._signal(orjson.loads(value))
            return
        if value.startswith(_COMMAND) or b'"command"' in value[:100]:
            message = admit_for(stored, "portfolio")
            if isinstance(message, Message) and message.identity is None:
                self.found.append((message, None))

    def acted(self) -> list[Entering]:
        return [
            Entering(time, SIGNALS, self.account, message, command_offset(time, number))
            for number, (message, time) in enumerate(self.found)
            if time is not None and time > self.time
        ]

    def _signal(self, document: dict[str, str | int]) -> None:
        *sender, _, number = str(document["id"]).split("/")
        name, time = "/".join(sender), int(document["time"])
        if int(number) <= self.last.get(name, 0):
            return
        self.last[name] = int(number)
        self.found = [
            (message, time if at is None else min(at, time)) for message, at in self.found
        ]


async def _listed(records: list[Entering]) -> Chunks:
    if records:
        yield records


def _floors(start: Cut | None) -> dict[str, int]:
    """Return the oldest offset of `trades` that any state needs, by instrument."""
    needs: dict[str, list[int]] = {}
    for state in start.states if start else ():
        if TRADES in state.needs:
            needs.setdefault(state.key, []).append(state.needs[TRADES])
    # An instrument that some stage has no state of is read from its beginning.
    return {key: min(found) for key, found in needs.items() if len(found) > 1}


async def _begins(recording: Recording, place: Place, floors: Mapping[str, int]) -> dict[str, int]:
    """Return every instrument of a partition, and where to read it on from."""
    first, end = await recording.bounds(place)
    states = await keys_of(recording, Place("state-candles", place.partition))
    known = all(key in floors for key in states)
    # One without a state may have joined before the others' states were written.
    begin = min((floors[key] for key in states), default=first) if known else first
    if begin < first:
        raise LockstepError(
            f"the snapshots need {place.topic}/{place.partition} from offset {begin}, but "
            f"retention has left it from {first}: replay from a later time."
        )
    found: dict[str, int] = {}
    async for chunk in recording.chunks(place, begin, end):
        for stored in chunk:
            key = (stored.key or b"").decode(errors="replace")
            if key not in found:
                found[key] = max(stored.offset, floors.get(key, 0))
                if begin > 0 and key not in floors:
                    _check_beginning(stored, key)
    return found


async def _lane(
    recording: Recording, place: Place, key: str, begin: int, moments: Sequence[int]
) -> Chunks:
    """Yield one instrument's records: each has its own lane, since one may be far behind.

    A run's instruments are imported one after the other, for example.
    """
    time, raw = 0, key.encode()
    async for chunk in recording.chunks(place, begin, (await recording.bounds(place))[1]):
        found: list[Entering] = []
        for stored in chunk:
            message = admit_for(stored, "candles") if stored.key == raw else None
            if isinstance(message, Message):
                reached, time = time, max(time, own_time(message.record))
                entering = Entering(time, place.topic, key, message, stored.offset)
                found += split(entering, moments, reached) if moments else (entering,)
        if found:
            yield found


def _check_beginning(stored: Stored, key: str) -> None:
    message = admit_for(stored, "candles")
    if isinstance(message, Message) and not isinstance(message.record, Epoch):
        raise LockstepError(
            f"what {key} began with is gone: retention has left {stored.topic}/{stored.partition} "
            f"from offset {stored.offset}. Replay with --from after the first snapshot that is "
            f"left (`lockstep topics read snapshots`)."
        )
