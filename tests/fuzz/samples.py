"""Nothing enters; realistic records of every type leave, each with its topic and its key."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.core.events import (
    Account,
    Allocation,
    AllocationMethod,
    Candle,
    Claim,
    DeadLetter,
    Epoch,
    ExecutionModel,
    Filters,
    Fork,
    ForkStep,
    Gap,
    History,
    Identity,
    Join,
    Leave,
    Listing,
    Message,
    Order,
    OrderKind,
    Orders,
    Portfolio,
    Progress,
    Record,
    Resumed,
    RiskLimits,
    Series,
    Side,
    Signal,
    Snapshot,
    StageState,
    StrategySetting,
    Trades,
    View,
)
from app.core.flow import VERSION
from app.runtime.codec import encode
from tests.storage import samples
from tests.storage.samples import ACCOUNT, INSTRUMENT, MINUTE, START, STRATEGY

RISK = RiskLimits(
    order_notional=Decimal(25_000),
    position_notional=Decimal(50_000),
    gross_notional=Decimal(100_000),
    daily_loss=Decimal("2500.50"),
    drawdown=Decimal("0.1"),
    stale_after=5_000,
    allow_short=True,
)
EXECUTION = ExecutionModel(250, Decimal("0.5"), Decimal("0.1"), Decimal(1), Decimal("7.5"))
PAPER = Account(
    name=ACCOUNT,
    quote="ETH",
    capital=Decimal(1_000),
    instruments=(INSTRUMENT, "BINANCE:LTCETH"),
    strategies=(
        StrategySetting(STRATEGY, {"lookback": "30", "entry": "0.0002"}),
        StrategySetting("macd", {}),
    ),
    allocation=Allocation(AllocationMethod.PERFORMANCE, Decimal("0.9"), 1_440),
    risk=RISK,
    execution=EXECUTION,
)
FILTERS = Filters(Decimal("0.00000001"), Decimal("0.1"), Decimal("0.1"), Decimal("0.01"))
EPOCH = Epoch(INSTRUMENT, PAPER, 1, FILTERS, "XRP", MINUTE, VERSION)
JOIN = Join(INSTRUMENT, ACCOUNT, 1, START, 4_711, Series.AGGREGATE)
LEAVE = Leave(INSTRUMENT, ACCOUNT, 2, START + MINUTE, "no longer in the configuration")
ROW = (Decimal("0.0012"), Decimal("0.0013"), Decimal("0.0011"), Decimal("0.00125"), Decimal(7))


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid record as it stands on a topic."""

    topic: str
    key: bytes
    value: bytes

    @classmethod
    def of(cls, topic: str, key: str, message: Message) -> Sample:
        """Return a message as its writer appends it."""
        return cls(topic, key.encode(), encode(message))


def _made(record: Record, stage: str, source: str, destination: str) -> Message:
    return Message(record, Identity(stage, source, destination, 1), f"clock/{INSTRUMENT}/{START}")


def _history() -> History:
    times = tuple(START + MINUTE * number for number in range(3))
    return History(INSTRUMENT, MINUTE, times, *((value,) * 3 for value in ROW))


def _entered() -> list[Message]:
    return [
        samples.trades([4_711]),
        samples.trades([4_711, 4_712, 4_715], price="0.00121"),
        Message(
            Trades(
                INSTRUMENT,
                (8, 9),
                (1_000, 1_004),
                (1_003, 1_004),
                (START, START),
                (Decimal("0.0012"), Decimal("65000.01")),
                (Decimal("0.000000000001"), Decimal(10) ** 18),
                (True, False),
                37,
            )
        ),
        samples.clock(1),
        samples.gap(5, 9),
        Message(Gap(INSTRUMENT, 0, None, START, START, "the line was down, “für immer”")),
    ]


def _steering(topic: str, key: str, stage: str) -> list[Sample]:
    return [
        Sample.of(topic, key, _made(record, stage, INSTRUMENT, key))
        for record in (EPOCH, JOIN, LEAVE)
    ]


def _signal(view: View, price: str | None, indicators: dict[str, float]) -> Message:
    record = Signal(
        ACCOUNT,
        INSTRUMENT,
        "macd",
        START,
        1,
        view,
        "the line has crossed",
        indicators,
        Decimal(price) if price else None,
        price is not None,
        250,
    )
    return _made(record, "macd", INSTRUMENT, ACCOUNT)


def _traded() -> Message:
    prices = tuple(map(Decimal, ("0.0012", "0.0014", "0.001", "0.0013")))
    amounts = tuple(map(Decimal, ("1234.5", "1.60485", "700.1")))
    record = Candle(INSTRUMENT, MINUTE, START, *prices, *amounts, 17, 5, 40, True, 120, 3)  # type: ignore[call-arg,arg-type]
    return _made(record, "candles", INSTRUMENT, INSTRUMENT)


