"""What charts and texts are made of: ticks, pixels, signs, durations, money."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.metrics import DEFINITIONS, Figure
from app.report.charts.bars import bins
from app.report.charts.columns import pick, thin
from app.report.charts.scale import Scale, tick_text, time_ticks, value_ticks, widen
from app.report.markup import Markup, tag
from app.report.numbers import Money, counted, duration, figure, moment, price, ratio, share
from app.times import parse_time

FINITE = st.floats(-1e12, 1e12)
TIMES = st.integers(0, 4_000_000_000_000)


@given(FINITE, st.floats(1e-9, 1e12), st.integers(2, 10))
def test_ticks_are_inside_and_few(low: float, height: float, most: int) -> None:
    high = low + height
    if high - low < abs(low) * 1e-9:
        return
    ticks = value_ticks(low, high, most)
    step = (high - low) / most
    assert len(ticks) <= most + 1
    assert all(low - step <= tick <= high + step for tick in ticks)
    assert ticks == sorted(ticks)


@given(TIMES, st.integers(1, 10**12), st.integers(2, 10))
def test_time_ticks_are_inside_and_told_apart(low: int, span: int, most: int) -> None:
    ticks = time_ticks(low, low + span, most)
    assert len(ticks) <= most + 1
    assert all(low <= time <= low + span for time, _ in ticks)


@pytest.mark.parametrize(
    ("begin", "end", "texts"),
    [
        ("2019-10-11T00:01", "2019-10-12T00:00", ["06:00", "12:00", "18:00", "12\u00a0Oct"]),
        ("2019-10-01", "2020-10-01", ["Oct 2019", "Jan 2020", "Apr 2020", "Jul 2020", "Oct 2020"]),
        ("2019-10-11T00:00:10", "2019-10-11T00:01:40", ["00:00:30", "00:01:00", "00:01:30"]),
    ],
)
def test_time_ticks_are_round(begin: str, end: str, texts: list[str]) -> None:
    found = time_ticks(parse_time(begin), parse_time(end), 6)
    assert [text for _, text in found] == texts


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (39_500.0, 500.0, "39,500"),
        (-0.2, 0.1, "\u22120.2"),
        (1_200_000.0, 200_000.0, "1.2M"),
        (40_000.0, 20_000.0, "40k"),
        (0.0, 200_000.0, "0"),
        (0.00145, 0.00005, "0.00145"),
    ],
)
def test_tick_texts(value: float, step: float, text: str) -> None:
    assert tick_text(value, step) == text


@given(FINITE, st.floats(0, 1e12))
def test_a_widened_range_has_room_for_all(low: float, height: float) -> None:
    begin, end = widen(low, low + height)
    assert begin < low <= low + height < end
    scale = Scale(begin, end, 100.0, 10.0)
    assert 10 <= scale.at(low) <= 100


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_a_thinned_curve_keeps_ends_and_extremes(values: list[float], columns: int) -> None:
    times = np.arange(len(values), dtype=np.int64) * 60_000
    points = thin(times, np.array(values), columns)
    assert [time for time, _ in points] == sorted({time for time, _ in points})
    shown = [value for _, value in points]
    assert (shown[0], shown[-1]) == (values[0], values[-1])
    assert (min(shown), max(shown)) == (min(values), max(values))
    assert len(points) <= max(2 * columns, 4 * columns)
    assert all(values[time // 60_000] == value for time, value in points)


@given(st.integers(1, 500), st.integers(2, 50))
def test_picked_indexes_are_few_and_have_both_ends(count: int, most: int) -> None:
    found = pick(count, most)
    assert (found[0], found[-1]) == (0, count - 1)
    assert len(found) == len({*found}) == min(count, most)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_every_value_is_in_one_bin(values: list[float]) -> None:
    found = bins(values)
    assert sum(count for _, _, count in found) == len(values)
    assert len(found) < 60


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (share(0.0456, plus=True), "+4.56\u00a0%"),
        (share(-0.00407), "\u22120.407\u00a0%"),
        (share(-0.0000001, plus=True), "0.000\u00a0%"),
        (share(0.0), "0.00\u00a0%"),
        (ratio(-19.256), "\u221219.26"),
        (ratio(15797.7), "15,798"),
        (duration(90_061_000), "1\u00a0d 1\u00a0h"),
        (duration(86_400_000), "1\u00a0d"),
        (duration(86_401_000), "1\u00a0d"),
        (duration(0), "0\u00a0s"),
        (duration(58_479), "58\u00a0s 479\u00a0ms"),
        (moment(1_570_752_060_000), "2019-10-11 00:01"),
        (moment(1_570_752_061_500), "2019-10-11 00:01:01"),
        (price(Decimal("0.001417680833")), "0.001417681"),
        (price(Decimal("39432.480000000001")), "39432.48"),
        (price(Decimal(12345678)), "12345678"),
        (counted(1, "fill"), "1 fill"),
        (counted(1200, "fill"), "1,200 fills"),
    ],
)
def test_texts(written: str, text: str) -> None:
    assert written == text


@pytest.mark.parametrize(
    ("capital", "value", "text"),
    [
        ("10000", "1234.565", "+1,234.56"),
        ("10", "-0.262588", "\u22120.26259"),
        ("0.05", "0.000000004", "0.00000000"),
        ("1000000", "0", "0.00"),
    ],
)
def test_money_has_places_for_the_size_of_the_capital(capital: str, value: str, text: str) -> None:
    assert Money.of("USDT", Decimal(capital)).text(Decimal(value), plus=True) == text


def test_what_is_not_defined_is_a_dash() -> None:
    money = Money.of("USDT", Decimal(1))
    assert figure(DEFINITIONS["sharpe"], Figure(None, "why"), money) == "\u2013"


def test_markup_is_escaped_once() -> None:
    inner = tag("b", "a < b")
    assert tag("p", inner, "&", title='"x"') == '<p title="&quot;x&quot;"><b>a &lt; b</b>&amp;</p>'
    assert isinstance(inner, Markup)
