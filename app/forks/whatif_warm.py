"""A cut with a new configuration in it enters; the same with its strategies' states set leaves.

A strategy whose parameters stay goes on from the very state it had. One whose parameters change, or
that is new, can't: an average of 12 bars is none of 8. It begins anew and is fed as many of the
candles before the moment as it declares to want, so nothing else decides what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.core.events import Candle, Epoch, History
from app.core.strategies.follower import Follower, FollowerState, begin
from app.core.strategies.machine import StrategyState
from app.forks.whatif_change import Change, wanted
from app.forks.whatif_point import Past, Point
from app.replay.cut import Cut, KeyState

_NOTHING = Past((), ())
_COLUMNS = ("open", "high", "low", "close", "volume")


def settled(cut: Cut, changes: Sequence[Change], point: Point) -> Cut:
    """Return the cut in which every strategy of the changed accounts has the state it begins with.

    Args:
        cut: In it the new configurations have been read.
        changes: What has been changed.
        point: Where; its past is what a strategy can be warmed up on.
    """
    states = tuple(_settled(state, changes, point) for state in cut.states)
    return Cut(states, cut.in_flight)


def warmed(name: str, epoch: Epoch, past: Past, decision: int) -> Follower:
    """Return a strategy that has been fed what it wants of the past, and has not joined yet.

    That is what closed in the base intervals that it declares to want before its first decision
    time; one of them that has not closed yet it takes when it does.
    """
    follower = begin(name, epoch)
    start = decision - follower.strategy.history(follower.parameters) * epoch.interval
    older, candles = _window(past, start)
    if older is not None:
        follower = follower.warm(older)
    elif candles:
        follower = replace(follower, time=candles[0].time - epoch.interval)
    for candle in candles:
        follower = follower.follow(candle)
    return follower


def _settled(state: KeyState, changes: Sequence[Change], point: Point) -> KeyState:
    body = state.body
    if not isinstance(body, StrategyState):
        return state
    accounts = dict(body.accounts)
    for change in changes:
        every = accounts.get(change.account.name, ())
        if any(one.epoch == change.number for one in every):
            accounts[change.account.name] = tuple(_begun(state, every, change, point))
    return replace(state, body=replace(body, accounts=accounts))


def _begun(
    state: KeyState, every: tuple[FollowerState, ...], change: Change, point: Point
) -> Iterator[FollowerState]:
    *before, new = every
    yield from before
    if state.stage in change.kept and before:
        yield _continued(before[-1], new)
    elif state.stage in change.anew:
        epoch = next(each for each in change.records[state.key] if isinstance(each, Epoch))
        past = point.past.get(state.key, _NOTHING)
        durable = warmed(state.stage, epoch, past, point.decision).durable()
        yield replace(durable, join=new.join, leave=new.leave)
    else:
        yield new


def _continued(before: FollowerState, new: FollowerState) -> FollowerState:
    return replace(before, epoch=new.epoch, parameters=new.parameters, join=new.join,
                   leave=new.leave)  # fmt: skip


def _window(past: Past, start: int) -> tuple[History | None, tuple[Candle, ...]]:
    """Return what of the past ends at a time or later: history up to the first candle, candles."""
    candles = tuple(each for each in past.candles if each.time >= start)
    end = past.candles[0].time if past.candles else None
    rows = {
        row[0]: row
        for history in past.histories
        for row in zip(history.time, *(getattr(history, name) for name in _COLUMNS), strict=True)
        if start <= row[0] and (end is None or row[0] < end)
    }
    if not rows:
        return None, candles
    time, *columns = zip(*(rows[each] for each in sorted(rows)), strict=True)
    first = past.histories[0]
    return History(first.instrument, first.interval, time, *columns), candles


def known(point: Point, change: Change, strategy: str) -> tuple[int, int]:
    """Return how many base intervals a strategy begun anew has seen, and how many it wants.

    Of several instruments that with the fewest counts; one that closes only later counts as seen.
    """
    count = wanted(change.account, (strategy,))
    start = point.decision - count * point.interval
    seen = [count]
    for name in change.records:
        older, candles = _window(point.past.get(name, _NOTHING), start)
        first = older.time[0] if older else candles[0].time if candles else point.decision
        seen.append((point.decision - first) // point.interval)
    return min(seen), count
