"""Figures enter; the texts that people read leave: rounded for the eye, signs always the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from app.core.decimals import plain
from app.core.metrics import Definition, Figure, Unit
from app.times import format_time

NONE = "\u2013"
MINUS = "\u2212"
SPACE = "\u00a0"
SIGNIFICANT = 7
MINUTE = 60_000
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", MINUTE), ("s", 1_000), ("ms", 1))


def sign(written: str, *, plus: bool = False) -> str:
    """Return a written number with a real minus sign, and a plus where wanted."""
    if written.startswith("-"):
        bare = written[1:]
        return MINUS + bare if bare.strip("0.,") else bare
    return f"+{written}" if plus and written.strip("0.,") else written


def share(value: float, *, plus: bool = False) -> str:
    """Return a share as a percentage: two places, three below 1 %."""
    percent = value * 100
    places = 2 if abs(percent) >= 1 or not percent else 3
    return f"{sign(f'{percent:,.{places}f}', plus=plus)}{SPACE}%"


def ratio(value: float) -> str:
    """Return a ratio with two places, three significant digits from 1,000 on."""
    return sign(f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}")  # noqa: PLR2004


def count(value: int) -> str:
    """Return a whole number."""
    return sign(f"{value:,}")


def counted(value: int, one: str, many: str = "") -> str:
    """Return a number of things with their name: "1 fill", "2 fills"."""
    return f"{count(value)} {one if value == 1 else many or f'{one}s'}"


def duration(milliseconds: int) -> str:
    """Return a duration in its two largest units."""
    parts: list[str] = []
    for name, size in _UNITS:
        whole, milliseconds = divmod(milliseconds, size)
        if whole or (parts and milliseconds):
            parts.append(f"{whole}{SPACE}{name}" if whole else "")
        if len(parts) == 2:  # noqa: PLR2004 - two units
            break
    return " ".join(part for part in parts if part) or f"0{SPACE}s"


def moment(milliseconds: int) -> str:
    """Return a time, UTC, to the minute, or to the second where it has any."""
    written = format_time(milliseconds - milliseconds % 1000)
    day, clock = written.rstrip("Z").split("T")
    return f"{day} {clock[:5] if milliseconds % MINUTE < 1000 else clock}"  # noqa: PLR2004 - ms


def price(value: Decimal) -> str:
    """Return a price with seven significant digits at most, whole numbers whole."""
    with localcontext(prec=60):
        places = max(0, SIGNIFICANT - 1 - value.adjusted())
        return plain(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


def quantity(value: Decimal) -> str:
    """Return a quantity, exact."""
    whole, point, places = plain(value).partition(".")
    return sign(f"{int(whole):,}{point}{places}")


@dataclass(frozen=True, slots=True)
class Money:
    """How an account's money is written: its currency, and places for the size of its capital.

    Capital of 10,000 or more has two places, of less one more for each digit, eight at most.
    The texts are rounded half-even; documents and titles have every digit.
    """

    quote: str
    places: int

    @classmethod
    def of(cls, quote: str, capital: Decimal) -> Money:
        """Return the way to write the money of an account with this capital."""
        digits = capital.adjusted() + 1 if capital else 1
        return cls(quote, min(8, max(2, 7 - digits)))

    def text(self, value: Decimal, *, plus: bool = False) -> str:
        """Return an amount without its currency."""
        with localcontext(prec=60):
            rounded = value.quantize(Decimal(1).scaleb(-self.places), ROUND_HALF_EVEN)
            return sign(f"{rounded:,f}", plus=plus)

    def near(self, value: float) -> str:
        """Return an amount that is only a float: of a curve, or of buy and hold."""
        return sign(f"{value:,.{self.places}f}")


SIGNED = frozenset({"profit", "realised", "unrealised", "total_return", "benchmark_return",
                    "excess_return", "cagr", "expectancy", "average_win", "average_loss",
                    "best_trip", "worst_trip"})  # fmt: skip
"""Figures shown with a plus sign where they are above zero."""


_WRITERS: dict[Unit, Callable[[float], str]] = {
    Unit.MONEY: ratio,
    Unit.SHARE: share,
    Unit.RATIO: ratio,
    Unit.COUNT: lambda value: count(int(value)),
    Unit.DURATION: lambda value: duration(int(value)),
    Unit.TIME: lambda value: moment(int(value)),
}


def figure(definition: Definition, value: Figure, money: Money) -> str:
    """Return a figure as people read it; a dash where it is not defined."""
    found = value.value
    if found is None:
        return NONE
    plus = definition.key in SIGNED
    if isinstance(found, Decimal):
        return money.text(found, plus=plus)
    write = _WRITERS[definition.unit]
    return share(found, plus=plus) if definition.unit is Unit.SHARE else write(found)


def exact(value: Figure) -> str:
    """Return a figure with every digit, or why there is none; for a title."""
    found = value.value
    if found is None:
        return f"Not defined: {value.reason}."
    return plain(found) if isinstance(found, Decimal) else str(found)
