"""Named curves enter; a line chart leaves, its lines told apart by colour, dash and name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.metrics.arrays import Floats, Times
from app.report.charts.columns import extent, thin
from app.report.charts.frame import Frame, Size, axes, svg, zero
from app.report.markup import Markup, join, tag

LOOKS = 8
"""How many looks of lines the style sheet has; a ninth line looks like the first again."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line.

    Attributes:
        name: In the legend.
        times: Milliseconds since the epoch UTC.
        values: In the unit of the chart.
        look: Which look of the style sheet; none for the next one.
        area: Whether the area between the line and zero is filled.
    """

    name: str
    times: Times
    values: Floats
    look: int | None = None
    area: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What a chart is called.

    Attributes:
        name: Unique on the page.
        title: In a few words.
        description: For who can't see it: what is drawn, and its ends.
        unit: Behind the values.
    """

    name: str
    title: str
    description: str
    unit: str = ""


def line_chart(
    words: Words, size: Size, curves: Sequence[Curve], *, origin: bool = False
) -> Markup:
    """Return the chart of curves over one time range, at least one of them with a point.

    Args:
        words: What it is called.
        size: How large it is.
        curves: Drawn one over the other, the first on top.
        origin: Whether zero is in sight.
    """
    drawn = [curve for curve in curves if len(curve.times)]
    points = [thin(curve.times, curve.values, size.columns) for curve in drawn]
    values = [[value for _, value in row] for row in points]
    low, high = extent([*values, [0.0]] if origin else values)
    begin = min(int(curve.times[0]) for curve in drawn)
    end = max(int(curve.times[-1]) for curve in drawn)
    frame = Frame.around(size, (begin, end), (low, high), words.unit)
    lines = [
        _line(frame, curve, row, look(curve, number))
        for number, (curve, row) in enumerate(zip(drawn, points, strict=True))
    ]
    chart = svg(
        words.name, words.title, words.description, size, axes(frame), zero(frame), *lines[::-1]
    )
    return join([legend(drawn), tag("div", chart, class_="plot")])


def look(curve: Curve, number: int) -> int:
    """Return which look of the style sheet the so-manieth curve has."""
    return (number if curve.look is None else curve.look) % LOOKS


def legend(curves: Sequence[Curve]) -> Markup:
    """Return the names of the lines, each beside a piece of its line."""
    entries = [
        tag(
            "span",
            tag(
                "svg",
                tag("path", d="M0 5H26", class_=f"line s{look(curve, number)}"),
                viewBox="0 0 26 10",
                class_="swatch",
                aria_hidden="true",
            ),
            curve.name,
        )
        for number, curve in enumerate(curves)
    ]
    return tag("p", *entries, class_="legend")


def _line(frame: Frame, curve: Curve, points: list[tuple[int, float]], number: int) -> Markup:
    data = frame.path(points)
    drawn = [tag("path", d=data, class_=f"line s{number}")]
    if curve.area:
        base = f"{frame.y.at(min(max(0.0, frame.y.low), frame.y.high)):.1f}"
        first, last = frame.x.at(points[0][0]), frame.x.at(points[-1][0])
        closed = f"{data}L{last:.1f} {base}L{first:.1f} {base}Z"
        drawn.insert(0, tag("path", d=closed, class_=f"area s{number}"))
    return tag("g", tag("title", curve.name), *drawn)
