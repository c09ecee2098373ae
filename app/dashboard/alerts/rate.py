"""Notices enter; those that may go out now leave, the rest is counted and told together."""

from __future__ import annotations

from collections import Counter, deque

from app.dashboard.alerts.notices import Notice

HOUR = 3_600.0
URGENT = frozenset({"halt", "daily_loss", "worker_down"})
"""What no flood of other notices may hold back."""


class Rate:
    """Lets so many notices through in an hour, and each the same only once in a while.

    Args:
        hourly: The most in any hour, urgent ones aside.
        quiet: Seconds in which nothing is said twice of the same kind and subject.
    """

    def __init__(self, hourly: int, quiet: float) -> None:
        self._hourly, self._quiet = hourly, quiet
        self._sent: deque[float] = deque()
        self._last: dict[tuple[str, str], tuple[float, bool]] = {}
        self._held: Counter[str] = Counter()
        self._held_since = 0.0

    def admit(self, notice: Notice, now: float) -> bool:
        """Tell whether a notice goes out at a time, in seconds of a clock that goes forward."""
        key = notice.kind, notice.subject
        at, over = self._last.get(key, (now - self._quiet, notice.over))
        repeated = over == notice.over and now - at < self._quiet
        if repeated or (self._used(now) >= self._hourly and notice.kind not in URGENT):
            self._held_since = self._held_since if self._held else now
            self._held[notice.kind] += 1
            return False
        self._last[key] = now, notice.over
        self._sent.append(now)
        return True

    def summary(self, now: float) -> Notice | None:
        """Return what was held back, once that has gone on for as long as nothing is repeated."""
        if not self._held or now - self._held_since < self._quiet:
            return None
        kinds = ", ".join(f"{kind} {count}" for kind, count in self._held.most_common())
        says = f"{self._held.total()} more alerts were held back: {kinds}. The dashboard has all."
        self._held.clear()
        return Notice("held_back", "alerts", says)

    def _used(self, now: float) -> int:
        """Return how many were sent in the last hour."""
        while self._sent and now - self._sent[0] >= HOUR:
            self._sent.popleft()
        return len(self._sent)
