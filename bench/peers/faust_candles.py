"""One tick a record enters a plain Faust agent; candles leave, and at the end the ticks a second.

An agent over a topic of typed records that sends a candle when the next minute begins. The open
candles stand in a dictionary: a table would be asked to write its change log for every tick.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import faust

COUNT = int(os.environ["PEER_COUNT"])
MINUTE = 60_000


class Tick(faust.Record, serializer="json"):  # type: ignore[call-arg,misc]
    """One trade."""

    instrument: str
    time: int
    price: float
    quantity: float


class Candle(faust.Record, serializer="json"):  # type: ignore[call-arg,misc]
    """One minute of one instrument."""

    instrument: str
    begin: int
    open: float
    high: float
    low: float
    close: float
    volume: float


app = faust.App(
    os.environ["PEER_GROUP"],
    broker="kafka://" + os.environ["PEER_BOOTSTRAP"],
    store="memory://",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
)
ticks = app.topic(os.environ["PEER_TICKS"], value_type=Tick)
candles = app.topic(os.environ["PEER_CANDLES"], value_type=Candle)


@app.agent(ticks)  # type: ignore[untyped-decorator]
async def fold(stream: Any) -> None:
    """Fold ticks into candles."""
    opened: dict[str, Candle] = {}
    seen, begun = 0, 0.0
    async for tick in stream:
        begun = begun or time.perf_counter()
        seen += 1
        begin = tick.time // MINUTE * MINUTE
        candle = opened.get(tick.instrument)
        if candle is None or candle.begin != begin:
            if candle is not None:
                await candles.send(key=tick.instrument, value=candle)
            price = tick.price
            opened[tick.instrument] = Candle(
                tick.instrument, begin, price, price, price, price, tick.quantity
            )
        else:
            candle.high = max(candle.high, tick.price)
            candle.low = min(candle.low, tick.price)
            candle.close = tick.price
            candle.volume += tick.quantity
        if seen == COUNT:
            seconds = time.perf_counter() - begun
            # Faust puts its log where sys.stdout was.
            os.write(1, json.dumps({"trades": COUNT, "seconds": seconds}).encode() + b"\n")
            os._exit(0)


if __name__ == "__main__":
    app.main()
