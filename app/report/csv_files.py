"""Messages of a run enter one by one; CSV files leave, one record a row, the same bytes each time.

Columns never move: new ones are added at the end. Decimals are plain, times stand twice, as
milliseconds since the epoch UTC and as RFC 3339; what has no value is empty; lists and dictionaries
are JSON. Rows stand in the order in which the messages were given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.core.decimals import plain
from app.core.events import (
    Candle,
    Fill,
    Holding,
    Mark,
    Message,
    Order,
    Orders,
    Portfolio,
    Signal,
)
from app.core.metrics import AccountSummary, Trip
from app.times import format_time

Row = list[Any]
Rows = Callable[[Any], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file.

    Attributes:
        name: Of the file.
        columns: After `id` and `origin`.
        rows: Makes the cells of a record's rows, without those two.
    """

    name: str
    columns: tuple[str, ...]
    rows: Rows


def _times(milliseconds: int | None) -> Row:
    return [None, None] if milliseconds is None else [milliseconds, format_time(milliseconds)]


def _candle(record: Candle) -> Iterator[Row]:
    yield [
        record.instrument, record.interval, *_times(record.time), record.revision,
        record.open, record.high, record.low, record.close, record.volume, record.quote_volume,
        record.taker_buy_volume, record.trades, record.first_id, record.last_id,
        record.complete, record.age,
    ]  # fmt: skip


def _signal(record: Signal) -> Iterator[Row]:
    yield [
        record.account, record.instrument, record.strategy, *_times(record.time), record.epoch,
        record.view, record.reason, record.price, record.complete, record.age,
        dict(sorted(record.indicators.items())),
    ]  # fmt: skip


def _orders(record: Orders) -> Iterator[Row]:
    for each in record.orders:
        yield [
            record.account, record.instrument, *_times(record.time), record.epoch,
            *_order(each),
        ]  # fmt: skip


def _order(order: Order) -> Row:
    return [
        order.order_id, order.strategy, order.side, order.kind, order.quantity,
        order.limit_price, order.stop_price, order.signal,
    ]  # fmt: skip


def _fill(record: Fill) -> Iterator[Row]:
    yield [
        record.account, record.instrument, *_times(record.time), *_times(record.decision_time),
        record.order_id, record.part, record.strategy, record.side, record.price, record.quantity,
        record.fee, record.liquidity, record.trade_id,
    ]  # fmt: skip


def _portfolio(record: Portfolio) -> Iterator[Row]:
    yield [
        record.account, *_times(record.time), record.epoch, record.cash, record.equity,
        [_holding(each) for each in record.holdings], [_mark(each) for each in record.marks],
    ]  # fmt: skip


def _holding(holding: Holding) -> dict[str, str]:
    return {
        "strategy": holding.strategy,
        "instrument": holding.instrument,
        "quantity": plain(holding.quantity),
        "cost": plain(holding.cost),
        "realised": plain(holding.realised),
        "fees": plain(holding.fees),
    }


def _mark(mark: Mark) -> dict[str, str | None]:
    return {
        "instrument": mark.instrument,
        "price": None if mark.price is None else plain(mark.price),
    }


SHEETS: dict[type, Sheet] = {
    Candle: Sheet(
        "candles.csv",
        ("instrument", "interval_ms", "time_ms", "time", "revision", "open", "high", "low", "close",
         "volume", "quote_volume", "taker_buy_volume", "trades", "first_id", "last_id", "complete",
         "age_ms"),
        _candle,
    ),
    Signal: Sheet(
        "signals.csv",
        ("account", "instrument", "strategy", "time_ms", "time", "epoch", "view", "reason", "price",
         "complete", "age_ms", "indicators"),
        _signal,
    ),
    Orders: Sheet(
        "orders.csv",
        ("account", "instrument", "time_ms", "time", "epoch", "order_id", "strategy", "side",
         "kind", "quantity", "limit_price", "stop_price", "signal"),
        _orders,
    ),
    Fill: Sheet(
        "fills.csv",
        ("account", "instrument", "time_ms", "time", "decision_time_ms", "decision_time",
         "order_id", "part", "strategy", "side", "price", "quantity", "fee", "liquidity",
         "trade_id"),
        _fill,
    ),
    Portfolio: Sheet(
        "portfolio.csv",
        ("account", "time_ms", "time", "epoch", "cash", "equity", "holdings", "marks"),
        _portfolio,
    ),
}  # fmt: skip
"""The files by the type of record that they hold."""

FILES = tuple(sheet.name for sheet in SHEETS.values())
TRIPS = "trips.csv"
TRIP_COLUMNS = (
    *("account", "strategy", "instrument", "direction", "entry_time_ms", "entry_time"),
    *("exit_time_ms", "exit_time", "quantity", "entry_price", "exit_price", "fees", "profit"),
    *("worst", "best", "fills", "carried"),
)


class CsvFiles:
    """The CSV files of a run in one folder, written as messages come.

    Use it as a context manager: the files are made when it is entered, with their header, also
    where no record will come.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._writers: dict[type, tuple[Sheet, Any]] = {}

    def __enter__(self) -> Self:
        for record, sheet in SHEETS.items():
            writer = _open(self._stack, self._folder / sheet.name)
            writer.writerow(("id", "origin", *sheet.columns))
            self._writers[record] = (sheet, writer)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def write(self, message: Message) -> None:
        """Write a message to the file of its type; one without a file is passed over."""
        found = self._writers.get(type(message.record))
        if found is not None:
            sheet, writer = found
            head = [message.name, message.origin]
            writer.writerows(_written([*head, *cells]) for cells in sheet.rows(message.record))


def write_trips(folder: Path, accounts: Iterable[AccountSummary]) -> None:
    """Write every round trip, closed ones first, to `trips.csv`."""
    with ExitStack() as stack:
        writer = _open(stack, folder / TRIPS)
        writer.writerow(TRIP_COLUMNS)
        for account in accounts:
            for trip in (*account.trips, *account.open_trips):
                writer.writerow(_written([account.name, *_trip(trip)]))


def _trip(trip: Trip) -> Row:
    return [
        trip.strategy, trip.instrument, trip.direction, *_times(trip.entry_time),
        *_times(trip.exit_time), trip.quantity, trip.entry_price, trip.exit_price, trip.fees,
        trip.profit, trip.worst, trip.best, trip.fills, trip.carried,
    ]  # fmt: skip


def _open(stack: ExitStack, path: Path) -> Any:
    file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    return csv.writer(file, lineterminator="\n")


def _written(row: Row) -> list[str]:
    return [_cell(value) for value in row]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)
