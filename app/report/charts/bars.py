"""Profits enter; a histogram, or a bar in a table's cell, leaves."""

from __future__ import annotations

from collections.abc import Sequence

from app.report.charts.frame import BASELINE, BOTTOM, EDGE, HALF, LEFT, RIGHT, TOP, svg
from app.report.charts.lines import Words
from app.report.charts.scale import Scale, tick_text, value_ticks
from app.report.markup import Markup, tag

BINS = 24
BAR_WIDTH = 90.0
BAR_HEIGHT = 10.0


def bins(values: Sequence[float]) -> list[tuple[float, float, int]]:
    """Return equal bins from the lowest to the highest value: from, to, how many; zero is an edge.

    A value on an edge belongs to the bin above, the highest to the last.
    """
    ticks = value_ticks(min(*values, 0.0) - 1e-12, max(*values, 0.0) + 1e-12, BINS)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    numbers = [int(value // step) for value in values]
    first, last = min(*numbers, 0), max(*numbers, 0)
    counts = dict.fromkeys(range(first, last + 1), 0)
    for number in numbers:
        counts[number] += 1
    return [(number * step, (number + 1) * step, count) for number, count in counts.items()]


def histogram(words: Words, values: Sequence[float]) -> Markup:
    """Return how many values lie in each bin; those below zero are hatched by another look."""
    found = bins(values)
    most = max(count for _, _, count in found)
    x = Scale(found[0][0], found[-1][1], LEFT, HALF.width - RIGHT)
    y = Scale(0, most * 1.06, HALF.height - BOTTOM, TOP)
    bottom = HALF.height - BOTTOM
    rows = [
        tag(
            "path",
            tag("title", f"{tick_text(low, high - low)} to {tick_text(high, high - low)}: {count}"),
            d=f"M{x.at(low) + 0.5:.1f} {bottom:g}V{y.at(count):.1f}H{x.at(high) - 0.5:.1f}"
            f"V{bottom:g}Z",
            class_="gain" if low >= 0 else "loss",
        )
        for low, high, count in found
        if count
    ]
    ticks = value_ticks(x.low, x.high, 6)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    labels = [
        tag("text", tick_text(tick, step), x=f"{x.at(tick):.1f}", y=f"{bottom + 16:g}",
            text_anchor="end" if x.at(tick) > HALF.width - RIGHT - EDGE else "middle")
        for tick in ticks
    ]  # fmt: skip
    counts = [tick for tick in value_ticks(0, y.high, 4) if tick == int(tick)]
    sides = [
        tag("text", f"{tick:,.0f}", x=f"{LEFT - 6:g}", y=f"{y.at(tick) + BASELINE:.1f}",
            text_anchor="end")
        for tick in counts
    ]  # fmt: skip
    grid = "".join(f"M{LEFT:g} {y.at(tick):.1f}H{HALF.width - RIGHT:g}" for tick in counts)
    axis = tag("g", tag("path", d=grid, class_="grid"), *labels, *sides, class_="axis")
    chart = svg(words.name, words.title, words.description, HALF, axis, *rows)
    return tag("div", chart, class_="plot")


def bar(value: float, largest: float) -> Markup:
    """Return a bar from the middle, right for a gain, left for a loss; its row has the number."""
    middle = BAR_WIDTH / 2
    length = middle * abs(value) / largest if largest else 0.0
    begin = middle if value >= 0 else middle - length
    return tag(
        "svg",
        tag("path", d=f"M{middle:g} 0V{BAR_HEIGHT:g}", class_="zero"),
        tag("path", d=f"M{begin:.1f} 1h{length:.1f}v{BAR_HEIGHT - 2:g}h{-length:.1f}Z",
            class_="gain" if value >= 0 else "loss"),
        viewBox=f"0 0 {BAR_WIDTH:g} {BAR_HEIGHT:g}",
        class_="bar",
        aria_hidden="true",
    )  # fmt: skip
