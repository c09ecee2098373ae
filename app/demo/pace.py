"""How far decisions are enters; the exchange's clock is held while they lag, and its speed told."""

from __future__ import annotations

from app.demo.picture import Picture
from app.market.exchange.clock import ExchangeClock

FARTHEST = 5 * 60_000
NEAR = 3 * 60_000
"""Milliseconds of exchange time: within one minute and what the way takes, a decision is due."""

WINDOW = 30.0  # real seconds over which the speed is told


class Pace:
    """Lets the market go no faster than the slowest account decides.

    What the machine can't follow would pile up as lag, and the decisions shown would be of
    minutes ago. Event time decides everything, so a slower market makes the same run.

    Args:
        clock: The exchange's.
        now: Real seconds from any origin, at the start.
    """

    def __init__(self, clock: ExchangeClock, now: float) -> None:
        self._clock = clock
        self._start = clock.now
        self._seen = [(now, clock.now)]
        self._holding = False
        self.slowed = False

    def follow(self, picture: Picture, now: float) -> None:
        """Hold the clock while decisions lag, and let it go when they are near again."""
        self._seen = [seen for seen in self._seen if now - seen[0] <= WINDOW]
        self._seen.append((now, self._clock.now))
        # Every account of a demo takes part from the start on, so a first decision is due, too.
        times = [account.time or self._start for account in picture.accounts.values()]
        behind = self._clock.now - min(times, default=self._start)
        if behind > FARTHEST and not self._clock.held:
            self._holding = self.slowed = True
            self._clock.hold()
        elif behind <= NEAR and self._holding:
            self._holding = False
            self._clock.release()

    def words(self) -> str:
        """Return how fast the day goes."""
        asked = f"{self._clock.speed:g} times its speed"
        if not self.slowed:
            return f"a day at {asked}"
        return f"a day at {self._speed():.0f} times its speed; this machine does not follow {asked}"

    def _speed(self) -> float:
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / 1000 / (now - began) if now > began else 0.0
