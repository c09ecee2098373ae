"""A log enters; proof that its derived records follow from its inputs leaves, or what differs.

Every stage is stepped again over the inputs that the topics hold, and what it makes is compared
with what they hold, byte for byte. Since each stage's inputs are another's compared outputs or
entered from outside, all stages equal means the whole run equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.events import Inbound, Message, Output
from app.core.flow import HoleError, Machine, Stage
from app.replay.recorded import Kept, Recorded, event_time, inputs, read_topic
from app.runtime.codec import decode, encode
from app.runtime.ports import Log

LONGEST_CHAIN = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not what its inputs make of it.

    Attributes:
        topic: Its topic.
        name: Its identity.
        time: Its event time, milliseconds since the epoch UTC.
        place: Topic, partition and offset as recorded; empty where it is missing.
        field: The first field that differs; empty where the whole record does.
        recorded: What was recorded there.
        replayed: What the replay made.
        chain: The records that led to it, from its origin back to what entered.
    """

    topic: str
    name: str
    time: int
    place: str
    field: str
    recorded: str
    replayed: str
    chain: tuple[str, ...]


@dataclass(slots=True)
class Verdict:
    """What was compared.

    Attributes:
        counts: Records by topic.
        digests: A hash by topic over its records in the order of their names.
        repeats: Records that stood again with the same bytes.
        pending: Records at the end that the stages have not written yet.
        differences: Every difference, earliest first.
    """

    counts: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    repeats: int = 0
    pending: int = 0
    differences: list[Difference] = field(default_factory=list)


async def verify(log: Log, stages: Sequence[Stage]) -> Verdict:
    """Compare every derived record on the log with what its inputs make."""
    topics = list(dict.fromkeys(topic for stage in stages for topic in stage.outputs))
    recorded = {topic: await read_topic(log, topic) for topic in topics}
    comparison = _Comparison(recorded)
    for stage in stages:
        for number in range(await log.partitions(stage.inputs[0])):
            _step(stage, await inputs(log, stage, number), comparison)
    return comparison.verdict()


def _step(stage: Stage, read: Iterator[tuple[str, Inbound]], comparison: _Comparison) -> None:
    machines: dict[str, Machine | None] = {}
    for key, inbound in read:
        if key not in machines:
            machines[key] = stage.machine(key, None)
        machine = machines[key]
        if machine is None:
            continue
        try:
            comparison.take(machine.take(inbound))
        except HoleError:
            # An input is lost, which the turn of the stage that made it names.
            machines[key] = None
            comparison.give_up(f"{stage.name}/{key}")


class _Comparison:
    """What was recorded, and what of it has been made again."""

    def __init__(self, recorded: dict[str, Recorded]) -> None:
        self._recorded = recorded
        self._kept = {
            name: kept for topic in recorded.values() for name, kept in topic.kept.items()
        }
        self._unmade = dict.fromkeys(self._kept)
        self._found: list[Difference] = []
        self._pending = 0
        self._given_up: dict[str, None] = {}

    def give_up(self, sender: str) -> None:
        """Expect nothing more of a stage's key: it lacks an input."""
        self._given_up[sender] = None

    def take(self, outputs: Iterable[Output]) -> None:
        """Compare what a machine made."""
        for output in outputs:
            message = output.message
            kept = self._kept.get(message.name)
            self._unmade.pop(message.name, None)
            if kept is None:
                self._absent(output)
            elif kept.value != encode(message):
                self._found.append(self._difference(output.topic, message, kept, encode(message)))

    def verdict(self) -> Verdict:
        """Return the outcome; what was recorded but never made is a difference, too."""
        for name in self._unmade:
            kept = self._kept[name]
            message = decode(kept.value)
            if message.identity and message.identity.sender not in self._given_up:
                self._found.append(self._difference(kept.place.topic, message, kept, b""))
        for topic, recorded in self._recorded.items():
            for kept in recorded.altered:
                message = decode(kept.value)
                first = self._kept[message.name]
                self._found.append(self._difference(topic, message, kept, first.value))
        return Verdict(
            {topic: len(recorded.kept) for topic, recorded in self._recorded.items()},
            {topic: _digest(recorded) for topic, recorded in self._recorded.items()},
            sum(recorded.repeats for recorded in self._recorded.values()),
            self._pending,
            sorted(self._found, key=lambda found: (found.time, found.topic, found.name)),
        )

    def _absent(self, output: Output) -> None:
        """Tell a record that was lost from one that its stage has yet to write."""
        identity = output.message.identity
        if identity is None:
            return
        last = self._recorded[output.topic].last.get((identity.sender, identity.destination), 0)
        if identity.number > last:
            self._pending += 1
            return
        made = encode(output.message)
        self._found.append(self._difference(output.topic, output.message, None, made))

    def _difference(
        self, topic: str, message: Message, kept: Kept | None, made: bytes
    ) -> Difference:
        name, before, after = _first_field(kept.value if kept else b"", made)
        return Difference(
            topic=topic,
            name=message.name,
            time=event_time(message),
            place=f"{topic}/{kept.place.partition}/{kept.offset}" if kept else "",
            field=name,
            recorded=before,
            replayed=after,
            chain=tuple(self._chain(message)),
        )

    def _chain(self, message: Message) -> list[str]:
        chain: list[str] = []
        origin = message.origin
        while origin is not None and len(chain) < LONGEST_CHAIN:
            chain.append(origin)
            kept = self._kept.get(origin)
            origin = decode(kept.value).origin if kept else None
        return chain


def _first_field(recorded: bytes, replayed: bytes) -> tuple[str, str, str]:
    """Return the first field that differs and both its values; no field where one is missing."""
    if not recorded or not replayed:
        return "", _cut(recorded.decode()), _cut(replayed.decode())
    before, after = orjson.loads(recorded), orjson.loads(replayed)
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


def _digest(recorded: Recorded) -> str:
    digest = hashlib.sha256()
    for name in sorted(recorded.kept):
        digest.update(recorded.kept[name].value + b"\n")
    return digest.hexdigest()[:16]
