"""Candles: exact, one for every interval, the same whatever the cuts, repeats, jumps, crashes."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.candles import CandleMachine, CandleState, fold, merge
from app.core.events import Candle, Clock, Gap, Message, Output, Record
from app.core.tape import KEPT
from tests.core import builders, streams
from tests.core.builders import INSTRUMENT, MINUTE, START, clock, gap, inputs, trades
from tests.core.driver import Driver, survives
from tests.core.streams import INTERVAL, Happening, Trade

DAY = 86_400_000
ROWS = st.tuples(streams.PRICES, streams.QUANTITIES, st.booleans())
DATA = Path(__file__).parents[1] / "data"


def machine(state: CandleState | None = None) -> CandleMachine:
    return CandleMachine(INSTRUMENT, state)


def opening(
    time: int = MINUTE, next_id: int = 1, *, interval: int = MINUTE
) -> tuple[Record, Record, Record]:
    past = builders.history(time - interval, ["9", "10"], interval=interval)
    return builders.epoch(interval=interval), past, builders.join(time, next_id)


def outputs(*records: Record, opened: bool = True) -> list[Output]:
    """Return what comes of records after the opening ones."""
    one = machine()
    found = [
        output
        for inbound in inputs("trades", (*(opening() if opened else ()), *records))
        for output in one.take(inbound)
    ]
    return found[3 if opened else 0 :]


def candles(*records: Record) -> list[Candle]:
    return [one for output in outputs(*records) if isinstance(one := output.message.record, Candle)]


def test_a_candle_holds_its_trades_exactly() -> None:
    made = outputs(
        trades((1, 0, "10", "1"), (2, 1, "12.5", "0.3", True), age=5),
        trades((3, 59_999, "9", "0.2"), (4, 60_000, "11", "7"), age=40),
    )
    assert [output.message.record for output in made] == [
        Candle(
            instrument=INSTRUMENT,
            interval=MINUTE,
            time=START + MINUTE,
            open=Decimal(10),
            high=Decimal("12.5"),
            low=Decimal(9),
            close=Decimal(9),
            volume=Decimal("1.5"),
            quote_volume=Decimal("15.55"),
            taker_buy_volume=Decimal("1.2"),
            trades=3,
            first_id=1,
            last_id=3,
            complete=True,
            age=40,
            revision=0,
        )
    ]
    assert made[0].topic == "candles"
    assert made[0].key == INSTRUMENT
    assert made[0].message.origin == f"trades/{INSTRUMENT}/4"
    assert str(made[0].message.identity) == f"candles/{INSTRUMENT}/{INSTRUMENT}/4"


def test_what_steers_the_strategies_is_passed_on_once_where_it_stands() -> None:
    later = builders.epoch(2)
    records = (*opening(), clock(MINUTE, 0), *opening(), later, opening()[1], builders.leave(DAY))
    made = outputs(*records, builders.leave(DAY), opened=False)
    assert [output.message.record.TYPE for output in made] == [
        "epoch", "history", "join", "candle", "epoch", "history", "leave",
    ]  # fmt: skip
    assert made[1].message.origin == Message(opening()[1]).name
    assert [output.message.identity.number for output in made if output.message.identity] == [
        1, 2, 3, 4, 5, 6, 7,
    ]  # fmt: skip


def test_empty_candles_stand_at_the_last_close() -> None:
    made = candles(clock(MINUTE, 0), trades((1, MINUTE, "7", "1")), clock(4 * MINUTE, 1, age=9))
    assert [one.close for one in made] == [None, Decimal(7), Decimal(7), Decimal(7)]
    assert [one.trades for one in made] == [0, 1, 0, 0]
    assert [(one.first_id, one.open, one.volume) for one in made[2:]] == [(None, 7, 0)] * 2
    assert [one.age for one in made] == [0, 9, 9, 9]


def test_trades_before_the_first_candle_are_no_more_than_its_last_close() -> None:
    early = trades((1, -5, "7", "1"), (2, -1, "8", "1"))
    made = candles(early, clock(MINUTE, 2))
    assert [(one.time, one.open, one.trades) for one in made] == [(START + MINUTE, 8, 0)]


def test_a_clock_names_itself_as_origin() -> None:
    (made,) = outputs(clock(MINUTE + 3, 0))
    assert made.message.origin == f"clock/{INSTRUMENT}/{START + MINUTE + 3}"


def test_a_gap_makes_its_candles_incomplete() -> None:
    made = candles(gap(1, 2, 0, MINUTE), clock(3 * MINUTE, 2))
    assert [one.complete for one in made] == [False, False, True]


def test_a_gap_that_begins_in_a_closed_interval_does_not_touch_it() -> None:
    first, last = trades((1, 0, "10", "1")), trades((4, 7, "11", "1"))
    made = candles(first, clock(MINUTE, 1), gap(2, 3, 0, 70_000), last, clock(2 * MINUTE, 4))
    assert [(one.revision, one.complete) for one in made] == [(0, True), (0, False), (1, True)]


def test_late_trades_make_a_revision_and_nothing_else() -> None:
    made = outputs(
        trades((1, 0, "10", "1")),
        gap(2, 4, 5, 50),
        trades((5, MINUTE, "11", "1"), (6, 7, "20", "1")),
        trades((3, 8, "5", "2", True)),
        clock(2 * MINUTE, 6),
        trades((2, 9, "6", "1"), (4, 9, "6", "1")),
        clock(3 * MINUTE, 6),
    )
    revisions = [one for output in made if isinstance(one := output.message.record, Candle)]
    assert [(one.time - START, one.revision) for one in revisions] == [
        (MINUTE, 0),
        (2 * MINUTE, 0),
        (MINUTE, 1),
        (3 * MINUTE, 0),
        (MINUTE, 2),
    ]
    assert [one.complete for one in revisions] == [False, True, False, True, True]
    # Id 6 is the newest trade of the first interval, so it closes it, whenever it came.
    assert (revisions[2].high, revisions[2].low, revisions[2].close) == (20, 5, 20)
    assert (revisions[2].trades, revisions[2].volume, revisions[2].last_id) == (3, 4, 6)
    assert revisions[2].taker_buy_volume == 2
    assert revisions[4].trades == 5
    assert made[2].message.origin == f"trades/{INSTRUMENT}/6"
    assert made[4].message.origin == f"trades/{INSTRUMENT}/4"


def test_a_trade_of_a_gap_in_the_open_interval_waits_for_revision_one() -> None:
    late = trades((1, 3, "10", "1"))
    made = candles(gap(1, 1, 0, 5), late, trades((2, 6, "11", "1")), clock(MINUTE, 2))
    assert [(one.revision, one.open, one.trades, one.complete) for one in made] == [
        (0, 11, 1, False),
        (1, 10, 2, True),
    ]


def test_an_empty_candle_is_revised_too() -> None:
    made = candles(clock(MINUTE, 0), trades((1, 5, "3", "1")), clock(2 * MINUTE, 1))
    assert [(one.revision, one.close, one.trades) for one in made] == [
        (0, None, 0),
        (0, None, 0),
        (1, 3, 1),
    ]


def test_the_last_sixty_candles_can_be_revised_and_older_trades_are_counted() -> None:
    one = machine()
    stream = (*opening(), clock(100 * MINUTE, 0), *(
        trades((k + 1, k * MINUTE, "1", "1")) for k in range(99)
    ), clock(101 * MINUTE, 99))  # fmt: skip
    made = [output for inbound in inputs("trades", stream) for output in one.take(inbound)]
    revised = [
        each.time
        for output in made
        if isinstance(each := output.message.record, Candle) and each.revision
    ]
    assert revised == [START + k * MINUTE for k in range(101 - KEPT, 100)]
    assert one.durable().expired == 100 - KEPT
    assert len(one.durable().recent.time) == KEPT


def test_after_all_have_left_the_next_join_starts_anew() -> None:
    shadow = builders.join(50 * MINUTE, 9, account="shadow")
    last = trades((1, 2 * MINUTE, "5", "1"))
    made = candles(builders.leave(2 * MINUTE), last, shadow, clock(50 * MINUTE, 8))
    assert [(one.time - START) // MINUTE for one in made] == [1, 2, 50]
    assert [one.close for one in made] == [None, None, 5]


def test_a_foreign_record_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not belong there"):
        outputs(builders.orders(MINUTE))


def test_it_needs_the_oldest_record_with_a_trade_not_yet_in_its_state() -> None:
    one = machine()
    needs = []
    for inbound in inputs(
        "trades",
        (
            *opening(),
            clock(MINUTE, 0),
            trades((1, MINUTE, "1", "1")),
            trades((1, MINUTE, "1", "1")),
            trades((2, 2 * MINUTE - 1, "1", "1"), (3, 2 * MINUTE, "1", "1")),
            builders.leave(DAY),
            trades((3, 2 * MINUTE, "1", "1")),
            gap(4, 5, 2 * MINUTE, 2 * MINUTE),
        ),
    ):
        one.take(inbound)
        needs.append(one.needs().get("trades"))
    assert needs == [None, None, None, None, 4, 4, 6, None, None, 9]


def test_it_says_which_trade_is_due() -> None:
    one = machine()
    for inbound in inputs("trades", (*opening(), trades((5, 0, "1", "1")))):
        one.take(inbound)
    assert one.waiting() == "trade 1, before 5"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(streams.PRICES, streams.QUANTITIES, st.booleans()), min_size=2), st.data()
)
def test_a_fold_in_any_parts_in_any_order_is_the_same(
    rows: list[tuple[Decimal, Decimal, bool]], data: st.DataObject
) -> None:
    record = streams.record([Trade(1 + k, START, *row) for k, row in enumerate(rows)])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1))))
    parts = list(zip([0, *cuts], [*cuts, len(rows)], strict=True))
    bar = None
    for start, stop in data.draw(st.permutations(parts)):
        bar = merge(bar, fold(record, start, stop))
    assert bar == fold(record, 0, len(rows))


class Model:
    """The candles of what happened, computed anew from lists of trades, in fractions."""

    def __init__(self, first: int) -> None:
        self.closed = first - INTERVAL
        self.close: Decimal | None = None
        self.decided: dict[int, list[Trade]] = defaultdict(list)
        self.late: dict[int, list[Trade]] = defaultdict(list)
        self.fresh: set[int] = set()
        self.gaps: list[tuple[Gap, set[int]]] = []
        self.incomplete_before = 0
        self.rows: dict[int, dict[str, Any]] = {}
        self.made: list[tuple[dict[str, Any], str]] = []

    def happen(self, one: Happening) -> None:
        if isinstance(one, Gap):
            assert one.last_id is not None
            self.gaps.append((one, set(range(one.first_id, one.last_id + 1))))
            self.incomplete_before = max(self.incomplete_before, one.to_time + 1)
        elif isinstance(one, Clock):
            self.pass_to(one.time, one.name())
        else:
            self.trade(one)

    def trade(self, one: Trade) -> None:
        end = one.time - one.time % INTERVAL + INTERVAL
        for _, ids in self.gaps:
            ids.discard(one.id)
        if not one.recovered:
            self.pass_to(one.time, f"trades/{INSTRUMENT}/{one.id}")
        if not one.recovered and one.time >= self.closed:
            self.decided[end].append(one)
        elif one.time < self.closed and not self.rows and not self.decided:
            self.close = one.price
        elif end > self.closed or end in list(self.rows)[-KEPT:]:
            self.late[end].append(one)
            self.fresh.add(end)

    def pass_to(self, time: int, origin: str) -> None:
        while self.closed + INTERVAL <= time:
            self.closed += INTERVAL
            whole = self.closed - INTERVAL >= self.incomplete_before
            self.make(self.decided[self.closed], complete=whole, origin=origin)
            for end in sorted(end for end in self.fresh if end <= self.closed):
                self.fresh.discard(end)
                self.revise(end)

    def make(self, held: list[Trade], *, complete: bool, origin: str) -> None:
        self.close = held[-1].price if held else self.close
        row = {"time": self.closed, "complete": complete, "revision": 0}
        row |= summary(held, self.close)
        self.rows[self.closed] = row
        self.made.append((row, origin))

    def revise(self, end: int) -> None:
        held = sorted(self.decided[end] + self.late[end], key=lambda one: one.id)
        touching = [ids for each, ids in self.gaps
                    if each.from_time < end and each.to_time >= end - INTERVAL]  # fmt: skip
        row = dict(self.rows[end])
        row["complete"] |= not any(touching)
        row["revision"] += 1
        row |= summary(held, None)
        self.rows[end] = row
        last = max(self.late_ids(end))
        self.made.append((row, f"trades/{INSTRUMENT}/{last}"))

    def late_ids(self, end: int) -> list[int]:
        """Return the ids that are new in this revision."""
        seen = self.rows[end].setdefault("seen", set())
        new = [one.id for one in self.late[end] if one.id not in seen]
        seen.update(new)
        return new


def summary(held: list[Trade], close: Decimal | None) -> dict[str, Any]:
    prices = [one.price for one in held]
    return {
        "open": prices[0] if held else close,
        "high": max(prices) if held else close,
        "low": min(prices) if held else close,
        "close": prices[-1] if held else close,
        "volume": sum(Fraction(one.quantity) for one in held),
        "quote_volume": sum(Fraction(one.price) * Fraction(one.quantity) for one in held),
        "taker_buy_volume": sum(Fraction(one.quantity) for one in held if not one.buyer_maker),
        "trades": len(held),
        "first_id": held[0].id if held else None,
        "last_id": held[-1].id if held else None,
    }


def topic(records: list[Record], first: int) -> dict[str, Any]:
    return {
        "trades": inputs("trades", (*opening(first, streams.FIRST_ID, interval=INTERVAL), *records))
    }


def driven(records: list[Record], first: int) -> Driver:
    driver = Driver(machine, CandleState, topic(records, first))
    driver.run()
    return driver


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from([INTERVAL, 4 * INTERVAL]))
def test_candles_are_those_of_what_happened_whatever_the_cuts(
    data: st.DataObject, first: int
) -> None:
    happened = data.draw(streams.happenings())
    model = Model(START + first)
    for one in happened:
        model.happen(one)
    driver = driven(data.draw(streams.logs(happened)), first)
    found = [output.message for output in driver.order[3:]]
    assert len(found) == len(model.made)
    for message, (row, origin) in zip(found, model.made, strict=True):
        assert message.origin == origin
        assert {
            name: getattr(message.record, name) for name in row if name != "seen"
        } == {name: value for name, value in row.items() if name != "seen"}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_two_cuts_of_one_stream_give_the_same_bytes(data: st.DataObject) -> None:
    happened = data.draw(streams.happenings())
    one, other = (driven(data.draw(streams.logs(happened)), INTERVAL) for _ in range(2))
    assert one.outputs == other.outputs


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_crash_after_any_record_changes_no_byte(data: st.DataObject) -> None:
    records = data.draw(streams.logs(data.draw(streams.happenings(25))))
    place = data.draw(st.integers(0, len(records)))
    shadow = [builders.epoch(1, builders.account("shadow"), interval=INTERVAL)]
    survives(machine, CandleState, topic(records[:place] + shadow + records[place:], INTERVAL), 0)


def whole_day() -> list[Trade]:
    with (DATA / "XRPETH-trades-2019-10-11.csv").open() as file:
        return [
            Trade(int(row[0]), int(row[4]), Decimal(row[1]), Decimal(row[2]), row[5] == "True")
            for row in csv.reader(file)
        ]


def test_every_minute_of_a_real_day_is_exact() -> None:
    day = whole_day()
    begin = day[0].time // DAY * DAY
    minutes: dict[int, list[Trade]] = defaultdict(list)
    for one in day:
        minutes[one.time // MINUTE * MINUTE + MINUTE].append(one)
    records = [streams.record(day[k : k + 7]) for k in range(0, len(day), 7)]
    stream = (*opening(MINUTE, day[0].id), *records, clock(DAY, day[-1].id))
    assert begin == START
    one = machine()
    found = [output for inbound in inputs("trades", stream) for output in one.take(inbound)][3:]
    assert len(found) == DAY // MINUTE
    close: Decimal | None = None
    for place, output in enumerate(found):
        end = START + (place + 1) * MINUTE
        expected = {"time": end, "complete": True, "revision": 0, "instrument": INSTRUMENT,
                    "interval": MINUTE, "age": 0} | summary(minutes[end], close)  # fmt: skip
        close = expected["close"]
        assert {name: getattr(output.message.record, name) for name in expected} == expected
    assert expected.keys() == {each.name for each in fields(Candle)}
    assert any(not minutes[START + k * MINUTE] for k in range(1, DAY // MINUTE))


def test_a_real_day_survives_crashes() -> None:
    day = whole_day()[:3_000]
    records: list[Record] = [streams.record(day[k : k + 50]) for k in range(0, len(day), 50)]
    stream = inputs("trades", (*opening(MINUTE, day[0].id), *records))
    whole = Driver(machine, CandleState, {"trades": stream})
    whole.run()
    crashed = Driver(machine, CandleState, {"trades": stream})
    for step in range(len(stream)):
        crashed.step()
        if step % 7 == 0:
            crashed.crash()
    crashed.run()
    assert crashed.outputs == whole.outputs
    assert len(whole.outputs) > 100


def test_a_trade_on_a_boundary_belongs_to_what_begins_there() -> None:
    record = trades((1, 0, "1", "1"), (2, MINUTE, "2", "1"))
    made = candles(record, replace(record, id=(3, 4), time=(START + MINUTE, START + 2 * MINUTE)))
    assert [(one.first_id, one.last_id) for one in made] == [(1, 1), (2, 3)]
