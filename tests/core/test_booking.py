"""What was made ready before a decision is what the decision would have made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.booking import Bookings, Holdings
from app.core.events import Booked, Fill, Inbound
from app.core.positions import apply_fills, cash_change, empty_holding
from tests.core.account_builders import at, booked, fill, numbered

NAME = "X:Y"
PAIRS = (("macd", NAME), ("momentum", NAME))


@st.composite
def reports(draw: st.DrawFn) -> list[Inbound]:
    """Draw what execution says of some intervals of one instrument, in its order."""
    records: list[Fill | Booked] = []
    for minute in range(1, 1 + draw(st.integers(1, 3))):
        for part in range(1, 1 + draw(st.integers(0, 5))):
            quantity = draw(st.sampled_from(["-2", "-0.5", "1", "3.25"]))
            price, after = draw(st.integers(90, 110)), draw(st.integers(0, 50_000))
            strategy = draw(st.sampled_from([pair[0] for pair in PAIRS]))
            records.append(
                fill(
                    strategy, NAME, minute, quantity, str(price),
                    fee="0.125", part=part, after=after,
                )
            )  # fmt: skip
        records.append(booked(NAME, minute + 1))
    messages = numbered("execution", NAME, records)
    return [Inbound(message, "fills", 0, offset) for offset, message in enumerate(messages)]


def due(filed: list[Inbound], through: int) -> list[Inbound]:
    """Return the records up to the first `booked` through a time."""
    for count, inbound in enumerate(filed, start=1):
        if isinstance(inbound.record, Booked) and inbound.record.time >= through:
            return filed[:count]
    raise AssertionError(through)


@given(reports(), st.data())
def test_each_time_takes_what_was_booked_through_it_prepared_or_not(
    filed: list[Inbound], data: st.DataObject
) -> None:
    bookings = Bookings()
    left = list(filed)
    minutes = sum(isinstance(inbound.record, Booked) for inbound in filed)
    held: Holdings = {PAIRS[0]: empty_holding(*PAIRS[0])}
    for minute in range(2, 2 + minutes):
        while not bookings.has(NAME, at(minute)) or (left and data.draw(st.booleans())):
            bookings.file(NAME, left.pop(0))
            # Also for another time than the one that comes: then it is made anew.
            bookings.prepare(NAME, at(data.draw(st.integers(1, 5))), held)
        through = at(minute)
        wanted = due(filed, through)
        filed = filed[len(wanted) :]
        settlement, taken = bookings.take(NAME, through, held)
        assert taken == wanted
        fills = [inbound.record for inbound in wanted if isinstance(inbound.record, Fill)]
        assert settlement.cash == sum(map(cash_change, fills))
        for pair in PAIRS:
            own = sorted(
                (each for each in fills if each.strategy == pair[0]),
                key=lambda each: (each.time, each.order_id, each.part),
            )
            before = held.get(pair, empty_holding(*pair))
            assert settlement.holdings.get(pair, before) == apply_fills(before, own)
        held = {**held, **settlement.holdings}
    assert not bookings.has(NAME, at(1))


def test_only_empty_intervals_are_idle() -> None:
    bookings = Bookings()
    records: list[Fill | Booked] = [booked(NAME, 1), booked(NAME, 2)]
    records += [fill("macd", NAME, 2, "1"), booked(NAME, 3)]
    for offset, message in enumerate(numbered("execution", NAME, records)):
        bookings.file(NAME, Inbound(message, "fills", 0, offset))
    assert [one.offset for one in bookings.take_idle(NAME, at(1))] == [0]
    assert [one.offset for one in bookings.take_idle(NAME, at(9))] == [1]
    assert bookings.take_idle(NAME, at(9)) == []
    assert bookings.take_idle("A:B", at(9)) == []
    assert bookings.has(NAME, at(3))
    assert bookings.instruments() == (NAME,)
