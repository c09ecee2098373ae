"""The tape under every mishap: each id once in order or in a gap, and clocks that don't guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Clock, Epoch, Join, Record, Series, Trades
from app.market.dumps import Aggregate
from app.market.holes import Arrived, Hole, Sequence
from app.market.sources import Sources
from app.market.state import FeedState
from app.market.tape import VOID, Tape, TapeSettings
from app.runtime.codec import decode_state, encode_state
from tests.core.builders import account, filters
from tests.market.binance.reading import Reader

MINUTE = 60_000
START = 1_700_000_040_000  # a multiple of a minute
SETTINGS = TapeSettings(patience=10.0, grace=500, probe_pause=1.0, buffer=40, flush_count=7)
NAME = "BINANCE:BTCUSDT"


def trade(identity: int, time: int, *, void: bool = False) -> Aggregate:
    bounds = (-1, -1) if void else (identity * 3, identity * 3 + 2)
    worth = Decimal(0) if void else Decimal(5)
    return Aggregate(identity, *bounds, time, worth, worth, buyer_maker=False)


def state(last_id: int = 99) -> FeedState:
    return FeedState(NAME, last_id, last_id * 3 + 2, START - 5, START)


def reader(next_id: int) -> Reader:
    fresh = Reader(MINUTE, most=SETTINGS.flush_count)
    of = account(instruments=(NAME,))
    epoch = Epoch(NAME, of, 1, filters(), "BTC", MINUTE, 1)
    fresh.take([epoch, Join(NAME, of.name, 1, START + MINUTE, next_id, Series.AGGREGATE)])
    return fresh


def test_a_trade_that_closes_a_candle_is_known_until_it_is_taken() -> None:
    tape = Tape(state(), MINUTE, SETTINGS, times={1: START}, now=0.0)
    tape.opened(1, 0.0)
    assert not tape.closing
    tape.trade(1, trade(100, START + MINUTE - 1), START + MINUTE - 1, 0.0)
    assert not tape.closing
    tape.trade(1, trade(102, START + MINUTE + 1), START + MINUTE + 1, 0.0)
    assert not tape.closing  # it waits for the one before
    tape.trade(1, trade(101, START + MINUTE), START + MINUTE + 1, 0.0)
    assert tape.closing
    tape.take(0.0)
    assert not tape.closing


@dataclass
class World:
    """An exchange, a clock, a tape and a reader; `rows` is what really happened."""

    rows: list[Aggregate]
    now: float = 1000.0
    shown: int = 0
    connection: int = 0
    lag: int = 0
    rest_up: bool = True
    pending: list[Aggregate] = field(default_factory=list)
    times: dict[int, int] = field(default_factory=dict)
    reader: Reader = field(default_factory=lambda: reader(100))

    def __post_init__(self) -> None:
        self.tape = Tape(state(), MINUTE, SETTINGS, times=self.times, now=self.now)

    @property
    def exchange_time(self) -> int:
        return self.rows[self.shown - 1].time if self.shown else START

    def act(self, action: str, count: int) -> None:
        getattr(self, action)(count)
        self.settle()

    def live(self, count: int) -> None:
        for _ in range(count):
            row = self._next()
            if row is not None and not row.void:
                self._tell(row)

    def skip(self, count: int) -> None:
        for _ in range(count):
            self._next()

    def swap(self, count: int) -> None:
        rows = [row for row in (self._next() for _ in range(count)) if row and not row.void]
        for row in reversed(rows):
            self._tell(row)

    def repeat(self, count: int) -> None:
        for row in self.rows[max(0, self.shown - count) : self.shown]:
            if not row.void and self.times.get(self.connection):
                self._tell(row)

    def candle(self, seconds: int) -> None:
        """Tell the time, somewhat later than the last trade, and which trade was the last."""
        if not self.connection:
            return
        following = self.rows[self.shown].time if self.shown < len(self.rows) else 2**42
        time = min(self.exchange_time + seconds * 1000, following)
        self.times[self.connection] = max(self.times[self.connection], time)
        raw = [row.last_id for row in self.rows[: self.shown] if not row.void]
        if raw:
            self.tape.witness(raw[-1], self.now)

    def reconnect(self, _: int) -> None:
        self.lose(0)
        number = max([*self.times, self.opened]) + 1 if self.opened else 1
        self.opened = self.connection = number
        self.times[number] = 0
        self.tape.opened(number, self.now)

    opened: int = 0

    def lose(self, _: int) -> None:
        if self.connection:
            self.times.pop(self.connection)
            self.tape.lost(self.connection, self.now)
            self.connection = 0

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def rest_fails(self, _: int) -> None:
        self.rest_up = False

    def rest_works(self, lag: int) -> None:
        self.rest_up, self.lag = True, lag - 1

    def answer(self, count: int) -> None:
        """Let REST answer what is asked, if it is up, in pages of a few rows."""
        for _ in range(count):
            from_id, _again = self.tape.fetch(self.now)
            late_id = self.tape.late_fetch()
            if not self.rest_up:
                return
            visible = self.rows[: max(0, self.shown - self.lag)]
            if from_id is not None:
                rows = [row for row in visible if row.id >= from_id][:5]
                self.tape.page(rows, from_id, self.now, self.now)
            elif late_id is not None:
                self.tape.late_page([row for row in visible if row.id >= late_id][:5])
            self.settle()

    def settle(self) -> None:
        while records := self.tape.take(self.now):
            self.reader.take(records)
            self._check_clocks(records)
            again = decode_state(FeedState, encode_state(self.tape.state))
            assert again == self.tape.state
        assert self.tape.state.last_id == self.reader.next_id - 1

    def _check_clocks(self, records: list[Record]) -> None:
        for clock in (record for record in records if isinstance(record, Clock)):
            if self.reader.open_until >= clock.time:
                continue
            shown = self.rows[: self.shown]
            before = [row.id for row in shown if row.time < clock.time and not row.void]
            assert all(identity < self.reader.next_id for identity in before), "the clock guessed"

    def _next(self) -> Aggregate | None:
        if self.shown == len(self.rows):
            return None
        self.shown += 1
        return self.rows[self.shown - 1]

    def _tell(self, row: Aggregate) -> None:
        if self.connection:
            newest = self.times[self.connection] = max(self.times[self.connection], row.time)
            self.tape.trade(self.connection, row, newest, self.now)


@st.composite
def histories(draw: st.DrawFn) -> list[Aggregate]:
    time, rows = START, []
    for identity in range(100, 100 + draw(st.integers(1, 60))):
        time += draw(st.sampled_from([0, 3, 900, 20_000, 150_000]))
        rows.append(trade(identity, time, void=draw(st.integers(0, 15)) == 0))
    return rows


ACTIONS = st.tuples(
    st.sampled_from(
        ["live"] * 5 + ["candle", "answer", "wait"] * 3 + ["skip", "swap", "repeat"]
        + ["reconnect", "lose", "rest_fails", "rest_works"]
    ),
    st.integers(1, 6),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(histories(), st.lists(ACTIONS, max_size=60))
def test_every_id_is_published_once_in_order_or_is_in_a_gap(
    rows: list[Aggregate], actions: list[tuple[str, int]]
) -> None:
    world = World(rows)
    for action, count in actions:
        world.act(action, count)
    # Then all goes well again, and the market falls silent.
    world.rest_works(1)
    world.reconnect(0)
    world.live(len(rows))
    for _ in range(60):
        world.candle(90)
        world.answer(3)
        world.now += 2
        world.settle()
    traded = [row.id for row in rows if not row.void]
    assert sorted(world.reader.taken + world.reader.late) == traded
    assert world.reader.taken == sorted(world.reader.taken)
    assert world.reader.missing <= {row.id for row in rows if row.void}
    assert world.tape.waiting() == ""
    assert all(gap.last_id is None for gap in world.tape.state.gaps)
    assert world.reader.closed == (rows[-1].time + 90_000 - SETTINGS.grace) // MINUTE * MINUTE


def started() -> World:
    world = World(
        [trade(identity, START + (identity - 100) * 1000) for identity in range(100, 400)]
    )
    world.reconnect(0)
    world.act("live", 2)
    return world


def test_a_jump_waits_for_rest_and_not_for_patience() -> None:
    world = started()
    world.skip(3)
    world.act("live", 1)
    assert world.reader.taken == [100, 101]
    assert world.tape.fetch(world.now) == (102, None)
    world.answer(1)
    assert world.reader.taken == [100, 101, 102, 103, 104, 105]
    assert world.reader.gaps == []


def test_what_rest_has_not_within_patience_is_a_gap_and_late_afterwards() -> None:
    world = started()
    world.rest_fails(0)
    world.skip(3)
    world.act("live", 1)
    assert world.tape.deadline(world.now) == world.now + SETTINGS.patience
    world.act("wait", 9)
    assert world.reader.gaps == []
    world.act("wait", 1)
    (gap,) = world.reader.gaps
    assert (gap.first_id, gap.last_id) == (102, 104)
    assert (gap.from_time, gap.to_time) == (START + 1000, START + 5000)
    assert world.reader.taken == [100, 101, 105]
    world.rest_works(1)
    world.answer(1)
    assert world.reader.late == [102, 103, 104]
    assert world.tape.state.gaps == ()


def test_patience_lasts_while_rest_brings_something() -> None:
    world = started()
    world.skip(200)
    world.act("live", 1)
    while world.reader.taken[-1] < 302:
        world.now += SETTINGS.patience - 1
        world.answer(1)
    assert world.reader.gaps == []


def test_a_full_buffer_drops_and_fetches_later() -> None:
    world = started()
    world.rest_fails(0)
    world.skip(1)
    world.act("live", 200)
    assert world.reader.taken == [100, 101]
    world.rest_works(1)
    world.answer(100)
    assert world.reader.taken == list(range(100, 303))


def test_patience_for_what_was_dropped_begins_when_it_was_dropped() -> None:
    sequence = Sequence(next_id=1, most=1)
    for identity, received in ((2, 5.0), (3, 6.0)):
        assert list(sequence.offer(Arrived(trade(identity, START), 0, received))) == []
    assert sequence.hole() == Hole(1, 1, 5.0, Arrived(trade(2, START), 0, 5.0))
    for identity in (1, 3):
        list(sequence.offer(Arrived(trade(identity, START), 0, 7.0)))
    assert sequence.hole() is None
    for identity, received in ((5, 8.0), (6, 9.0)):
        list(sequence.offer(Arrived(trade(identity, START), 0, received)))
    skipped = list(sequence.skip(Hole(4, 4, 8.0, None)))
    assert [arrived.aggregate.id for arrived in skipped] == [5]
    assert sequence.hole() == Hole(6, 6, 9.0, None)


def test_what_rest_said_before_a_connection_opened_proves_nothing_about_it() -> None:
    sources = Sources({1: START}, pause=1.0, now=0.0)
    sources.open(1, now=10.0)
    for asked in (8.0, 9.5, 10.0, 10.5):
        sources.nothing_newer(asked)
        assert sources.sound() == []
    sources.nothing_newer(11.0)
    assert sources.sound() == [1]


def test_silence_is_proven_by_rest_before_a_clock_speaks() -> None:
    world = World([trade(100, START + 200_000)])
    world.reconnect(0)
    world.act("candle", 90)
    assert world.reader.clocks == []
    world.answer(1)
    world.answer(1)
    assert world.reader.clocks == [], "the two requests must be a pause apart"
    world.now += SETTINGS.probe_pause
    world.answer(1)
    (clock,) = world.reader.clocks
    assert (clock.time, clock.last_id, clock.age) == (START + MINUTE, 99, 30_000)


def test_a_clock_waits_for_grace() -> None:
    world = started()
    world.times[world.connection] = START + MINUTE + SETTINGS.grace - 1
    world.settle()
    assert world.reader.clocks == []
    world.times[world.connection] += 1
    world.settle()
    assert [clock.time for clock in world.reader.clocks] == [START + MINUTE]


def test_several_boundaries_need_one_clock_and_a_trade_is_one() -> None:
    world = started()
    world.times[world.connection] = START + 5 * MINUTE + 700
    world.settle()
    assert [clock.time for clock in world.reader.clocks] == [START + 5 * MINUTE]
    world.rows[world.shown :] = [trade(102, START + 7 * MINUTE + 3)]
    world.act("live", 1)
    world.times[world.connection] = START + 7 * MINUTE + 900
    world.settle()
    assert len(world.reader.clocks) == 1


def test_a_candle_that_names_an_unseen_trade_holds_the_clock_back() -> None:
    world = started()
    world.skip(1)
    world.act("candle", 1)
    world.times[world.connection] = START + MINUTE + 900
    world.settle()
    assert world.reader.clocks == []
    assert world.tape.fetch(world.now) == (None, world.now + SETTINGS.probe_pause)
    world.now += SETTINGS.probe_pause
    world.answer(1)
    assert world.reader.taken == [100, 101, 102]
    assert [clock.last_id for clock in world.reader.clocks] == [102]


def test_an_outage_beyond_patience_closes_candles_as_incomplete() -> None:
    world = started()
    world.lose(0)
    world.act("wait", 10)
    assert world.reader.gaps == [], "no exchange time is known"
    world.tape.outside = START + MINUTE + 2_000
    world.settle()
    (gap,) = world.reader.gaps
    assert (gap.first_id, gap.last_id, gap.to_time) == (102, None, START + MINUTE)
    assert [clock.time for clock in world.reader.clocks] == [START + MINUTE]
    world.tape.outside = START + 2 * MINUTE + 2_000
    world.settle()
    assert [gap.to_time for gap in world.reader.gaps] == [START + MINUTE, START + 2 * MINUTE]
    # Then everything comes: what the closed candles lacked is named, and is late.
    world.shown = 150
    world.reconnect(0)
    world.answer(100)
    ends = [gap.last_id for gap in world.reader.gaps[2:]]
    assert {gap.from_time for gap in world.reader.gaps} == {START + 1_000}
    assert ends[-1] == 219, "the last trade before the second clock"
    assert world.reader.core.state.whole(START + 3 * MINUTE), "the first candle after it"
    assert world.reader.late == list(range(102, 220))
    assert world.reader.taken == [100, 101, *range(220, 250)]


def test_a_withdrawn_duplicate_is_a_gap_of_its_own() -> None:
    world = started()
    world.rows[2] = trade(102, START + 3_000, void=True)
    world.skip(1)
    world.act("live", 1)
    world.answer(1)
    assert [(gap.first_id, gap.last_id, gap.reason) for gap in world.reader.gaps] == [
        (102, 102, VOID)
    ]
    assert world.reader.taken == [100, 101, 103]


def test_overlapping_connections_publish_once() -> None:
    world = started()
    world.times[2] = 0
    world.tape.opened(2, world.now)
    for row in world.rows[2:6]:
        for connection in (1, 2):
            world.tape.trade(connection, row, row.time, world.now)
    world.shown = 6
    world.tape.lost(1, world.now)
    world.settle()
    assert world.reader.taken == list(range(100, 106))
    assert world.tape.waiting() == ""


def test_age_is_how_far_the_exchange_was_when_the_trade_came() -> None:
    world = started()
    row = world.rows[2]
    world.tape.trade(world.connection, row, row.time + 750, world.now)
    (record,) = world.tape.take(world.now)
    assert isinstance(record, Trades)
    assert record.age == 750


def test_a_restart_goes_on_where_the_state_says() -> None:
    world = started()
    stored = world.tape.state
    world.live(50)
    again = World(world.rows)
    again.tape = Tape(stored, MINUTE, SETTINGS, times=again.times, now=again.now)
    again.reader = reader(102)
    again.shown = world.shown
    again.reconnect(0)
    again.act("live", 1)
    again.answer(100)
    assert again.reader.taken == list(range(102, 153))
