"""Instruments that no account trades enter; the account that trades them anyway leaves."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from app.core.strategies import STRATEGIES
from app.market.exchange.listing import split_symbol

NAME = "paper"
_CAPITAL = {"BTC": Decimal(1), "ETH": Decimal(20), "BNB": Decimal(100), "JPY": Decimal(10**6)}
_COMMON_CAPITAL = Decimal(10_000)


def accounts(instruments: Sequence[str]) -> dict[str, Any]:
    """Return one account a quote currency as a configuration file holds it.

    It runs every strategy with its own defaults. Capital is 10,000 of a dollar-like currency, 1
    BTC, 20 ETH, 100 BNB or a million JPY; one order may take a quarter of it, one position half,
    all together the whole; a day may lose 5 %, a drawdown 20 %; it goes long only.

    Raises:
        ConfigurationError: The quote currency of an instrument is not known.
    """
    quotes: dict[str, list[str]] = {}
    for name in instruments:
        _, quote = split_symbol(name.rpartition(":")[2])
        quotes.setdefault(quote, []).append(name)
    single = len(quotes) == 1
    return {
        NAME if single else f"{NAME}-{quote.lower()}": _account(quote, names)
        for quote, names in quotes.items()
    }


def _account(quote: str, instruments: list[str]) -> dict[str, Any]:
    capital = _CAPITAL.get(quote, _COMMON_CAPITAL)
    return {
        "quote": quote,
        "capital": capital,
        "instruments": tuple(instruments),
        "strategies": {name: {} for name in STRATEGIES},
        "risk": {
            "order_notional": capital / 4,
            "position_notional": capital / 2,
            "gross_notional": capital,
            "daily_loss": capital / 20,
            "drawdown": Decimal("0.2"),
        },
    }
