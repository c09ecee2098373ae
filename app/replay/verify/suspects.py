"""Records that differ enter by name; differences with both values and their chains leave."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.events import Identity, Message
from app.core.flow import Stage
from app.replay.recorded import event_time
from app.replay.sources.topics import Recording
from app.replay.verify.verdict import Difference
from app.runtime.codec import DecodeError, decode, identity_of
from app.runtime.ports import Place, Stored

LONGEST_CHAIN = 12
KEPT = 1_000
"""Differences, earliest first, that are looked up and named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A record that differs, before it is looked up.

    Attributes:
        time: Its event time, milliseconds since the epoch UTC; none where only its name is known.
        topic: Its topic.
        name: Its identity.
        made: What the replay made; empty where nothing did.
        again: The repeat that is not like the first; none for others.
    """

    time: int | None
    topic: str
    name: str
    made: bytes
    again: Stored | None = None

    def order(self) -> tuple[int, str, str]:
        """Return by what the earliest are kept; an unknown time may be the earliest."""
        return self.time or 0, self.topic, self.name


@dataclass(slots=True)
class Suspects:
    """What differs.

    Attributes:
        count: How many records differ.
        kept: The earliest of them.
        repeats: Repeats of records that are too far back to know at once whether they are alike.
    """

    count: int = 0
    kept: list[Suspect] = field(default_factory=list)
    repeats: list[Suspect] = field(default_factory=list)

    def add(self, suspect: Suspect) -> None:
        """Take one; of too many the earliest are kept."""
        self.count += 1
        self.kept.append(suspect)
        if len(self.kept) > 2 * KEPT:
            self.kept = heapq.nsmallest(KEPT, self.kept, key=Suspect.order)

    def repeat(self, topic: str, name: str, stored: Stored) -> None:
        """Take a repeat that is to be compared with the first by looking that up."""
        self.repeats.append(Suspect(None, topic, name, b"", again=stored))


class Search:
    """Looks records up on the topics: one more pass over each topic that has any of them."""

    def __init__(self, recording: Recording, stages: Sequence[Stage]) -> None:
        self._recording = recording
        self._topics = {stage.name: stage.outputs for stage in stages}

    async def differences(self, suspects: Suspects) -> list[Difference]:
        """Return the earliest differences in event-time order; the first with its whole chain."""
        found = await self._firsts([*suspects.kept, *suspects.repeats])
        for repeat in suspects.repeats:
            first, again = found.get((repeat.topic, repeat.name)), repeat.again
            if first is not None and again is not None and first.value != again.value:
                suspects.add(repeat)
        suspects.repeats.clear()
        # Of a record and its repeats, it comes first: what is not like it need not be wrong.
        differences = [
            _difference(suspect, found.get((suspect.topic, suspect.name)))
            for suspect in sorted(suspects.kept, key=lambda one: one.again is not None)
        ]
        differences.sort(key=lambda one: (one.time, one.topic, one.name))
        if differences and differences[0].chain:
            chain = await self._chain(differences[0].chain[0])
            differences[0] = _with_chain(differences[0], chain)
        return differences[:KEPT]

    async def _firsts(self, wanted: Iterable[Suspect]) -> dict[tuple[str, str], Stored]:
        """Return the first record of each name."""
        names: dict[str, dict[str, None]] = {}
        for suspect in wanted:
            names.setdefault(suspect.topic, {})[suspect.name] = None
        found: dict[tuple[str, str], Stored] = {}
        for topic, due in names.items():
            for number in range(await self._recording.partitions(topic)):
                for stored in await self._among(Place(topic, number), due):
                    found.setdefault((topic, str(identity_of(stored.value))), stored)
        return found

    async def _among(self, place: Place, names: dict[str, None]) -> list[Stored]:
        found: dict[str, Stored] = {}
        bounds = await self._recording.bounds(place)
        async for chunk in self._recording.chunks(place, *bounds):
            for stored in chunk:
                name = str(identity_of(stored.value))
                if name in names:
                    found.setdefault(name, stored)
        return list(found.values())

    async def _chain(self, origin: str | None) -> tuple[str, ...]:
        chain: list[str] = []
        while origin is not None and len(chain) < LONGEST_CHAIN:
            chain.append(origin)
            origin = await self._origin(origin)
        return tuple(chain)

    async def _origin(self, name: str) -> str | None:
        """Return the origin of a record by its name; none where no stage made it."""
        try:
            stage = Identity.parse(name).stage
        except ValueError:
            return None
        suspects = [Suspect(None, topic, name, b"") for topic in self._topics.get(stage, ())]
        found = await self._firsts(suspects)
        messages = [_decoded(stored.value) for stored in found.values()]
        return next((each.origin for each in messages if each is not None), None)


def _difference(suspect: Suspect, first: Stored | None) -> Difference:
    recorded, made, stands = suspect.made, suspect.made, suspect.again or first
    recorded = (stands.value or b"") if stands else b""
    if suspect.again is not None:
        made = (first.value or b"") if first else b""
    message = _decoded(made) or _decoded(recorded)
    name, before, after = first_field(recorded, made)
    if stands and recorded == made:
        name, before, after = "order", "behind a later number of its sender", "before it"
    origin = message.origin if message else None
    return Difference(
        topic=suspect.topic,
        name=suspect.name,
        time=event_time(message) if message else 0,
        place=f"{stands.topic}/{stands.partition}/{stands.offset}" if stands else "",
        field=name,
        recorded=before,
        replayed=after,
        chain=() if origin is None else (origin,),
    )


def _with_chain(difference: Difference, chain: tuple[str, ...]) -> Difference:
    return Difference(
        difference.topic,
        difference.name,
        difference.time,
        difference.place,
        difference.field,
        difference.recorded,
        difference.replayed,
        chain,
    )


def _decoded(raw: bytes | None) -> Message | None:
    try:
        return decode(raw)
    except DecodeError:
        return None


def first_field(recorded: bytes, replayed: bytes) -> tuple[str, str, str]:
    """Return the first field that differs and both its values; no field where one is missing."""
    before, after = _parsed(recorded), _parsed(replayed)
    if before is None or after is None:
        return "", _cut(recorded.decode(errors="replace")), _cut(replayed.decode())
    path: list[str] = []
    while isinstance(before, dict | list) and type(before) is type(after):
        step = next(
            (key for key in _keys(before, after) if _at(before, key) != _at(after, key)), ""
        )
        if step == "":
            break
        path.append(str(step))
        before, after = _at(before, step), _at(after, step)
    return ".".join(path), _cut(str(before)), _cut(str(after))


def _parsed(raw: bytes) -> Any:
    """Return the document; none where there is none."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _keys(before: Any, after: Any) -> list[Any]:
    if isinstance(before, dict):
        return [*before, *(key for key in after if key not in before)]
    return list(range(max(len(before), len(after))))


def _at(values: Any, key: Any) -> Any:
    if isinstance(values, dict):
        return values.get(key)
    return values[key] if key < len(values) else None


def _cut(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"  # noqa: PLR2004 - what fits a screen
