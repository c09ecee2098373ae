"""Records of trades enter the pipeline in memory; how many a second are measured leaves.

From decoded records to candles, signals, orders, fills, books and the figures of the run: what
`lockstep backtest` does between reading its files and writing its report.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.core.metrics import RunRecords, measure
from app.pipeline import STAGES
from app.replay.engine import Engine
from app.runtime.codec import decode
from bench.market import Market, Packed, trades_of


def rates(market: Market, records: Sequence[Packed]) -> dict[str, float]:
    """Return trades a second from decoded records, and with their decoding."""
    begun = time.perf_counter()
    fed = [(each.instrument, decode(each.value)) for each in (*market.steering(), *records)]
    decoded = time.perf_counter()
    taken = RunRecords()
    engine = Engine(STAGES, lambda output: taken.take(output.message.record))
    for offset, (instrument, message) in enumerate(fed):
        engine.feed("trades", instrument, message, offset)
    measure(taken)
    done, count = time.perf_counter(), trades_of(records)
    return {"run": count / (done - decoded), "with decoding": count / (done - begun)}
