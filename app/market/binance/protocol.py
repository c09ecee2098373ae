"""Frames of Binance's streams enter, typed events leave; stream names enter, requests leave.

Nothing here does I/O. Field names and meanings are those of Binance's spot documents:
https://github.com/binance/binance-spot-api-docs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from app.core.events.checks import LARGEST_ID
from app.market.binance import fields
from app.market.binance.aggregates import read_aggregate
from app.market.dumps import Aggregate

NAMES_PER_MESSAGE = 100
BYTES_PER_MESSAGE = 4_000  # the exchange ignores control messages above 4,096 bytes


@dataclass(frozen=True, slots=True)
class AggregateTrade:
    """Fills of one taker order at one price, as the stream told them.

    Attributes:
        symbol: As the exchange writes it, uppercase.
        event_time: When the event was emitted, milliseconds since the epoch UTC.
        aggregate: The trade.
    """

    symbol: str
    event_time: int
    aggregate: Aggregate


@dataclass(frozen=True, slots=True)
class KlineUpdate:
    """A candle so far; what matters here is its time and its last raw trade.

    Attributes:
        symbol: As the exchange writes it, uppercase.
        event_time: When the event was emitted, milliseconds since the epoch UTC.
        last_raw_id: The last raw trade in the candle; -1 for none.
    """

    symbol: str
    event_time: int
    last_raw_id: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A control message was served; `request` is its id as sent."""

    request: int | str | None


@dataclass(frozen=True, slots=True)
class ControlError:
    """A control message was refused.

    Attributes:
        code: The exchange's number for the reason.
        message: The exchange's words.
        request: The id of the message refused, where it was told.
    """

    code: int
    message: str
    request: int | str | None


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The server is about to stop: connect anew at once."""

    event_time: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event of a kind not asked for; `kind` is its `e`, empty where it has none."""

    kind: str


Event = AggregateTrade | KlineUpdate | Reply | ControlError | ServerShutdown | Unknown


def stream_names(symbol: str) -> tuple[str, str]:
    """Return the streams of a symbol: its trades, and a clock that ticks once a second."""
    lower = symbol.lower()
    return f"{lower}@aggTrade", f"{lower}@kline_1s"


def control_messages(
    method: str, names: Iterable[str], first_request: int
) -> Iterator[tuple[int, bytes]]:
    """Yield (request id, message) pairs that together name all streams, each small enough.

    Args:
        method: SUBSCRIBE or UNSUBSCRIBE.
        names: Stream names.
        first_request: The id of the first message; the others count up from it.
    """
    for request, chunk in enumerate(_chunks(names), first_request):
        yield request, orjson.dumps({"method": method, "params": chunk, "id": request})


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for name in names:
        length = len(orjson.dumps(name)) + 1
        if len(chunk) == NAMES_PER_MESSAGE or (chunk and size + length > BYTES_PER_MESSAGE - 100):
            yield chunk
            chunk, size = [], 0
        chunk.append(name)
        size += length
    if chunk:
        yield chunk


def parse_frame(payload: bytes) -> Event:
    """Return the event in one frame of a stream, raw or combined.

    Raises:
        ProtocolError: The bytes were no event.
    """
    return fields.parse(payload, _frame)


def parse_error(payload: bytes) -> ControlError | None:
    """Return the error in the body of a refused request; none where it is not the exchange's."""
    try:
        return fields.parse(payload, lambda message: _error(fields.record(message)))
    except fields.ProtocolError:
        return None


def _frame(message: object) -> Event:
    members = fields.record(message)
    if "stream" in members and "data" in members:
        return _event(fields.record(members["data"]))
    if "error" in members:
        return _error(fields.record(members["error"]), members)
    if "code" in members:
        return _error(members)
    if "result" in members:
        return Reply(_request(members))
    return _event(members)


def _event(members: fields.Fields) -> Event:
    kind = members.get("e")
    if kind == "aggTrade":
        return AggregateTrade(
            fields.text(members, "s"), fields.time(members, "E"), read_aggregate(members)
        )
    if kind == "kline":
        kline = fields.record(members.get("k"))
        last = fields.integer(kline, "L", low=-1)
        return KlineUpdate(fields.text(members, "s"), fields.time(members, "E"), last)
    if kind == "serverShutdown":
        return ServerShutdown(fields.time(members, "E"))
    return Unknown(kind if isinstance(kind, str) else "")


def _error(members: fields.Fields, outer: fields.Fields | None = None) -> ControlError:
    message = members.get("msg", "")
    if not isinstance(message, str):
        raise fields.MalformedError("msg was not a text")
    code = fields.integer(members, "code", low=-LARGEST_ID)
    return ControlError(code, message, _request(outer or members))


def _request(members: fields.Fields) -> int | str | None:
    request = members.get("id")
    if request is not None and type(request) not in (int, str):
        raise fields.MalformedError("id was neither a whole number nor a text")
    return request  # type: ignore[return-value] # checked above
