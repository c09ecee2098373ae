"""Bars and fills of one instrument enter; its price chart leaves."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.metrics.marks import FillMarks
from app.core.metrics.prices import Bar
from app.report.charts.columns import extent
from app.report.charts.frame import LEFT, WIDE, Frame, axes, svg
from app.report.charts.lines import Words
from app.report.markup import Markup, join, tag
from app.report.numbers import moment

MOST_CANDLES = 240
MARK = 4.5


def price_chart(words: Words, bars: Sequence[Bar], length: int, fills: FillMarks | None) -> Markup:
    """Return candles where they fit, else the range of each bar and a line through the closes.

    Args:
        words: What it is called.
        bars: At least one.
        length: Of a bar, milliseconds.
        fills: Drawn as triangles: up for bought, down for sold.
    """
    begin, end = bars[0].time - length, bars[-1].time
    values = extent([[bar.low for bar in bars], [bar.high for bar in bars]])
    frame = Frame.around(WIDE, (begin, end), values)
    if len(bars) <= MOST_CANDLES:
        drawn = _candles(frame, bars, length)
    else:
        drawn = _ranges(frame, bars, length)
    marks = _marks(frame, fills) if fills is not None else Markup("")
    chart = svg(words.name, words.title, words.description, WIDE, axes(frame), drawn, marks)
    return tag("div", chart, class_="plot")


def _candles(frame: Frame, bars: Sequence[Bar], length: int) -> Markup:
    """Return candles; one that fell is filled, one that rose is hollow."""
    width = (frame.x.at(bars[0].time) - frame.x.at(bars[0].time - length)) * 0.7
    rose: list[str] = []
    fell: list[str] = []
    for bar in bars:
        x = frame.x.at(bar.time - length / 2)
        top, bottom = frame.y.at(max(bar.open, bar.close)), frame.y.at(min(bar.open, bar.close))
        wick = f"M{x:.1f} {frame.y.at(bar.high):.1f}V{top:.1f}M{x:.1f} {bottom:.1f}V"
        body = f"M{x - width / 2:.1f} {top:.1f}h{width:.1f}V{bottom:.1f}h{-width:.1f}Z"
        (rose if bar.close >= bar.open else fell).append(f"{wick}{frame.y.at(bar.low):.1f}{body}")
    return join(
        tag("path", d="".join(data), class_=f"candle {name}")
        for name, data in (("rose", rose), ("fell", fell))
        if data
    )


def _ranges(frame: Frame, bars: Sequence[Bar], length: int) -> Markup:
    middle = [(int(bar.time - length / 2), bar) for bar in bars]
    ranges = "".join(
        f"M{frame.point(time, bar.high)}V{frame.y.at(bar.low):.1f}" for time, bar in middle
    )
    closes = frame.path((time, bar.close) for time, bar in middle)
    return join([tag("path", d=ranges, class_="range"), tag("path", d=closes, class_="line price")])


def _marks(frame: Frame, fills: FillMarks) -> Markup:
    """Return a triangle for each pixel column and side that has fills, at their mean price."""
    groups: dict[tuple[int, int], list[int]] = {}
    for index, time in enumerate(fills.time):
        if frame.x.low <= time <= frame.x.high:
            column = int((frame.x.at(time) - LEFT) / MARK)
            groups.setdefault((column, fills.buy[index]), []).append(index)
    return tag(
        "g", *(_mark(frame, fills, buy, group) for (_, buy), group in sorted(groups.items()))
    )


def _mark(frame: Frame, fills: FillMarks, buy: int, group: list[int]) -> Markup:
    quantity = sum(fills.quantity[each] for each in group)
    value = sum(fills.quantity[each] * fills.price[each] for each in group)
    price = value / quantity if quantity else fills.price[group[0]]
    x, y = frame.x.at(fills.time[group[0]]), frame.y.at(price)
    tip, side = (MARK, "bought") if buy else (-MARK, "sold")
    shape = f"M{x:.1f} {y:.1f}l{MARK * 0.8:.1f} {tip * 1.7:.1f}h{-MARK * 1.6:.1f}Z"
    words = f"{side} {quantity:g} at {price:g}, {len(group)} fills from "
    title = tag("title", f"{words}{moment(fills.time[group[0]])}")
    return tag("path", title, d=shape, class_=side)
