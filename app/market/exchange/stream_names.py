"""A stream's name comes in, the symbol, kind and interval it means go out."""

from __future__ import annotations

import re
from typing import NamedTuple

from app.market.exchange.intervals import HOUR, NAMES, Interval

_KLINE = re.compile(r"kline_(?P<interval>\w+)(?P<offset>@\+08:00)?")
_SILENT = re.compile(
    r"blockTrade|bookTicker|depth(\d+)?(@100ms|@1000ms)?|miniTicker|avgPrice|referencePrice"
    r"|ticker(_1h|_4h|_1d)?(@\+08:00)?"
)
_GLOBAL = re.compile(r"!(miniTicker@arr|ticker(_1h|_4h|_1d)@arr|bookTicker)")


class StreamName(NamedTuple):
    """What a well-formed stream name means.

    Attributes:
        symbol: as written; only lowercase is ever delivered. Empty for a stream of all symbols.
        kind: aggTrade, trade or kline; empty for a stream that is accepted and stays silent.
        interval: of a kline stream.
    """

    symbol: str
    kind: str
    interval: Interval | None = None


def parse_stream_name(name: str) -> StreamName | None:
    """Return what a stream name means, None if it is malformed.

    Whether its symbol exists is not asked: the exchange accepts unknown ones in silence.
    """
    if _GLOBAL.fullmatch(name):
        return StreamName("", "")
    symbol, _, kind = name.partition("@")
    if not symbol:
        return None
    if kind in ("aggTrade", "trade"):
        return StreamName(symbol, kind)
    if _SILENT.fullmatch(kind):
        return StreamName(symbol, "")
    match = _KLINE.fullmatch(kind)
    if match is None or match["interval"] not in NAMES:
        return None
    return StreamName(
        symbol, "kline", Interval(match["interval"], 8 * HOUR * bool(match["offset"]))
    )
