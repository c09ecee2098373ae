"""A run's snapshots enter; where each stage's keys are stepped from leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.events import Snapshot
from app.core.flow import VERSION, Stage
from app.replay.cut import KeyState, sent
from app.replay.sources.snapshots import TOPIC
from app.replay.sources.topics import Recording, keys_of
from app.runtime.codec import decode, decode_state
from app.runtime.ports import Place

Bounds = Mapping[Place, tuple[int, int]]


@dataclass(slots=True)
class Starts:
    """Where one stage is stepped from.

    Attributes:
        states: Of each key that is stepped from a snapshot.
        bounds: Of each input partition, where to read from and to.
    """

    states: dict[str, KeyState] = field(default_factory=dict)
    bounds: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def sent(self) -> dict[str, Mapping[str, int]]:
        """Return what each key had sent to each destination."""
        return {key: sent(state) for key, state in self.states.items()}


async def starts(recording: Recording, stage: Stage, bounds: Bounds, time: int | None) -> Starts:
    """Return where a stage is stepped from.

    That is a key's beginning; with a time its newest snapshot up to then; and where retention took
    the beginning of an input, its oldest one that needs no more than there is.

    Args:
        recording: The run.
        stage: The stage.
        bounds: Of each of its input partitions.
        time: Milliseconds since the epoch UTC; none for the beginning.
    """
    if time is None and not any(first for first, _ in bounds.values()):
        return Starts({}, dict(bounds))
    chosen = await _chosen(recording, stage, bounds, time)
    states = {key: _state(stage, snapshot) for key, snapshot in chosen.items()}
    return Starts(states, await _begins(recording, stage, bounds, states))


async def _chosen(
    recording: Recording, stage: Stage, bounds: Bounds, time: int | None
) -> dict[str, Snapshot]:
    count = await recording.partitions(stage.inputs[0])
    newest: dict[str, Snapshot] = {}
    oldest: dict[str, Snapshot] = {}
    for number in range(await recording.partitions(TOPIC)):
        place = Place(TOPIC, number)
        async for chunk in recording.chunks(place, *await recording.bounds(place)):
            for stored in chunk:
                found = decode(stored.value).record
                if not isinstance(found, Snapshot) or found.stage != stage.name:
                    continue
                home = recording.partition_for(found.key.encode(), count)
                firsts = {topic: bounds[Place(topic, home)][0] for topic in stage.inputs}
                if found.version != VERSION or not _reaches(found, firsts):
                    continue
                if time is not None and found.time <= time:
                    newest[found.key] = _best(newest.get(found.key), found, later=True)
                elif any(firsts.values()):
                    oldest[found.key] = _best(oldest.get(found.key), found, later=False)
    return oldest | newest


def _reaches(snapshot: Snapshot, firsts: Mapping[str, int]) -> bool:
    """Tell whether all that a snapshot needs is there."""
    return all(snapshot.needs.get(topic, 0) >= first for topic, first in firsts.items())


def _best(before: Snapshot | None, found: Snapshot, *, later: bool) -> Snapshot:
    if before is None or (found.time > before.time) is later:
        return found
    return before


def _state(stage: Stage, snapshot: Snapshot) -> KeyState:
    body: object = decode_state(stage.state, snapshot.body)
    return KeyState(stage.name, snapshot.key, snapshot.time, body, snapshot.needs)


async def _begins(
    recording: Recording, stage: Stage, bounds: Bounds, states: Mapping[str, KeyState]
) -> dict[Place, tuple[int, int]]:
    """Return from where to read: what every key needs, or all where one has no snapshot."""
    begins = dict(bounds)
    count = await recording.partitions(stage.inputs[0])
    homes = {key: recording.partition_for(key.encode(), count) for key in states}
    for number in range(count):
        keys = await keys_of(recording, Place(f"state-{stage.name}", number))
        if not keys or any(key not in states for key in keys):
            continue
        needs = [state.needs for key, state in states.items() if homes[key] == number]
        for topic in stage.inputs:
            place = Place(topic, number)
            first, end = bounds[place]
            begins[place] = max(first, min(need.get(topic, 0) for need in needs)), end
    return begins
