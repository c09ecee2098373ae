"""Scales and what is drawn on them enter; one SVG with axes, title and description leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.report.charts.scale import Scale, tick_text, time_ticks, value_ticks, widen
from app.report.markup import Markup, join, tag

LEFT, RIGHT, TOP, BOTTOM = 62.0, 10.0, 8.0, 22.0
BASELINE = 4.0
EDGE = 14.0
"""Nearer to the right edge than this a text ends at its tick, or it would be cut."""


@dataclass(frozen=True, slots=True)
class Size:
    """A chart's size in its own units, pixels where it is not scaled."""

    width: int
    height: int

    @property
    def columns(self) -> int:
        """How many pixels wide the drawing is."""
        return int(self.width - LEFT - RIGHT)


WIDE = Size(960, 280)
LOW = Size(960, 150)
HALF = Size(470, 200)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things are on a chart.

    Attributes:
        size: Of the whole.
        x: From milliseconds since the epoch UTC.
        y: From values.
        unit: What stands behind the tick texts, for example " %".
    """

    size: Size
    x: Scale
    y: Scale
    unit: str = ""

    @classmethod
    def around(
        cls, size: Size, times: tuple[int, int], values: tuple[float, float], unit: str = ""
    ) -> Frame:
        """Return a frame that shows these ranges with some room."""
        begin, end = times
        low, high = widen(*values)
        x = Scale(begin, max(end, begin + 1), LEFT, size.width - RIGHT)
        return cls(size, x, Scale(low, high, size.height - BOTTOM, TOP), unit)

    def point(self, time: float, value: float) -> str:
        """Return the place of a point, to a tenth of a pixel."""
        return f"{self.x.at(time):.1f} {self.y.at(value):.1f}"

    def path(self, points: Iterable[tuple[int, float]]) -> str:
        """Return the path data of a line through points."""
        return "M" + "L".join(self.point(time, value) for time, value in points)


def svg(name: str, title: str, description: str, size: Size, *drawn: Markup) -> Markup:
    """Return the image; `name` is unique on the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *drawn,
        viewBox=f"0 0 {size.width} {size.height}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=f"chart w{size.width}",
    )


def axes(frame: Frame) -> Markup:
    """Return grid lines and the texts at them."""
    return join([_values(frame), _times(frame)])


def zero(frame: Frame) -> Markup:
    """Return a line at zero, where zero is in sight."""
    if not frame.y.low < 0 < frame.y.high:
        return Markup("")
    y = f"{frame.y.at(0):.1f}"
    return tag("path", d=f"M{LEFT:g} {y}H{frame.size.width - RIGHT:g}", class_="zero")


def _values(frame: Frame) -> Markup:
    most = max(3, frame.size.height // 38)
    ticks = value_ticks(frame.y.low, frame.y.high, most)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else frame.y.high - frame.y.low
    right = frame.size.width - RIGHT
    lines = "".join(f"M{LEFT:g} {frame.y.at(tick):.1f}H{right:g}" for tick in ticks)
    texts = [
        tag(
            "text",
            f"{tick_text(tick, step)}{frame.unit}",
            x=f"{LEFT - 6:g}",
            y=f"{frame.y.at(tick) + BASELINE:.1f}",
            text_anchor="end",
        )
        for tick in ticks
    ]
    return tag("g", tag("path", d=lines or "M0 0", class_="grid"), *texts, class_="axis")


def _times(frame: Frame) -> Markup:
    ticks = time_ticks(int(frame.x.low), int(frame.x.high), max(3, frame.size.columns // 85))
    bottom = frame.size.height - BOTTOM
    edge = frame.size.width - RIGHT - EDGE
    lines = "".join(f"M{frame.x.at(time):.1f} {bottom:g}v4" for time, _ in ticks)
    texts = [
        tag(
            "text",
            words,
            x=f"{frame.x.at(time):.1f}",
            y=f"{bottom + 16:g}",
            text_anchor="end" if frame.x.at(time) > edge else "middle",
        )
        for time, words in ticks
    ]
    rule = tag("path", d=f"M{LEFT:g} {bottom:g}H{frame.size.width - RIGHT:g}{lines}", class_="rule")
    return tag("g", rule, *texts, class_="axis")
