"""Records of trades enter, their rows leave: as tuples, or packed at once as COPY reads them.

Trades are nearly all rows there are. Packed as whole columns a row costs a tenth of what it costs
as a tuple of Python's objects. The format is PostgreSQL's (its manual, COPY, "Binary Format"; a
number's parts are read by numeric_recv in utils/adt/numeric.c).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from app.core.columns import DecimalColumn, Decimals, Integers
from app.core.decimals import EXACT
from app.core.events import Inbound, Trades
from app.storage import market_rows
from app.storage.values import Row

if TYPE_CHECKING:
    from app.core.columns import Units

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
FIELDS = 11
SINCE = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01T00:00:00Z; this is that in ours."""

PLACES = 8
MOST = 10**18
"""What a number of units of 10^-8 must be below, so that it fits 64 bits."""

_DIGIT = 10_000
"""What PostgreSQL's digits count to."""

_DIGITS = 5
"""Of every number: three before the point, two after it. PostgreSQL drops those that are 0."""

_NUMBER = [
    ("size", ">i4"),
    ("digits", ">i2"),
    ("weight", ">i2"),
    ("sign", ">i2"),
    ("scale", ">i2"),
    ("digit", ">i2", (_DIGITS,)),
]


class TradeRows(Sequence[Row]):
    """The rows of some records of trades, in their order."""

    def __init__(self, records: Iterable[Inbound]) -> None:
        self._records = list(records)

    def __len__(self) -> int:
        return sum(len(_trades(each).id) for each in self._records)

    def __iter__(self) -> Iterator[Row]:
        for each in self._records:
            for _, row in market_rows.trades(_trades(each), each):
                yield row

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return tuple(self)[index]

    def packed(self) -> list[bytes] | None:
        """Return what COPY reads, in parts; none where a number does not fit into 18 digits."""
        # By the length of the instrument's name: only that makes rows of different sizes.
        lengths: dict[int, list[Inbound]] = {}
        for each in self._records:
            lengths.setdefault(len(_trades(each).instrument), []).append(each)
        parts = [_pack(length, records) for length, records in lengths.items()]
        found = [part for part in parts if part is not None]
        return [HEADER, *found, TRAILER] if len(found) == len(parts) else None


def _trades(inbound: Inbound) -> Trades:
    record = inbound.record
    if not isinstance(record, Trades):
        raise TypeError(f"a {record.TYPE} was among the trades")
    return record


def _pack(length: int, inbounds: Sequence[Inbound]) -> bytes | None:
    records = [_trades(each) for each in inbounds]
    prices = _units([each.price for each in records])
    sizes = _units([each.quantity for each in records])
    if prices is None or sizes is None:
        return None
    counts = [len(each.id) for each in records]
    rows = np.zeros(sum(counts), _layout(length))
    rows["fields"] = FIELDS
    _put(rows, "time", 1000 * _integers(each.time for each in records) - SINCE)
    _put(rows, "instrument", np.repeat([each.instrument.encode() for each in records], counts))
    _put(rows, "trade_id", _integers(each.id for each in records))
    _put(rows, "first_id", _integers(each.first_id for each in records))
    _put(rows, "last_id", _integers(each.last_id for each in records))
    _put_numbers(rows["price"], prices)
    _put_numbers(rows["quantity"], sizes)
    _put(rows, "buyer_maker", _integers(each.buyer_maker for each in records))
    _put(rows, "age_ms", np.repeat([each.age for each in records], counts))
    _put(rows, "topic_partition", np.repeat([each.partition for each in inbounds], counts))
    _put(rows, "topic_offset", np.repeat([each.offset for each in inbounds], counts))
    return rows.tobytes()


def _layout(name: int) -> np.dtype[Any]:
    """Return one row as COPY reads it, each field behind its size."""
    columns: list[Any] = [
        ("time", ">i8"), ("instrument", f"S{name}"), ("trade_id", ">i8"), ("first_id", ">i8"),
        ("last_id", ">i8"), ("price", _NUMBER), ("quantity", _NUMBER), ("buyer_maker", "u1"),
        ("age_ms", ">i8"), ("topic_partition", ">i4"), ("topic_offset", ">i8"),
    ]  # fmt: skip
    sized = [
        column if column[1] is _NUMBER else (column[0], [("size", ">i4"), ("value", column[1])])
        for column in columns
    ]
    return np.dtype([("fields", ">i2"), *sized])


def _put(rows: NDArray[Any], column: str, values: Any) -> None:
    field = rows[column]
    field["size"] = field.dtype["value"].itemsize
    field["value"] = values


def _put_numbers(field: NDArray[Any], units: Units) -> None:
    field["size"] = field.dtype.itemsize - 4
    field["digits"] = _DIGITS
    field["weight"] = _DIGITS - PLACES // 4 - 1
    scale = np.full(len(units), PLACES)
    for power in range(1, PLACES + 1):
        scale[units % 10**power == 0] = PLACES - power
    field["scale"] = scale
    rest = units
    for place in reversed(range(1, _DIGITS)):
        rest, field["digit"][:, place] = np.divmod(rest, _DIGIT)
    field["digit"][:, 0] = rest


def _integers(columns: Iterable[Sequence[int]]) -> Units:
    found: list[Units] = []
    for whole, group in groupby(columns, lambda column: isinstance(column, Integers)):
        if whole:
            found += [column.units for column in group if isinstance(column, Integers)]
        else:  # short ones cost as little as a long one if joined
            found.append(np.fromiter(chain.from_iterable(group), np.int64))
    return np.concatenate(found)


def _units(columns: Sequence[DecimalColumn]) -> Units | None:
    """Return the columns as one, of units of 10^-8; none where a number does not fit."""
    found: list[Units | None] = []
    for whole, group in groupby(columns, lambda column: isinstance(column, Decimals)):
        several = list(group)
        # Short columns are no arrays, and many of them cost as little as a long one if joined.
        found += map(_scaled, several if whole else [tuple(chain.from_iterable(several))])
    fitting = [units for units in found if units is not None]
    return np.concatenate(fitting) if len(fitting) == len(found) else None


def _scaled(column: DecimalColumn) -> Units | None:
    if isinstance(column, Decimals):
        scaled: Units = column.units * 10 ** (PLACES - column.places)
        return scaled
    parts = [EXACT.scaleb(value, PLACES) for value in column]
    whole = [int(value) for value in parts]
    if max(whole) >= MOST or any(map(Decimal.__ne__, parts, whole)):
        return None
    return np.array(whole, np.int64)
