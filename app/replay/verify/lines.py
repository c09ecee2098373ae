"""Recorded outputs of a stage enter piece by piece, made ones one by one; what differs leaves.

A *line* is what one sender wrote for one destination: both sides number it from 1 on without
holes. Of what was recorded and not made yet, and of the last few records for repeats, a hash is
held, never the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.events import Identity, Output
from app.replay.recorded import event_time
from app.replay.sources.topics import Recording
from app.replay.verify.suspects import Suspect, Suspects
from app.runtime.codec import DecodeError, decode, encode, identity_of
from app.runtime.ports import Place, Stored

WINDOW = 256
"""Records of a line, back from the last made, whose repeats are known at once."""

EXTRAS = 20
"""Records of a line that nothing makes, of which the place and the bytes are shown."""

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


@dataclass(slots=True)
class Line:
    """What a sender wrote for a destination.

    Attributes:
        start: What was sent by the snapshot that the sender is stepped from; 0 without one.
        made: The last number made.
        first: The first number recorded; none before there is one.
        last: The last number recorded.
        hashes: Of records that stand and were not made yet, or lately, by number.
        holes: Numbers that were jumped over.
        awaited: What was made and did not stand yet, by rising number.
    """

    start: int
    made: int
    last: int
    first: int | None = None
    hashes: dict[int, int] = field(default_factory=dict)
    holes: list[range] = field(default_factory=list)
    awaited: dict[int, Suspect] = field(default_factory=dict)

    def note(self, number: int, value: int) -> bool:
        """Take a recorded number that is not in `hashes`; return whether it is no repeat."""
        if number > self.last:
            if number > self.last + 1:
                self.holes.append(range(self.last + 1, number))
            self.last = number
        elif not any(number in hole for hole in self.holes):
            return False
        self.first = number if self.first is None else self.first
        self.hashes[number] = value
        return True


@dataclass(slots=True)
class Tally:
    """What stands on one topic, each record once.

    Attributes:
        count: How many.
        total: The sum of their hashes.
    """

    count: int = 0
    total: int = 0

    def add(self, value: int) -> None:
        """Count a record by its hash."""
        self.count += 1
        self.total = (self.total + value) % _MODULUS


class Tail:
    """One partition that a stage writes to, read only as far as what was made asks for.

    Attributes:
        first: The first offset that was there.
    """

    def __init__(self, recording: Recording, place: Place, bounds: tuple[int, int]) -> None:
        self.first, self._end = bounds
        self._recording = recording
        self._place = place
        self._chunks = aiter(recording.chunks(place, *bounds))

    def extend(self, end: int) -> None:
        """Go on to a later end, after the last piece up to the one before."""
        self._chunks = aiter(self._recording.chunks(self._place, self._end, end))
        self._end = end

    async def piece(self) -> list[Stored] | None:
        """Return the next records; none at the end."""
        return await anext(self._chunks, None)


class Lines:
    """One stage's outputs: as recorded, and as made again.

    Args:
        name: The stage.
        strays: Topics on which records of other stages than these are compared here, too: no
            stage makes them.
        tallies: By topic.
        suspects: What differs is added there.
        following: Whether what is not written yet is kept, to be compared once it is.

    Attributes:
        sent: By source key, what was sent to each destination before it is stepped.
        repeats, pending, gone: As in a verdict.
    """

    def __init__(
        self,
        name: str,
        *,
        strays: Mapping[str, frozenset[str]],
        tallies: Mapping[str, Tally],
        suspects: Suspects,
        following: bool,
    ) -> None:
        self._name = name
        self._strays = strays
        self._tails: dict[Place, Tail] = {}
        self._tallies = tallies
        self._suspects = suspects
        self._following = following
        self.sent: Mapping[str, Mapping[str, int]] = {}
        self._lines: dict[tuple[str, str, str], Line] = {}
        self.repeats = self.pending = self.gone = 0

    def extend(self, recording: Recording, place: Place, bounds: tuple[int, int]) -> None:
        """Let a partition that the stage writes to be read up to a later end."""
        if place in self._tails:
            self._tails[place].extend(bounds[1])
        else:
            self._tails[place] = Tail(recording, place, bounds)

    async def take(self, output: Output, partition: int) -> bool:
        """Compare what a machine made with what stands in a partition; tell if something does."""
        identity = output.message.identity
        if identity is None:
            return False
        number, raw = identity.number, encode(output.message)
        line = self._line(output.topic, identity)
        tail = self._tails[Place(output.topic, partition)]
        while line.last < number and (piece := await tail.piece()) is not None:
            self._read(piece)
        line.made = max(line.made, number)
        found = line.hashes.get(number)
        line.hashes.pop(number - WINDOW, None)
        if found is None:
            self._absent(output, raw, line, tail)
        elif found != hash_of(raw):
            self._suspects.add(_suspect(output, raw))
        return found is not None

    async def finish(self, is_unproven: Callable[[str], bool]) -> None:
        """Read what is left; what nothing made differs, but for senders that were given up."""
        for tail in self._tails.values():
            while (piece := await tail.piece()) is not None:
                self._read(piece)
        for (topic, sender, destination), line in self._lines.items():
            extra = sorted(number for number in line.hashes if number > line.made)
            if not extra or is_unproven(sender):
                continue
            for number in extra[:EXTRAS]:
                name = f"{sender}/{destination}/{number}"
                self._suspects.add(Suspect(None, topic, name, b""))
            self._suspects.count += len(extra[EXTRAS:])

    def _absent(self, output: Output, raw: bytes, line: Line, tail: Tail) -> None:
        """Tell a record that was lost from one that its stage has yet to write, or that is gone."""
        number = output.message.identity.number if output.message.identity else 0
        if tail.first and (line.first is None or number < line.first):
            self.gone += 1
        elif number > line.last:
            self.pending += 1
            if self._following:
                line.awaited[number] = _suspect(output, raw)
        else:
            self._suspects.add(_suspect(output, raw))

    def _read(self, piece: Sequence[Stored]) -> None:
        for stored in piece:
            identity = identity_of(stored.value)
            if identity is not None and self._is_ours(stored.topic, identity):
                self._note(stored, identity, stored.value or b"")

    def _is_ours(self, topic: str, identity: Identity) -> bool:
        if identity.stage == self._name:
            return True
        return topic in self._strays and identity.stage not in self._strays[topic]

    def _note(self, stored: Stored, identity: Identity, raw: bytes) -> None:
        line, number = self._line(stored.topic, identity), identity.number
        if number <= line.start:
            return
        value = hash_of(raw)
        first = line.hashes.get(number)
        if first is None and line.note(number, value):
            self._tallies[stored.topic].add(value)
            self._settle(line, number, value)
            return
        self.repeats += 1
        if first is None:
            self._suspects.repeat(stored.topic, str(identity), stored)
        elif first != value:
            self._suspects.add(_again(stored, str(identity)))

    def _settle(self, line: Line, number: int, value: int) -> None:
        """Compare what was made before it stood; what a later number stands before is lost."""
        while line.awaited and (due := next(iter(line.awaited))) <= number:
            suspect = line.awaited.pop(due)
            self.pending -= 1
            if due < number or hash_of(suspect.made) != value:
                self._suspects.add(suspect)

    def _line(self, topic: str, identity: Identity) -> Line:
        key = (topic, identity.sender, identity.destination)
        line = self._lines.get(key)
        if line is None:
            sent = self.sent.get(identity.source, {}) if identity.stage == self._name else {}
            start = sent.get(identity.destination, 0)
            line = self._lines[key] = Line(start, start, start)
        return line


def hash_of(raw: bytes) -> int:
    """Return a record's hash, BLAKE2b of 128 bits: the one that a replay sums up."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=_SIZE).digest(), "big")


def _suspect(output: Output, raw: bytes) -> Suspect:
    message = output.message
    return Suspect(event_time(message), output.topic, message.name, raw)


def _again(stored: Stored, name: str) -> Suspect:
    try:
        time = event_time(decode(stored.value))
    except DecodeError:
        time = 0
    return Suspect(time, stored.topic, name, b"", again=stored)
