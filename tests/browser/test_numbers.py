"""What the pages calculate and write of money, against Python's decimals."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest

from app.core.decimals import plain
from tests.browser.conftest import Watched

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

WORK = """
async (pairs) => {
  const sums = await import("/static/js/decimal.js");
  const { round } = await import("/static/js/format.js");
  return pairs.map(([one, two, places]) => [
    sums.add(one, two), sums.subtract(one, two), sums.multiply(one, two),
    sums.compare(one, two), round(one, places),
  ]);
}
"""


def drawn(chance: random.Random) -> Decimal:
    """Return a number as money comes: many places or few, halves often, either sign."""
    digits = chance.choice([str(chance.randrange(10 ** chance.randint(1, 22))), "5", "25", "15"])
    return Decimal(f"{chance.choice(['', '-'])}{digits}e-{chance.randint(0, 12)}")


def test_sums_and_rounding_are_those_of_decimals(look: Callable[..., Watched]) -> None:
    chance = random.Random(11)
    pairs = [(drawn(chance), drawn(chance), chance.randint(0, 8)) for _ in range(500)]
    page = look().page
    page.goto("/about")
    found = page.evaluate(WORK, [[plain(one), plain(two), places] for one, two, places in pairs])
    with localcontext(prec=80):
        for (one, two, places), answer in zip(pairs, found, strict=True):
            assert [Decimal(each) for each in answer[:3]] == [one + two, one - two, one * two]
            assert answer[3] == one.compare(two)
            rounded = one.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
            assert answer[4] == f"{abs(rounded) if rounded.is_zero() else rounded:f}"
