"""The meta-strategy's weights: strategies and what they earned enter, their shares leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import (
    ROUNDED,
    ZERO,
    floor_to,
    multiply,
    subtract,
    total,
)
from app.core.events import Weight

SHARE_QUANTUM = Decimal("0.000001")
"""Weights are rounded down to it, so that they never sum to more than 1."""

BASE = Decimal("0.25")
"""The part of the capital that is divided equally whatever was earned: a way back for losers."""

MOST_SAMPLES = 60
"""How finely the lookback is measured: state is written at every decision time, so not in full."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the strategies had earned by a decision time.

    Attributes:
        time: Milliseconds since the epoch UTC.
        profits: Realised plus unrealised less fees by strategy, quote currency.
    """

    time: int
    profits: dict[str, Decimal]


def equal_weights(strategies: Sequence[str]) -> tuple[Weight, ...]:
    """Return the same share for every strategy: 1 / n."""
    share = floor_to(ROUNDED.divide(Decimal(1), Decimal(len(strategies))), SHARE_QUANTUM)
    return tuple(Weight(strategy, share) for strategy in strategies)


def performance_weights(earned: Mapping[str, Decimal]) -> tuple[Weight, ...]:
    """Return shares by what each strategy earned over the lookback, quote currency.

    share = BASE / n + (1 - BASE) * max(earned, 0) / sum of max(earned, 0), rounded down at 1e-6;
    1 / n for every strategy while none has earned anything.
    """
    gains = {strategy: max(profit, ZERO) for strategy, profit in earned.items()}
    whole = total(list(gains.values()))
    if not whole:
        return equal_weights(tuple(earned))
    base = ROUNDED.divide(BASE, Decimal(len(gains)))
    rest = subtract(Decimal(1), BASE)
    return tuple(
        Weight(
            strategy,
            floor_to(ROUNDED.add(base, ROUNDED.divide(multiply(rest, gain), whole)), SHARE_QUANTUM),
        )
        for strategy, gain in gains.items()
    )


def sample(
    samples: tuple[Sample, ...], now: Sample, lookback: int, interval: int
) -> tuple[Sample, ...]:
    """Return the samples of the lookback, with `now` if it is the first or falls on the grid.

    Args:
        samples: Those so far, oldest first.
        now: What has been earned by this decision time.
        lookback: Decision times whose performance is weighed.
        interval: Between decision times, milliseconds.
    """
    step = interval * -(-max(lookback, 1) // MOST_SAMPLES)
    oldest = now.time - lookback * interval
    kept = tuple(each for each in samples if each.time >= oldest)
    return kept if kept and now.time % step else (*kept, now)


def earned(samples: tuple[Sample, ...], now: Sample) -> dict[str, Decimal]:
    """Return what each strategy earned since the oldest sample, or since it was added."""
    before = samples[0].profits
    return {
        strategy: subtract(profit, before.get(strategy, ZERO))
        for strategy, profit in now.profits.items()
    }
