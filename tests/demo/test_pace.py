"""The market of a demo waits for the decisions that the machine can make, and says so."""

from __future__ import annotations

import pytest

from app.demo.pace import FARTHEST, Pace
from app.demo.picture import AccountPicture, Picture
from app.market.exchange.clock import ExchangeClock

SPEED = 60.0
START = 1_570_752_000_000
MINUTE = 60_000
STEP = 0.1


def played(rate: float, seconds: float) -> tuple[Pace, int, int]:
    """Play against accounts that decide `rate` minutes of market a second; return the worst lag."""
    real = 0.0
    clock = ExchangeClock(START, SPEED, None, lambda: real)
    pace = Pace(clock, real)
    picture = Picture()
    decided, worst = float(START), 0
    while real < seconds:
        real += STEP
        clock.advance()
        decided = min(decided + rate * MINUTE * STEP, clock.now)
        whole = int(decided) // MINUTE * MINUTE
        picture.accounts = {"quick": AccountPicture(clock.now), "slow": AccountPicture(whole)}
        pace.follow(picture, real)
        worst = max(worst, clock.now - whole)
    return pace, worst, clock.now - START


def test_a_machine_that_follows_is_left_alone() -> None:
    pace, _, passed = played(rate=2.0, seconds=60)
    assert passed == pytest.approx(60 * SPEED * 1000, rel=0.01)
    assert pace.words() == "a day at 60 times its speed"


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_slow_machine_sets_the_pace(rate: float) -> None:
    pace, worst, passed = played(rate, seconds=600)
    assert worst <= FARTHEST + STEP * SPEED * 1000
    assert passed == pytest.approx(600 * rate * MINUTE, rel=0.15)
    assert pace.words().endswith("; this machine does not follow 60 times its speed")


def test_the_first_decisions_are_waited_for_too() -> None:
    clock = ExchangeClock(START, SPEED, None)
    pace = Pace(clock, 0.0)
    clock.move_to(START + FARTHEST + 1)
    picture = Picture()
    pace.follow(picture, 1.0)
    assert clock.held
    picture.accounts = {"paper": AccountPicture()}
    pace.follow(picture, 2.0)
    assert clock.held
    picture.accounts = {"paper": AccountPicture(START + 4 * MINUTE)}
    pace.follow(picture, 3.0)
    assert not clock.held


def test_a_market_that_waits_for_its_first_client_is_not_let_go() -> None:
    clock = ExchangeClock(START, SPEED, None)
    clock.hold()
    Pace(clock, 0.0).follow(Picture(), 1.0)
    assert clock.held
