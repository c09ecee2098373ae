"""One account's run of a strategy on one instrument: base intervals enter, advice leaves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from app.core.events import Candle, Epoch, History, Join, View
from app.core.strategies import STRATEGIES
from app.core.strategies.bars import Partial, of_candle, of_history
from app.core.strategies.base import Advice, Bar, Parameters, Strategy
from app.core.strategies.memory import Rows, pack, unpack

_NO_BAR = Advice(View.NOT_READY, "No bar has been seen yet.")


@dataclass(frozen=True, slots=True)
class FollowerState:
    """A follower as a successor loads it; its fields are a follower's.

    Attributes:
        epoch: The account's configuration.
        interval: The base interval, milliseconds.
        parameters: As configured; none where the configuration leaves the strategy out.
        memory: The strategy's state, packed.
        partial: The bar that is not over yet.
        view, reason, indicators: The advice of the last bar.
        time: End of the last base interval taken, milliseconds since the epoch UTC.
        join: The first decision time it acts at; none before that is known.
        leave: The first decision time it no longer acts at; none while it stays.
    """

    epoch: int
    interval: int
    parameters: dict[str, str] | None
    memory: Rows
    partial: Partial
    view: View
    reason: str
    indicators: dict[str, float]
    time: int
    join: int | None
    leave: int | None


@dataclass(frozen=True, slots=True)
class Follower:
    """A strategy under one configuration of one account, from its epoch until it is replaced.

    Attributes:
        strategy: The strategy.
        epoch: The account's configuration.
        interval: The base interval, milliseconds.
        values: The parameters as configured; none where the strategy is left out.
        parameters: The parameters, typed.
        memory: The strategy's state.
        partial: The bar that is not over yet.
        advice: That of the last bar.
        time: End of the last base interval taken, milliseconds since the epoch UTC.
        join: The first decision time it acts at; none before that is known.
        leave: The first decision time it no longer acts at; none while it stays.
    """

    strategy: Strategy[Any, Any]
    epoch: int
    interval: int
    values: dict[str, str] | None
    parameters: Parameters
    memory: Any
    partial: Partial = field(default=Partial())
    advice: Advice = field(default=_NO_BAR)
    time: int = 0
    join: int | None = None
    leave: int | None = None

    @property
    def listed(self) -> bool:
        """Whether the account's configuration lists the strategy."""
        return self.values is not None

    def acts_from(self, time: int) -> bool:
        """Return whether it has replaced its predecessors at a decision time."""
        return self.join is not None and self.join <= time

    def over(self, time: int) -> bool:
        """Return whether the instrument has left it by a decision time."""
        return self.leave is not None and self.leave <= time

    def joined(self, join: Join) -> Follower:
        """Return it with the first decision time at which it acts.

        Raises:
            ValueError: Its history reached that time: it would have seen what is yet to come.
        """
        if self.time >= join.time:
            raise ValueError(
                f"the history of {join.instrument} before {join.name()} reached {self.time}, but "
                f"must end before the join's time, {join.time}: fetch a shorter one."
            )
        return replace(self, join=join.time)

    def warm(self, history: History) -> Follower:
        """Return it with the past taken, while it has not joined."""
        if self.join is not None or not self.listed:
            return self
        if history.interval != self.interval:
            raise ValueError(
                f"the history of {history.instrument} had intervals of {history.interval} ms, but "
                f"its epoch {self.epoch} was of {self.interval} ms: fetch it again."
            )
        follower = self
        for bar in of_history(history):
            follower = follower._step(bar.time, bar)
        return follower

    def follow(self, candle: Candle) -> Follower:
        """Return it with a candle taken; one that was in the history changes nothing."""
        # Between a history and the join after it candles continue what the history began;
        # before the history they would be a past with a hole.
        if not self.listed or (self.time == 0 and not self.acts_from(candle.time)):
            return self
        return self._step(candle.time, of_candle(candle))

    def advise(self, candle: Candle) -> Advice:
        """Return what to signal at the candle's decision time, the candle taken."""
        if candle.close is None:
            return replace(self.advice, view=View.NOT_READY, reason="No price is known yet.")
        if not candle.complete:
            reason = "The candle is incomplete: some of its trades are missing."
            return replace(self.advice, view=View.NOT_READY, reason=reason)
        return self.advice

    def _step(self, time: int, base: Bar | None) -> Follower:
        if time <= self.time:
            return self
        partial = self.partial if base is None else self.partial.add(base)
        if time % (self.parameters.every * self.interval):
            return replace(self, partial=partial, time=time)
        bar = partial.end(time, self.parameters.every)
        if bar is None:
            return replace(self, partial=Partial(), time=time)
        memory, advice = self._update(bar)
        return replace(self, partial=Partial(), time=time, memory=memory, advice=advice)

    def _update(self, bar: Bar) -> tuple[Any, Advice]:
        memory, advice = self.strategy.update(self.parameters, self.memory, bar)
        if bar.complete:
            return memory, advice
        reason = f"The bar of {self.parameters.every} base intervals is incomplete."
        return memory, replace(advice, view=View.NOT_READY, reason=reason)

    def durable(self) -> FollowerState:
        """Return it as a successor loads it."""
        return FollowerState(
            self.epoch,
            self.interval,
            self.values,
            pack(self.memory),
            self.partial,
            self.advice.view,
            self.advice.reason,
            self.advice.indicators,
            self.time,
            self.join,
            self.leave,
        )


def begin(name: str, epoch: Epoch) -> Follower:
    """Return the follower of an account's new configuration, before any history.

    Raises:
        ParameterError: The strategy can't run with the parameters configured.
    """
    strategy = STRATEGIES[name]
    settings = {setting.name: setting.parameters for setting in epoch.account.strategies}
    values = settings.get(name)
    parameters = strategy.parse(values or {})
    return Follower(strategy, epoch.number, epoch.interval, values, parameters, strategy.state())


def restore(name: str, state: FollowerState) -> Follower:
    """Return the follower whose durable state this was."""
    strategy = STRATEGIES[name]
    return Follower(
        strategy,
        state.epoch,
        state.interval,
        state.parameters,
        strategy.parse(state.parameters or {}),
        unpack(strategy.state, state.memory),
        state.partial,
        Advice(state.view, state.reason, state.indicators),
        state.time,
        state.join,
        state.leave,
    )
