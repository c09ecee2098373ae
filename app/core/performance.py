"""How well strategies do: holdings and marks enter, the performance of each strategy leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from app.core.events import Holding, Performance
from app.core.positions import totals


def performances(
    strategies: Iterable[str], holdings: Sequence[Holding], prices: Mapping[str, Decimal]
) -> tuple[Performance, ...]:
    """Return what each strategy has earned since the start, in the order of `strategies`.

    Args:
        strategies: Names of the strategies.
        holdings: The account's holdings; those of other strategies are left out.
        prices: The mark of each instrument, quote currency.
    """
    return tuple(performance(strategy, holdings, prices) for strategy in strategies)


def performance(
    strategy: str, holdings: Sequence[Holding], prices: Mapping[str, Decimal]
) -> Performance:
    """Return what one strategy has earned: profit = realised + unrealised - fees."""
    own = totals((each for each in holdings if each.strategy == strategy), prices)
    return Performance(strategy, own.realised, own.unrealised, own.fees, own.profit)
