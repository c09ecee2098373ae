"""The name of a new strategy enters; the texts of its file and of its test leave."""

from __future__ import annotations

STRATEGY = '''"""@Title@: closes enter, and a view by their side of the average leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.events import View
from app.core.indicators import Ema, ema_ready, next_ema
from app.core.strategies.base import Advice, Bar, Parameters, Strategy, within


@dataclass(frozen=True, slots=True)
class @Class@Parameters(Parameters):
    """What @name@ can be told."""

    period: int = field(default=50, metadata=within(2, 1000, "bars the average leans on"))


@dataclass(frozen=True, slots=True)
class @Class@State:
    """What @name@ remembers."""

    average: Ema = field(default=Ema())


def update(
    parameters: @Class@Parameters,
    state: @Class@State,
    bar: Bar,
) -> tuple[@Class@State, Advice]:
    """Return the state after a bar, and the view by the side of the average."""
    average = next_ema(state.average, bar.close, parameters.period)
    after = @Class@State(average)
    if not ema_ready(average, parameters.period):
        return after, Advice(View.NOT_READY, f"Fewer than {parameters.period} bars were seen.")
    view = View.LONG if bar.close > average.value else View.FLAT
    reason = f"The close {bar.close:.6g} against its average {average.value:.6g}: {view}."
    return after, Advice(view, reason, {"average": average.value})


STRATEGY = Strategy(
    name="@name@",
    parameters=@Class@Parameters,
    state=@Class@State,
    update=update,
    warmup=lambda parameters: 4 * parameters.period,
)
'''

TEST = '''"""What @name@ says of prices that rise, that fall, and of too few of them."""

from __future__ import annotations

from pathlib import Path

from app.authoring import advise, bars, load_file
from app.core.events import View

STRATEGY = load_file(Path(__file__).with_name("@name@.py"))
RISING = [100.0 + number for number in range(300)]
FALLING = [400.0 - number for number in range(300)]


def test_is_not_ready_at_first_and_ready_after_its_warmup() -> None:
    warmup = STRATEGY.warmup(STRATEGY.parse({}))
    said = advise(STRATEGY, {}, bars(RISING[:warmup]))
    assert said[0].view is View.NOT_READY
    assert said[-1].view is not View.NOT_READY


def test_owns_what_rises_and_nothing_of_what_falls() -> None:
    assert advise(STRATEGY, {"period": "10"}, bars(RISING))[-1].view is View.LONG
    assert advise(STRATEGY, {"period": "10"}, bars(FALLING))[-1].view is View.FLAT


def test_the_same_bars_make_the_same_advice() -> None:
    prices = [100.0 + number % 17 - number % 5 for number in range(300)]
    assert advise(STRATEGY, {}, bars(prices)) == advise(STRATEGY, {}, bars(prices))


def test_says_its_numbers() -> None:
    said = advise(STRATEGY, {"period": "10"}, bars(RISING))[-1]
    assert set(said.indicators) == {"average"}
    assert "average" in said.reason
'''


def filled(text: str, name: str) -> str:
    """Return a text for a name."""
    words = name.split("_")
    names = {
        "name": name,
        "Title": " ".join(words).capitalize(),
        "Class": "".join(word.capitalize() for word in words),
    }
    for place, value in names.items():
        text = text.replace(f"@{place}@", value)
    return text
