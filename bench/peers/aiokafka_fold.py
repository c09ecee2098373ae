"""Records of many trades enter a bare aiokafka consumer and numpy; the trades a second leave.

What is left where nothing is exact, checked, kept or stored: doubles folded into candles.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer

COUNT = int(os.environ["PEER_COUNT"])
MINUTE = 60_000


async def main() -> None:
    """Fold so many trades."""
    consumer = AIOKafkaConsumer(
        os.environ["PEER_RECORDS"],
        bootstrap_servers=os.environ["PEER_BOOTSTRAP"],
        group_id=os.environ["PEER_GROUP"],
        auto_offset_reset="earliest",
    )
    await consumer.start()
    candles: dict[tuple[str, int], list[float]] = {}
    seen, begun = 0, 0.0
    while seen < COUNT:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            begun = begun or time.perf_counter()
            for record in batch:
                seen += fold(candles, orjson.loads(record.value))
    seconds = time.perf_counter() - begun
    sys.stdout.write(json.dumps({"trades": COUNT, "seconds": seconds}) + "\n")
    await consumer.stop()


def fold(candles: dict[tuple[str, int], list[float]], trades: dict[str, object]) -> int:
    """Fold one record; return how many trades it held."""
    if trades["type"] != "trades":
        return 0
    prices = np.array(trades["price"], np.float64)
    sizes = np.array(trades["quantity"], np.float64)
    minutes = np.array(trades["time"], np.int64) // MINUTE
    starts = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
    highs, lows = np.maximum.reduceat(prices, starts), np.minimum.reduceat(prices, starts)
    volumes = np.add.reduceat(sizes, starts)
    ends = [*(starts[1:] - 1), len(prices) - 1]
    for place, start in enumerate(starts):
        key = str(trades["instrument"]), int(minutes[start])
        candle = candles.setdefault(key, [prices[start], highs[place], lows[place], 0.0, 0.0])
        candle[1], candle[2] = max(candle[1], highs[place]), min(candle[2], lows[place])
        candle[3], candle[4] = prices[ends[place]], candle[4] + volumes[place]
    return len(prices)


if __name__ == "__main__":
    asyncio.run(main())
