"""A run's snapshots enter; a cut of it leaves, with what was on its way between its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.events import Identity, Message, Output, Record, Snapshot, Trades
from app.core.flow import VERSION, Stage
from app.errors import LockstepError
from app.replay.cut import Cut, KeyState, seen, sent
from app.replay.engine import command_offset
from app.replay.recorded import event_time
from app.replay.sources.entering import own_time
from app.replay.sources.topics import TRADES, Recording
from app.runtime.admission import admit_for
from app.runtime.codec import decode, decode_state, identity_of
from app.runtime.ports import Place

TOPIC = "snapshots"
KEPT = 4
"""How many snapshots of a key, back from the time wanted, are looked at."""

_Key = tuple[str, str]


async def nearest(recording: Recording, stages: Sequence[Stage], time: int) -> Cut | None:
    """Return the newest cut from which everything that is made at `time` or later is made anew.

    None where there is none: then a replay begins at the beginning.

    Args:
        recording: The run.
        stages: The pipeline.
        time: Milliseconds since the epoch UTC.

    Raises:
        LockstepError: The snapshots are of another version of the deciding code.
    """
    found = await _snapshots(recording, stages, time)
    times = sorted({each.time for every in found.values() for each in every}, reverse=True)
    for candidate in times[:KEPT]:
        cut = await _cut(recording, stages, found, candidate)
        if cut is not None and await _is_before(recording, cut, candidate, time):
            return cut
    return None


async def _is_before(recording: Recording, cut: Cut, candidate: int, time: int) -> bool:
    """Tell whether all that the cut is past was made by what entered before a time.

    A stage may be ahead of the others, and a silent instrument's interval is closed by whatever
    comes next, however late.
    """
    if any(event_time(output.message) > candidate for output in cut.in_flight):
        return False
    for state in cut.states:
        if state.stage == "candles" and not await _closed_before(recording, state, time):
            return False
    return True


async def _closed_before(recording: Recording, state: KeyState, time: int) -> bool:
    """Tell whether an instrument's last closed interval was closed by a record before a time."""
    due = state.needs[TRADES]
    key = state.key.encode()
    number = recording.partition_for(key, await recording.partitions(TRADES))
    place = Place(TRADES, number)
    first, end = await recording.bounds(place)
    async for chunk in recording.chunks(place, max(first, due - 1), end):
        for stored in chunk:
            message = admit_for(stored, "candles") if stored.key == key else None
            closing = _closing(message.record, state.time) if isinstance(message, Message) else None
            # The one that closed it is the first that is not in the state, unless it was a clock.
            if closing is not None and (stored.offset >= due or closing == state.time):
                return closing < time
    return False


def _closing(record: Record, end: int) -> int | None:
    """Return the time by which a record closes the interval that ends at `end`, if it does."""
    times = record.time if isinstance(record, Trades) else (own_time(record),)
    return next((time for time in times if time >= end), None)


async def _snapshots(
    recording: Recording, stages: Sequence[Stage], time: int
) -> dict[_Key, list[Snapshot]]:
    """Return the newest snapshots before a time, by stage and key, oldest first."""
    names = {stage.name for stage in stages}
    found: dict[_Key, list[Snapshot]] = {}
    for number in range(await recording.partitions(TOPIC)):
        place = Place(TOPIC, number)
        async for chunk in recording.chunks(place, *await recording.bounds(place)):
            for stored in chunk:
                record = decode(stored.value).record
                if isinstance(record, Snapshot) and record.stage in names and record.time < time:
                    found.setdefault((record.stage, record.key), []).append(record)
        for key, every in found.items():
            found[key] = sorted(every, key=lambda each: each.time)[-KEPT:]
    return found


