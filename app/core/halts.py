"""When an account may trade: commands and equity enter, halted or not leaves, with its records.

Commands act first, in their order, then the limits on loss. A halt is latched: nothing but a
`resume` ends it. A resume takes the equity of that moment as the day's start and as the peak, so
that the loss which halted the account does not halt it again at once; what is lost after it counts
in full. A `flatten` is a halt that closes everything, until resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from app.core.decimals import ZERO, divide, multiply, plain, subtract
from app.core.events import Action, Allocated, Halted, Instruction, Limit, Resumed, RiskLimits

DAY = 86_400_000
"""Milliseconds in a day, UTC."""

DRAWDOWN_QUANTUM = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Watch:
    """What the account is held to over time.

    Attributes:
        halted: Whether it opens nothing.
        flatten: Whether it closes everything, too.
        day: The UTC day, counted from 1970; -1 before the first decision time.
        day_start: Equity at the day's first decision time, or at a later resume; quote currency.
        peak: The highest equity since the start or the last resume, quote currency.
    """

    halted: bool
    flatten: bool
    day: int
    day_start: Decimal
    peak: Decimal


UNWATCHED = Watch(halted=False, flatten=False, day=-1, day_start=ZERO, peak=ZERO)

Notices = list[Halted | Resumed]


def judge(watch: Watch, allocated: Allocated, limits: RiskLimits) -> tuple[Watch, Notices]:
    """Return the watch after a decision time, and what has to be told of it, in order."""
    watch = _at(watch, allocated)
    notices: Notices = []
    for instruction in allocated.instructions:
        watch, notice = _obey(watch, instruction, allocated)
        notices.append(notice)
    breach = None if watch.halted else _breach(watch, allocated.equity, limits)
    if breach is not None:
        watch = replace(watch, halted=True)
        notices.append(_halted(allocated, *breach, flatten=False))
    return watch, notices


def daily_loss(watch: Watch, equity: Decimal) -> Decimal:
    """Return the loss since the day's start, quote currency, at least 0."""
    return max(subtract(watch.day_start, equity), ZERO)


def drawdown(watch: Watch, equity: Decimal) -> Decimal:
    """Return the fall from the peak as a share of it, rounded half-even at 1e-12; 0 without one."""
    if watch.peak <= 0:
        return ZERO
    return divide(subtract(watch.peak, equity), watch.peak, DRAWDOWN_QUANTUM)


def _at(watch: Watch, allocated: Allocated) -> Watch:
    """Return the watch with this decision time's day and peak."""
    day, equity = allocated.time // DAY, allocated.equity
    begun = watch if watch.day == day else replace(watch, day=day, day_start=equity)
    return replace(begun, peak=equity if watch.day < 0 else max(watch.peak, equity))


def _obey(
    watch: Watch, instruction: Instruction, allocated: Allocated
) -> tuple[Watch, Halted | Resumed]:
    if instruction.action is Action.RESUME:
        return _resume(watch, instruction, allocated)
    flatten = watch.flatten or instruction.action is Action.FLATTEN
    reason = f"{instruction.command} told the account to {instruction.action}"
    notice = _halted(allocated, Limit.COMMAND, reason, flatten=flatten)
    return replace(watch, halted=True, flatten=flatten), notice


def _resume(
    watch: Watch, instruction: Instruction, allocated: Allocated
) -> tuple[Watch, Halted | Resumed]:
    reason = f"{instruction.command} told the account to resume"
    if not watch.halted:
        reason = f"{reason}, which was not halted"
    notice = Resumed(allocated.account, allocated.time, allocated.epoch, reason)
    if not watch.halted:
        return watch, notice
    equity = allocated.equity
    return Watch(False, False, watch.day, day_start=equity, peak=equity), notice


def _breach(watch: Watch, equity: Decimal, limits: RiskLimits) -> tuple[Limit, str] | None:
    """Return the limit on loss that has been reached, with its numbers; none is reached by 0."""
    loss = subtract(watch.day_start, equity)
    if loss > 0 and loss >= limits.daily_loss:
        return Limit.DAILY_LOSS, (
            f"{plain(loss)} was lost since the day's start at {plain(watch.day_start)}, "
            f"at or over the daily loss limit, {plain(limits.daily_loss)}"
        )
    fall = subtract(watch.peak, equity)
    if fall > 0 and fall >= multiply(limits.drawdown, watch.peak):
        return Limit.DRAWDOWN, (
            f"equity fell by {plain(fall)} from its peak at {plain(watch.peak)}, "
            f"at or over the drawdown limit, {plain(limits.drawdown)} of it"
        )
    return None


def _halted(allocated: Allocated, limit: Limit, reason: str, *, flatten: bool) -> Halted:
    return Halted(allocated.account, allocated.time, allocated.epoch, limit, reason, flatten)
