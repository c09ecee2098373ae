"""Rows of trades or candles enter, the record that holds them by columns leaves; or back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.core.events import History, Trades
from app.market.dumps import Aggregate

if TYPE_CHECKING:  # a feed needs no local exchange
    from app.market.binance.answers import Kline
    from app.market.exchange.klines import Bar


def trades_of(instrument: str, rows: Sequence[Aggregate], age: int) -> Trades:
    """Return the record of trades in the order given.

    Args:
        instrument: The instrument.
        rows: At least one.
        age: Milliseconds from the oldest of them to the newest exchange time seen.
    """
    return Trades(
        instrument=instrument,
        id=tuple(row.id for row in rows),
        first_id=tuple(row.first_id for row in rows),
        last_id=tuple(row.last_id for row in rows),
        time=tuple(row.time for row in rows),
        price=tuple(row.price for row in rows),
        quantity=tuple(row.quantity for row in rows),
        buyer_maker=tuple(row.buyer_maker for row in rows),
        age=age,
    )


def rows_of(record: Trades) -> Iterator[Aggregate]:
    """Yield the trades of a record in its order."""
    columns = (
        record.id,
        record.first_id,
        record.last_id,
        record.time,
        record.price,
        record.quantity,
        record.buyer_maker,
    )
    return (Aggregate(*row) for row in zip(*columns, strict=True))


def history_of(instrument: str, interval: int, bars: Sequence[Kline | Bar]) -> History | None:
    """Return the record of past candles, oldest first; none where there are none.

    Args:
        instrument: The instrument.
        interval: Of the candles, milliseconds.
        bars: In order of time.
    """
    if not bars:
        return None
    return History(
        instrument=instrument,
        interval=interval,
        time=tuple(bar.open_time + interval for bar in bars),
        open=tuple(bar.open for bar in bars),
        high=tuple(bar.high for bar in bars),
        low=tuple(bar.low for bar in bars),
        close=tuple(bar.close for bar in bars),
        volume=tuple(bar.volume for bar in bars),
    )
