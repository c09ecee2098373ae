"""A recorded run and a moment enter; all there was at that moment leaves, to go on from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.core.allocation import AllocationState
from app.core.candles import CandleState
from app.core.events import Candle, Epoch, History, Output
from app.errors import ConfigurationError
from app.forks.whatif_source import Recorded
from app.pipeline import STAGES
from app.replay.cut import Cut
from app.replay.play import Span, Watch, play
from app.replay.sources.entering import Chunks
from app.times import format_time

CANDLES = 512
"""Candles of an instrument that are kept on the way to a moment, if no more are wanted."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a strategy can be warmed up on.

    Attributes:
        histories: What joins recorded of the time before the run.
        candles: The candles that decisions used, oldest first, up to the moment.
    """

    histories: tuple[History, ...]
    candles: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A run as it stood when all that entered before a moment had had its effect.

    Attributes:
        time: That moment, milliseconds since the epoch UTC.
        cut: Every stage's states, and what was on its way between them.
        rules: The configuration in force, by account and then instrument.
        past: By instrument.
        began: The time of the snapshots it was rolled forward from; none: the beginning.
    """

    time: int
    cut: Cut
    rules: Mapping[str, Mapping[str, Epoch]]
    past: Mapping[str, Past]
    began: int | None

    @property
    def interval(self) -> int:
        """The base interval, milliseconds."""
        return next(epoch.interval for each in self.rules.values() for epoch in each.values())

    @property
    def decision(self) -> int:
        """The first decision time at or after the moment."""
        return -(-self.time // self.interval) * self.interval

    def candles(self, instrument: str) -> CandleState | None:
        """Return how far an instrument's candles had come; none where it had not begun."""
        for state in self.cut.states:
            if state.key == instrument and isinstance(state.body, CandleState):
                return state.body
        return None


@dataclass(slots=True)
class _Seen:
    """Takes what passes by while a run is rolled forward."""

    most: int
    histories: dict[str, list[History]] = field(default_factory=dict)
    candles: dict[str, deque[Candle]] = field(default_factory=dict)

    async def reading(self, chunks: Chunks) -> Chunks:
        async for chunk in chunks:
            for one in chunk:
                record = one.message.record
                if isinstance(record, History):
                    self.histories.setdefault(record.instrument, []).append(record)
            yield chunk

    def take(self, output: Output) -> None:
        record = output.message.record
        if isinstance(record, Candle) and record.revision == 0:
            kept = self.candles.setdefault(record.instrument, deque(maxlen=self.most))
            kept.append(record)

    def past(self) -> dict[str, Past]:
        names = dict.fromkeys([*self.histories, *self.candles])
        return {
            name: Past(tuple(self.histories.get(name, ())), tuple(self.candles.get(name, ())))
            for name in names
        }


async def restore(recorded: Recorded, time: int, watch: Watch | None = None) -> Point:
    """Return a run as it stood at a moment, rolled forward from the newest snapshots before it.

    Args:
        recorded: The run.
        time: The moment, milliseconds since the epoch UTC.
        watch: Is told how far it has come.

    Raises:
        LockstepError: The run can't be read from so far back.
        ConfigurationError: No account had decided anything by then.
    """
    return await _roll(recorded, await recorded.nearest(time), time, CANDLES, watch)


async def with_past(
    recorded: Recorded, point: Point, candles: int, watch: Watch | None = None
) -> Point:
    """Return a point with so many candles before it, where there are so many.

    Where too few were made on the way to it, it is rolled forward again, from older snapshots.
    """
    fewest = min((len(each.candles) for each in point.past.values()), default=0)
    if fewest >= candles or (point.began is None and fewest < CANDLES):
        return point
    since = point.time - (candles + 1) * point.interval
    start = await recorded.nearest(since)
    return await _roll(recorded, start, point.time, max(candles, CANDLES), watch)


async def _roll(
    recorded: Recorded, start: Cut | None, time: int, candles: int, watch: Watch | None
) -> Point:
    seen = _Seen(candles)
    source = seen.reading(recorded.entering(start, (time,)))
    engine = await play(STAGES, source, seen.take, start=start, span=Span(None, time), watch=watch)
    cut = engine.cut()
    rules = _rules(cut)
    if not rules:
        raise ConfigurationError(
            f"nothing had been decided by {format_time(time)}: name a later time, or run the whole "
            f"again with `lockstep backtest --topics --set KEY=VALUE`."
        )
    began = max((state.time for state in start.states), default=None) if start else None
    return Point(time, cut, rules, seen.past(), began)


def _rules(cut: Cut) -> dict[str, Mapping[str, Epoch]]:
    bodies: Iterable[tuple[str, object]] = ((state.key, state.body) for state in cut.states)
    return {
        key: body.epochs
        for key, body in bodies
        if isinstance(body, AllocationState) and body.time and body.epochs
    }
