"""Hypothesis strategies: what happened to one instrument, and the noisy log that tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import strategies as st

from app.core.events import Clock, Gap, Record, Trades
from tests.core import builders
from tests.core.builders import START

INTERVAL = 1_000
FIRST_ID = 7


@dataclass(frozen=True)
class Trade:
    """One trade; recovered: it was in a gap and came after it."""

    id: int
    time: int
    price: Decimal
    quantity: Decimal
    buyer_maker: bool
    recovered: bool = False


Happening = Trade | Clock | Gap


@dataclass
class Stream:
    """What happened in order, as it is being drawn."""

    happenings: list[Happening] = field(default_factory=list)
    next_id: int = FIRST_ID
    time: int = START
    missing: list[Trade] = field(default_factory=list)


@st.composite
def happenings(draw: st.DrawFn, most: int = 40, *, orderly: bool = False) -> list[Happening]:
    """Draw trades, clocks and gaps; orderly: no gap, and no trade older than one before."""
    stream = Stream()
    kinds = ["trade"] * 6 + ["clock"] + ([] if orderly else ["gap", "recovered"])
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(kinds))
        if kind == "trade":
            stream.happenings.append(_next_trade(draw, stream, orderly=orderly))
        elif kind == "clock":
            stream.time += draw(STEPS)
            last_id = stream.next_id - 1
            stream.happenings.append(Clock(builders.INSTRUMENT, stream.time, last_id, 0))
        elif kind == "gap":
            _gap(draw, stream)
        elif stream.missing:
            place = draw(st.integers(0, len(stream.missing) - 1))
            stream.happenings.append(stream.missing.pop(place))
    return stream.happenings


STEPS = st.sampled_from([0, 0, 1, 50, 99, 100, 101, 400, 999, 1_000, 1_001, 3_500])
PRICES = st.integers(1, 10_000).map(lambda units: Decimal(units) / 100)
QUANTITIES = st.integers(1, 50_000).map(lambda units: Decimal(units) / 1_000)


def _trade(draw: st.DrawFn, trade_id: int, time: int, *, recovered: bool = False) -> Trade:
    return Trade(
        trade_id, time, draw(PRICES), draw(QUANTITIES), draw(st.booleans()), recovered=recovered
    )


def _next_trade(draw: st.DrawFn, stream: Stream, *, orderly: bool) -> Trade:
    stream.time += draw(STEPS)
    back = 0 if orderly else draw(st.sampled_from([0] * 8 + [1, 700, 2_000, 70_000]))
    trade = _trade(draw, stream.next_id, stream.time - back)
    stream.next_id += 1
    return trade


def _gap(draw: st.DrawFn, stream: Stream) -> None:
    count, length = draw(st.integers(1, 4)), draw(STEPS)
    for trade_id in range(stream.next_id, stream.next_id + count):
        time = stream.time + draw(st.integers(0, length))
        stream.missing.append(_trade(draw, trade_id, time, recovered=True))
    last = stream.next_id + count - 1
    gap = Gap(builders.INSTRUMENT, stream.next_id, last, stream.time, stream.time + length, "lost")
    stream.happenings.append(gap)
    stream.next_id, stream.time = last + 1, stream.time + length


def record(trades: Sequence[Trade]) -> Trades:
    """Return trades, in id order, as one record."""
    return Trades(
        instrument=builders.INSTRUMENT,
        id=tuple(trade.id for trade in trades),
        first_id=tuple(trade.id for trade in trades),
        last_id=tuple(trade.id for trade in trades),
        time=tuple(trade.time for trade in trades),
        price=tuple(trade.price for trade in trades),
        quantity=tuple(trade.quantity for trade in trades),
        buyer_maker=tuple(trade.buyer_maker for trade in trades),
        age=0,
    )


@st.composite
def logs(draw: st.DrawFn, happened: Sequence[Happening]) -> list[Record]:
    """Cut what happened into records anywhere; add repeats, and jumps that are filled later."""
    records: list[Record] = []
    batch: list[Trade] = []
    for happening in (*happened, None):
        follows = isinstance(happening, Trade) and (not batch or happening.id == batch[-1].id + 1)
        if batch and (not follows or draw(st.booleans())):
            records.append(record(batch))
            batch = []
        if isinstance(happening, Trade):
            batch.append(happening)
        elif happening is not None:
            records.append(happening)
    return _noisy(draw, records)


def _noisy(draw: st.DrawFn, records: list[Record]) -> list[Record]:
    noisy: list[Record] = []
    next_id = FIRST_ID
    for place, each in enumerate(records):
        noise = draw(st.sampled_from(["", "", "", "repeat", "jump", "clock"]))
        if noise == "repeat" and noisy:
            noisy.append(draw(st.sampled_from(records[:place])))
        elif noise == "clock":
            noisy.append(Clock(builders.INSTRUMENT, START + 10**7, next_id + 1, 0))
        elif noise == "jump":
            later = [one for one in records[place:] if _jumps(one, next_id)]
            noisy += [draw(st.sampled_from(later))] if later else []
        noisy.append(each)
        if isinstance(each, Trades | Gap):
            next_id = max(next_id, (each.last_id if isinstance(each, Gap) else each.id[-1]) + 1)
    return noisy


def _jumps(each: Record, next_id: int) -> bool:
    """Whether a record is ahead of its place: not of a gap, whose ids would be late then."""
    return isinstance(each, Trades) and each.id[0] > next_id
