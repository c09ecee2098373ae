"""Hypothesis strategies: a valid record of every type, and the message that carries it."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.core import events
from app.core.events import Identity, Message, Record
from app.core.events.checks import LARGEST_ID, LATEST_TIME

ALPHABET = "ABCxyz019:_.-"
KEYS = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from("AZaz09"),
    st.text(ALPHABET, max_size=20),
)
TIMES = st.integers(0, LATEST_TIME)
COUNTS = st.integers(0, LARGEST_ID)
INTERVALS = st.integers(1, 86_400_000)
FLAGS = st.booleans()
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
REALS = st.floats(allow_nan=False, allow_infinity=False)
ENCODED = st.binary(max_size=30).map(lambda raw: base64.b64encode(raw).decode())
ORDINALS = st.integers(1, LARGEST_ID)


def decimals(lowest: int, highest: int, places: int) -> st.SearchStrategy[Decimal]:
    """Return decimals of any number of places up to `places`, trailing zeros included."""
    return st.builds(
        lambda mantissa, places: Decimal(f"{mantissa}E-{places}"),
        st.integers(lowest, highest),
        st.integers(0, places),
    )


PRICES = decimals(1, 10**15, 12)
QUANTITIES = decimals(0, 10**18, 12)
MONEY = decimals(0, 10**36, 36)
AMOUNTS = decimals(-(10**36), 10**36, 36)
SHARES = st.integers(0, 10**6).map(lambda parts: Decimal(parts) / 10**6)
BASIS_POINTS = decimals(0, 9_999, 4)


def tuples(items: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


def optional(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | items


SETTINGS = st.builds(
    events.StrategySetting,
    name=KEYS,
    parameters=st.dictionaries(KEYS, TEXTS, max_size=3),
)
ACCOUNTS = st.builds(
    events.Account,
    name=KEYS,
    quote=KEYS,
    capital=QUANTITIES,
    instruments=st.lists(KEYS, min_size=1, max_size=3, unique=True).map(tuple),
    strategies=st.lists(
        SETTINGS, min_size=1, max_size=3, unique_by=lambda setting: setting.name
    ).map(tuple),
    allocation=st.builds(
        events.Allocation,
        method=st.sampled_from(events.AllocationMethod),
        invested=SHARES,
        lookback=COUNTS,
    ),
    risk=st.builds(
        events.RiskLimits,
        order_notional=QUANTITIES,
        position_notional=QUANTITIES,
        gross_notional=QUANTITIES,
        daily_loss=QUANTITIES,
        drawdown=SHARES,
        stale_after=COUNTS,
        allow_short=FLAGS,
    ),
    execution=st.builds(
        events.ExecutionModel,
        latency=st.integers(1, 10_000),
        slippage=BASIS_POINTS,
        participation=SHARES,
        maker_fee=BASIS_POINTS,
        taker_fee=BASIS_POINTS,
    ),
)


@st.composite
def trades(draw: st.DrawFn) -> events.Trades:
    ids = sorted(draw(st.sets(COUNTS, min_size=1, max_size=5)))
    size = len(ids)

    def column(items: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(st.lists(items, min_size=size, max_size=size)))

    firsts = column(COUNTS)
    return events.Trades(
        instrument=draw(KEYS),
        id=tuple(ids),
        first_id=firsts,
        last_id=tuple(min(LARGEST_ID, first + draw(st.integers(0, 99))) for first in firsts),
        time=column(TIMES),
        price=column(PRICES),
        quantity=column(QUANTITIES),
        buyer_maker=column(FLAGS),
        age=draw(COUNTS),
    )


@st.composite
def history(draw: st.DrawFn) -> events.History:
    times = sorted(draw(st.sets(TIMES, min_size=1, max_size=5)))
    rows = [sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES))) for _ in times]
    return events.History(
        instrument=draw(KEYS),
        interval=draw(INTERVALS),
        time=tuple(times),
        open=tuple(row[1] for row in rows),
        high=tuple(row[3] for row in rows),
        low=tuple(row[0] for row in rows),
        close=tuple(row[2] for row in rows),
        volume=tuple(draw(QUANTITIES) for _ in times),
    )


@st.composite
def gap(draw: st.DrawFn) -> events.Gap:
    first, last = sorted(draw(st.tuples(COUNTS, COUNTS)))
    begin, end = sorted(draw(st.tuples(TIMES, TIMES)))
    known = draw(FLAGS)
    return events.Gap(draw(KEYS), first, last if known else None, begin, end, draw(TEXTS))


@st.composite
def candle(draw: st.DrawFn) -> events.Candle:
    low, open_, close, high = sorted(draw(st.tuples(PRICES, PRICES, PRICES, PRICES)))
    first, last = sorted(draw(st.tuples(COUNTS, COUNTS)))
    kind = draw(st.sampled_from(["traded", "empty", "unknown"]))
    prices = {
        "traded": (open_, high, low, close),
        "empty": (close, close, close, close),
        "unknown": (None, None, None, None),
    }[kind]
    traded = kind == "traded"
    sizes = sorted(draw(st.tuples(QUANTITIES, QUANTITIES))) if traded else [Decimal(0)] * 2
    return events.Candle(
        draw(KEYS),
        draw(INTERVALS),
        draw(TIMES),
        *prices,
        volume=sizes[1],
        quote_volume=draw(MONEY) if traded else Decimal(0),
        taker_buy_volume=sizes[0],
        trades=draw(st.integers(1, LARGEST_ID)) if traded else 0,
        first_id=first if traded else None,
        last_id=last if traded else None,
        complete=draw(FLAGS),
        age=draw(COUNTS),
        revision=draw(COUNTS),
    )


@st.composite
def order(draw: st.DrawFn) -> events.Order:
    kind = draw(st.sampled_from(events.OrderKind))
    limited = kind in (events.OrderKind.LIMIT, events.OrderKind.STOP_LIMIT)
    stopped = kind in (events.OrderKind.STOP, events.OrderKind.STOP_LIMIT)
    return events.Order(
        draw(TEXTS),
        draw(KEYS),
        draw(st.sampled_from(events.Side)),
        kind,
        draw(MONEY),
        draw(PRICES) if limited else None,
        draw(PRICES) if stopped else None,
        draw(TEXTS),
    )


@st.composite
def epoch(draw: st.DrawFn) -> events.Epoch:
    return events.Epoch(
        instrument=draw(KEYS),
        account=draw(ACCOUNTS),
        number=draw(ORDINALS),
        filters=draw(st.builds(events.Filters, QUANTITIES, QUANTITIES, QUANTITIES, QUANTITIES)),
        base=draw(KEYS),
        interval=draw(st.integers(10_001, 86_400_000)),
        version=draw(COUNTS),
    )


@st.composite
def listing(draw: st.DrawFn) -> events.Listing:
    accounts = draw(tuples(ACCOUNTS, 2))
    return events.Listing(
        instrument=draw(KEYS),
        accounts=accounts,
        numbers=tuple(draw(ORDINALS) for _ in accounts),
        interval=draw(INTERVALS),
        retired=draw(st.dictionaries(KEYS, COUNTS, max_size=2)),
    )


VIEWS = st.sampled_from(events.View)
INSTRUCTIONS = tuples(st.builds(events.Instruction, st.sampled_from(events.Action), TEXTS))
MARKS = tuples(st.builds(events.Mark, KEYS, optional(PRICES), FLAGS, COUNTS))
NEEDS = st.dictionaries(KEYS, COUNTS, max_size=3)

# Every record type; fields in their order.
RECORDS: dict[type[Record], st.SearchStrategy[Any]] = {
    events.Trades: trades(),
    events.Clock: st.builds(events.Clock, KEYS, TIMES, COUNTS, COUNTS),
    events.Gap: gap(),
    events.History: history(),
    events.Epoch: epoch(),
    events.Join: st.builds(
        events.Join, KEYS, KEYS, COUNTS, TIMES, COUNTS, st.sampled_from(events.Series)
    ),
    events.Leave: st.builds(events.Leave, KEYS, KEYS, COUNTS, TIMES, TEXTS),
    events.Listing: listing(),
    events.Candle: candle(),
    events.Signal: st.builds(
        events.Signal,
        account=KEYS,
        instrument=KEYS,
        strategy=KEYS,
        time=TIMES,
        epoch=COUNTS,
        view=VIEWS,
        reason=TEXTS,
        indicators=st.dictionaries(KEYS, REALS, max_size=4),
        price=optional(PRICES),
        complete=FLAGS,
        age=COUNTS,
    ),
    events.Command: st.builds(
        events.Command, KEYS, KEYS, st.sampled_from(events.Action), TEXTS, TEXTS
    ),
    events.Portfolio: st.builds(
        events.Portfolio,
        account=KEYS,
        time=TIMES,
        epoch=COUNTS,
        cash=AMOUNTS,
        equity=AMOUNTS,
        holdings=tuples(st.builds(events.Holding, KEYS, KEYS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)),
        marks=MARKS,
        opinions=tuples(st.builds(events.Opinion, KEYS, KEYS, VIEWS, TEXTS)),
        instructions=INSTRUCTIONS,
    ),
    events.Allocated: st.builds(
        events.Allocated,
        account=KEYS,
        time=TIMES,
        epoch=COUNTS,
        equity=AMOUNTS,
        cash=AMOUNTS,
        weights=tuples(st.builds(events.Weight, KEYS, SHARES)),
        performance=tuples(st.builds(events.Performance, KEYS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)),
        targets=tuples(st.builds(events.Target, KEYS, KEYS, AMOUNTS, AMOUNTS, TEXTS)),
        marks=MARKS,
        instructions=INSTRUCTIONS,
    ),
    events.Orders: st.builds(events.Orders, KEYS, KEYS, TIMES, COUNTS, tuples(order(), 3)),
    events.Refusal: st.builds(
        events.Refusal,
        account=KEYS,
        instrument=KEYS,
        strategy=KEYS,
        time=TIMES,
        epoch=COUNTS,
        limit=st.sampled_from(events.Limit),
        wanted=AMOUNTS,
        allowed=AMOUNTS,
        reason=TEXTS,
        signal=TEXTS,
    ),
    events.Halted: st.builds(
        events.Halted, KEYS, TIMES, COUNTS, st.sampled_from(events.Limit), TEXTS, FLAGS
    ),
    events.Resumed: st.builds(events.Resumed, KEYS, TIMES, COUNTS, TEXTS),
    events.RiskReport: st.builds(
        events.RiskReport,
        account=KEYS,
        time=TIMES,
        epoch=COUNTS,
        equity=AMOUNTS,
        day_start=AMOUNTS,
        peak=AMOUNTS,
        daily_loss=MONEY,
        drawdown=MONEY,
        gross_notional=MONEY,
        halted=FLAGS,
        orders=COUNTS,
        refusals=COUNTS,
    ),
    events.Fill: st.builds(
        events.Fill,
        account=KEYS,
        instrument=KEYS,
        order_id=TEXTS,
        part=ORDINALS,
        strategy=KEYS,
        side=st.sampled_from(events.Side),
        decision_time=TIMES,
        time=TIMES,
        trade_id=COUNTS,
        price=PRICES,
        quantity=QUANTITIES,
        fee=MONEY,
        liquidity=st.sampled_from(events.Liquidity),
    ),
    events.Booked: st.builds(
        events.Booked,
        account=KEYS,
        instrument=KEYS,
        time=TIMES,
        outcomes=tuples(st.builds(events.Outcome, TEXTS, MONEY, MONEY)),
        final=FLAGS,
    ),
    events.DeadLetter: st.builds(
        events.DeadLetter, KEYS, COUNTS, COUNTS, TEXTS, KEYS, TEXTS, ENCODED, COUNTS
    ),
    events.Snapshot: st.builds(events.Snapshot, KEYS, KEYS, COUNTS, TIMES, NEEDS, TEXTS),
    events.Fork: st.builds(
        events.Fork,
        fork_id=KEYS,
        step=st.sampled_from(events.ForkStep),
        time=TIMES,
        at=optional(TIMES),
        backend=KEYS,
        source=TEXTS,
        handle=optional(TEXTS),
        expires=TIMES,
        detail=TEXTS,
    ),
    events.StageState: st.builds(
        events.StageState, KEYS, KEYS, COUNTS, COUNTS, TIMES, NEEDS, TEXTS
    ),
    events.Claim: st.builds(events.Claim, KEYS, COUNTS, TEXTS),
    events.Progress: st.builds(
        events.Progress,
        stage=KEYS,
        partition=COUNTS,
        token=COUNTS,
        partitions=COUNTS,
        run=TEXTS,
        version=COUNTS,
        through=NEEDS,
        time=TIMES,
        waiting=st.dictionaries(KEYS, TEXTS, max_size=3),
    ),
}

IDENTITIES = st.builds(Identity, KEYS, KEYS, KEYS, st.integers(1, LARGEST_ID))
ORIGINS = st.text(ALPHABET + "/", min_size=1, max_size=60)
PASSED_ON = (events.Epoch, events.History, events.Join, events.Leave)


def messages(cls: type[Record]) -> st.SearchStrategy[Message]:
    """Return messages of one record type, with an identity where it must or may have one."""
    entered = st.builds(Message, RECORDS[cls])
    derived = st.builds(Message, RECORDS[cls], IDENTITIES, ORIGINS)
    if cls in PASSED_ON:
        return entered | derived
    return entered if hasattr(cls, "name") else derived


MESSAGES: st.SearchStrategy[Message] = st.sampled_from(list(RECORDS)).flatmap(messages)