async def _cut(
    recording: Recording,
    stages: Sequence[Stage],
    found: dict[_Key, list[Snapshot]],
    time: int,
) -> Cut | None:
    """Return the cut of the newest snapshots up to a time; none where the topics lack a record."""
    by_name = {stage.name: stage for stage in stages}
    chosen = [
        each[-1] for every in found.values() if (each := [s for s in every if s.time <= time])
    ]
    states = [state_of(by_name[snapshot.stage], snapshot) for snapshot in chosen]
    needs = {(snapshot.stage, snapshot.key): snapshot.needs for snapshot in chosen}
    in_flight: list[Output] = []
    for (topic, key), ranges in ranges_of(stages, states).items():
        start = min(
            (
                needs[stage.name, key][topic]
                for stage in stages
                if topic in stage.inputs and (stage.name, key) in needs
            ),
            default=None,
        )
        outputs = await _recorded(recording, topic, key, ranges, start)
        if outputs is None:
            return None
        in_flight += outputs
    return Cut(tuple(states), tuple(in_flight))


def state_of(stage: Stage, snapshot: Snapshot) -> KeyState:
    """Return the state that a snapshot holds, needing only what entered from outside.

    Raises:
        LockstepError: It is of another version of the deciding code.
    """
    if snapshot.version != VERSION:
        raise LockstepError(
            f"{snapshot.name()} was written by version {snapshot.version} of the deciding code, "
            f"this is version {VERSION}: replay with the code of that version."
        )
    needs = {TRADES: snapshot.needs[TRADES]} if TRADES in snapshot.needs else {}
    if "signals" in snapshot.needs:
        needs["signals"] = command_offset(snapshot.time + 1)
    body: object = decode_state(stage.state, snapshot.body)
    return KeyState(stage.name, snapshot.key, snapshot.time, body, needs)


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers of one sender that were on their way: after `low`, up to `high`."""

    low: int
    high: int


def ranges_of(
    stages: Sequence[Stage], states: Sequence[KeyState]
) -> dict[tuple[str, str], dict[str, Range]]:
    """Return what was on its way, by topic and key, then by sender."""
    have = {(state.stage, state.key): seen(state.body) for state in states}
    by_name = {stage.name: stage for stage in stages}
    found: dict[tuple[str, str], dict[str, Range]] = {}
    for state in states:
        sender = f"{state.stage}/{state.key}"
        for reader, topic in _links(stages, by_name[state.stage]):
            for key, high in sent(state).items():
                if key == state.key and reader.key != by_name[state.stage].key:
                    continue  # risk's reports to its own account, which no stage reads
                low = have.get((reader.name, key), {}).get(sender, 0)
                if low < high:
                    before = found.setdefault((topic, key), {}).get(sender, Range(low, high))
                    found[topic, key][sender] = Range(min(low, before.low), high)
    return found


def _links(stages: Sequence[Stage], sender: Stage) -> list[tuple[Stage, str]]:
    """Return who reads what a stage writes, with the topic."""
    return [
        (reader, topic) for reader in stages for topic in sender.outputs if topic in reader.inputs
    ]


async def _recorded(
    recording: Recording,
    topic: str,
    key: str,
    ranges: dict[str, Range],
    start: int | None,
) -> list[Output] | None:
    """Return the recorded outputs of the ranges; none where they are not all there.

    Nor where a record from outside stands among them: a command acts by where it stands, and an
    engine is given all that was on its way before anything that enters.
    """
    number = recording.partition_for(key.encode(), await recording.partitions(topic))
    place = Place(topic, number)
    first, end = await recording.bounds(place)
    due = {sender: each.low + 1 for sender, each in ranges.items()}
    found: list[Output] = []
    async for chunk in recording.chunks(place, max(first, start or 0), end):
        for stored in chunk:
            if stored.key != key.encode():
                continue
            identity = identity_of(stored.value)
            if identity is None:
                return None
            if _is_due(identity, due, ranges):
                found.append(Output(topic, key, decode(stored.value)))
            if all(due[sender] > each.high for sender, each in ranges.items()):
                return found
    return None


def _is_due(identity: Identity, due: dict[str, int], ranges: dict[str, Range]) -> bool:
    """Tell whether a record is the next of its sender that is wanted; then the one after is due."""
    if identity.number != due.get(identity.sender):
        return False
    if identity.number > ranges[identity.sender].high:
        return False
    due[identity.sender] += 1
    return True
