"""The stage of one strategy: an instrument's candles enter, each account's signals leave."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.core.events import Candle, Epoch, History, Inbound, Join, Leave, Output, Record, Signal
from app.core.flow import Inbox, Outbox
from app.core.strategies.follower import Follower, FollowerState, begin, restore

SIGNALS = "signals"


@dataclass(frozen=True, slots=True)
class StrategyState:
    """The durable state of one strategy on one instrument.

    Attributes:
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
        seen: The last number taken from each sender.
        sent: The last number sent to each account.
        accounts: By account, what it follows: the configuration that acts, and those after it
            that wait for their join, by rising epoch.
    """

    time: int
    seen: dict[str, int]
    sent: dict[str, int]
    accounts: dict[str, tuple[FollowerState, ...]]


class StrategyMachine:
    """One strategy on one instrument, for every account that lists it.

    A new configuration of an account is warmed beside the one that acts and takes over at its
    join's time. An incomplete candle, or one without a price, makes the view "not ready" at that
    decision time; its close is taken all the same, if there is one. Every input's whole effect is
    in the durable state as soon as it is taken.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
    """

    def __init__(self, name: str, key: str, state: StrategyState | None) -> None:
        self.revision = 0
        self.time = 0 if state is None else state.time
        self._name = name
        self._inbox = Inbox(None if state is None else state.seen)
        self._outbox = Outbox(name, key, None if state is None else state.sent)
        self._accounts: dict[str, tuple[Follower, ...]] = {}
        if state is not None:
            for account, states in state.accounts.items():
                self._accounts[account] = tuple(restore(name, one) for one in states)

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one input; return the signals it causes, or the record passed on.

        Raises:
            HoleError: Records were lost before this one.
            ParameterError: An epoch held parameters that the strategy can't run with.
            TypeError: The record has no place on `candles`.
        """
        if not self._inbox.accept(inbound):
            return []
        outputs = self._act(inbound.record, inbound.message.name)
        self._inbox.absorb(inbound)
        self.revision += 1
        return outputs

    def durable(self) -> StrategyState:
        """Return the durable state."""
        return StrategyState(
            self.time,
            dict(self._inbox.seen),
            dict(self._outbox.sent),
            {
                account: tuple(follower.durable() for follower in followers)
                for account, followers in self._accounts.items()
            },
        )

    def needs(self) -> dict[str, int]:
        """Return the oldest offset still needed by topic: none, after every input."""
        return self._inbox.holds.oldest()

    def waiting(self) -> str:
        """Return what it waits for: never for anything but input."""
        return ""

    def _act(self, record: Record, origin: str) -> list[Output]:
        match record:
            case Candle():
                return self._candle(record, origin) if record.revision == 0 else []
            case History():
                return self._history(record)
            case Epoch():
                return self._epoch(record, origin)
            case Join():
                return self._join(record, origin)
            case Leave():
                return self._leave(record, origin)
        raise TypeError(f"{origin} was a {record.TYPE}, which has no place on `candles`.")

    def _epoch(self, epoch: Epoch, origin: str) -> list[Output]:
        account = epoch.account.name
        follower = begin(self._name, epoch)
        before = self._accounts.get(account, ())
        # One that is left out has to be known only where it ends what acts.
        if before or follower.listed:
            self._accounts[account] = (*before, follower)
        return self._pass_on(account, epoch, origin, listed=follower.listed)

    def _history(self, history: History) -> list[Output]:
        for account, followers in self._accounts.items():
            self._accounts[account] = tuple(follower.warm(history) for follower in followers)
        return []

    def _join(self, join: Join, origin: str) -> list[Output]:
        followers = self._accounts.get(join.account)
        if not followers:
            return []
        self._accounts[join.account] = tuple(
            one.joined(join) if one.epoch == join.epoch else one for one in followers
        )
        listed = any(one.listed for one in followers if one.epoch == join.epoch)
        return self._pass_on(join.account, join, origin, listed=listed)

    def _leave(self, leave: Leave, origin: str) -> list[Output]:
        followers = self._accounts.get(leave.account)
        if not followers:
            return []
        self._accounts[leave.account] = tuple(
            replace(one, leave=leave.time) if one.epoch <= leave.epoch else one for one in followers
        )
        listed = any(one.listed for one in followers if one.epoch <= leave.epoch)
        return self._pass_on(leave.account, leave, origin, listed=listed)

    def _pass_on(self, account: str, record: Record, origin: str, *, listed: bool) -> list[Output]:
        return [self._outbox.send(SIGNALS, account, record, origin)] if listed else []

    def _candle(self, candle: Candle, origin: str) -> list[Output]:
        self.time = candle.time
        self._accounts = {
            account: tuple(follower.follow(candle) for follower in followers)
            for account, every in self._accounts.items()
            if (followers := _current(every, candle.time))
        }
        return [
            self._outbox.send(SIGNALS, account, self._signal(account, first, candle), origin)
            for account, (first, *_) in self._accounts.items()
            if first.acts_from(candle.time)
        ]

    def _signal(self, account: str, follower: Follower, candle: Candle) -> Signal:
        advice = follower.advise(candle)
        return Signal(
            account=account,
            instrument=candle.instrument,
            strategy=self._name,
            time=candle.time,
            epoch=follower.epoch,
            view=advice.view,
            reason=advice.reason,
            indicators=advice.indicators,
            price=candle.close,
            complete=candle.complete,
            age=candle.age,
        )


def _current(followers: tuple[Follower, ...], time: int) -> tuple[Follower, ...]:
    """Return an account's followers without those that are replaced, left or left out by now."""
    acting = [index for index, one in enumerate(followers) if one.acts_from(time)]
    latest = followers[acting[-1] :] if acting else followers
    return tuple(
        one for one in latest if not one.over(time) and (one.listed or not one.acts_from(time))
    )