def _orders() -> Message:
    buy, price, stop = Decimal("10.5"), Decimal("0.0011"), Decimal("0.0015")
    kinds = (
        (OrderKind.MARKET, None, None),
        (OrderKind.LIMIT, price, None),
        (OrderKind.STOP, None, stop),
        (OrderKind.STOP_LIMIT, price, stop),
    )
    made = tuple(
        Order(f"{kind}-1", STRATEGY, Side.SELL, kind, buy, limit, stop, "momentum/a/a/1")
        for kind, limit, stop in kinds
    )
    return _made(Orders(ACCOUNT, INSTRUMENT, START, 1, made), "risk", ACCOUNT, INSTRUMENT)


def _candles() -> list[Message]:
    return [_traded(), samples.candle(3, None, 0), samples.candle(3, ("1", "1", "1", "1"), 0)]


def _decided() -> list[tuple[str, Message]]:
    """Return what stands under the account, but for signals, by topic."""
    empty = Portfolio(ACCOUNT, START, 1, Decimal("-0.5"), Decimal("1e-30"), (), (), (), ())
    return [
        ("portfolio", samples.portfolio(3, "115.0001")),
        ("portfolio", _made(empty, "portfolio", ACCOUNT, ACCOUNT)),
        ("allocations", samples.allocated(3, "-0.25")),
        ("risk", samples.refusal(4)),
        ("risk", samples.halted(5)),
        ("risk", _made(Resumed(ACCOUNT, START, 1, "by hand"), "risk", ACCOUNT, ACCOUNT)),
        ("risk", samples.risk_report(6)),
        ("fills", samples.fill(2, 1)),
        ("fills", samples.booked(3)),
    ]


def _rekeyed(topic: str, key: str, message: Message) -> Sample:
    """Return a message of the storage samples under an identity for its key."""
    identity = message.identity
    assert identity is not None
    made = Identity(identity.stage, identity.source, key, identity.number)
    return Sample.of(topic, key, Message(message.record, made, message.origin))


def _beside() -> list[Sample]:
    needs = {"trades": 42, "orders": 0}
    fork, now = (
        Fork("try-1", ForkStep.READY, START, at, "local", "a.b", handle, START, "ready at once")
        for at, handle in ((START, "fm-1"), (None, None))
    )
    letter = DeadLetter(
        "trades", 0, 9, "BINANCE:X", "candles", "trades was no JSON", "e2dhcmJhZ2U=", 8
    )
    state = StageState("candles", INSTRUMENT, 5, VERSION, START, needs, '{"next_id":4711}')
    through = Progress(
        "candles", 1, 5, 4, "run-1", VERSION, {"trades": 50}, START, {INSTRUMENT: "a join"}
    )
    return [
        Sample.of("forks", fork.fork_id, Message(fork)),
        Sample.of("forks", now.fork_id, Message(now)),
        Sample.of("dead-letters", "trades", Message(letter)),
        Sample.of("state-candles", INSTRUMENT, Message(state)),
        Sample.of("state-candles", "!claim", Message(Claim("candles", 1, "host-1/4711"))),
        Sample.of("state-candles", "!progress", Message(through)),
        Sample.of(
            "snapshots",
            INSTRUMENT,
            Message(Snapshot("candles", INSTRUMENT, VERSION, START, needs, "{}")),
        ),
        Sample.of(
            "instruments",
            INSTRUMENT,
            Message(Listing(INSTRUMENT, (PAPER,), (2,), MINUTE, {"old": 1})),
        ),
        Sample.of("instruments", INSTRUMENT, Message(Listing(INSTRUMENT, (), (), MINUTE, {}))),
    ]


def all_samples() -> dict[str, list[Sample]]:
    """Return samples by the type of record, on every topic where the type may stand."""
    steering: list[Record] = [_history(), EPOCH, JOIN, LEAVE]
    entered = [*_entered(), *(Message(record) for record in steering)]
    passed = _made(_history(), "candles", INSTRUMENT, INSTRUMENT)
    signals = [
        samples.signal(3),
        _signal(View.SHORT, "0.0012", {"macd": -1.5e-07, "signal": 0.0}),
        _signal(View.NOT_READY, None, {}),
    ]
    found = [
        *(Sample.of("trades", INSTRUMENT, message) for message in entered),
        *(_rekeyed("candles", INSTRUMENT, message) for message in _candles()),
        Sample.of("candles", INSTRUMENT, passed),
        *_steering("candles", INSTRUMENT, "candles"),
        *_steering("signals", ACCOUNT, STRATEGY),
        *(Sample.of("signals", ACCOUNT, message) for message in signals),
        Sample.of("signals", ACCOUNT, samples.command("c-1")),
        *_steering("portfolio", ACCOUNT, "portfolio")[:1],
        *_steering("allocations", ACCOUNT, "allocation")[:1],
        *(Sample.of(topic, ACCOUNT, message) for topic, message in _decided()),
        _rekeyed("orders", INSTRUMENT, samples.orders(3)),
        Sample.of("orders", INSTRUMENT, _orders()),
        *_beside(),
    ]
    by_type: dict[str, list[Sample]] = {}
    for sample in found:
        by_type.setdefault(sample.value.split(b'"')[3].decode(), []).append(sample)
    return by_type


def epoch_on(topic: str) -> Sample:
    """Return the epoch record that a reader of a topic knows an account by."""
    return next(sample for sample in all_samples()["epoch"] if sample.topic == topic)
