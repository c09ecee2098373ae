"""Records as they come enter; how many there were of what, and how long each hop took, leave."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Iterator

from app.core.events import (
    Allocated,
    Candle,
    Clock,
    DeadLetter,
    Fill,
    Gap,
    Halted,
    Orders,
    Portfolio,
    Record,
    Refusal,
    Signal,
    Trades,
)
from app.dashboard.live.placed import Placed
from app.market.tape import BEGINNING, VOID

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper bounds of a delay's classes, seconds; what is longer is in a last one."""

HOPS = ("candles", "signals", "portfolio", "allocations", "orders")
CLOSE = "close"
MOST_MOMENTS = 20_000


class Delays:
    """A histogram of delays.

    Attributes:
        sum: Of all of them, seconds.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Add one."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def classes(self) -> list[tuple[str, float]]:
        """Return each upper bound and how many were within it, as Prometheus has them."""
        total, found = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Tally:
    """Counts what was read, and measures from one append to the next by the broker's own clock.

    Attributes:
        counts: Of each kind of happening, how many, by the values of `LABELS`.
        hops: From a decision time's last input of a stage to its last output, by its topic.
        decisions: From what closed an account's last bar to its last orders, by account.

    Args:
        interval: The base interval, milliseconds.
    """

    LABELS: dict[str, tuple[str, ...]] = {  # noqa: RUF012 - a table, which nobody changes
        "decisions": ("account",),
        "orders": ("account", "side"),
        "fills": ("account", "side"),
        "refusals": ("account", "limit"),
        "halts": ("account", "limit"),
        "gaps": ("instrument",),
        "candle_revisions": ("instrument",),
        "dead_letters_seen": ("topic", "stage"),
    }

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self.counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in self.LABELS}
        self.hops = {name: Delays() for name in HOPS}
        self.decisions: dict[str, Delays] = {}
        self._moments: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._instruments: dict[str, set[str]] = {}
        self._last: dict[str, int] = {}
        self._gaps: dict[str, int] = {}

    def take(self, message: Placed) -> None:
        """Take a record."""
        record = message.record
        if not isinstance(record, Gap) or self._opens(record):
            for name, labels in _happenings(record):
                self.counts[name][labels] += 1
        self._note(record, message.at)

    def _opens(self, gap: Gap) -> bool:
        """Tell a gap that lost trades from what tells its end, or of trades that never were."""
        before, self._gaps[gap.instrument] = self._gaps.get(gap.instrument), gap.first_id
        return gap.first_id != before and is_loss(gap)

    def _note(self, record: Record, at: int) -> None:
        """Keep when a part of a decision was appended; with the next, the one before is whole."""
        match record:
            case Trades(instrument=name, time=times):
                # Known from the start, so that the first gap of an instrument is a rise, too.
                self.counts["gaps"].setdefault((name,), 0)
                self._first(name, times[-1], at)
            case Clock(instrument=name, time=time):
                self._first(name, time, at)
            case Candle(instrument=name, time=time, revision=0):
                self._latest("candles", name, time, at)
            case Signal(account=name, time=time, instrument=instrument):
                self._instruments.setdefault(name, set()).add(instrument)
                self._latest("signals", name, time, at)
            case Portfolio(account=name, time=time):
                self._latest("portfolio", name, time, at)
            case Allocated(account=name, time=time):
                self._latest("allocations", name, time, at)
            case Orders(account=name, time=time):
                self._latest("orders", name, time, at)
                self._ordered(name, time)

    def _first(self, instrument: str, time: int, at: int) -> None:
        """Keep what closed a bar: the first record with a time at or after its end."""
        self._moments.setdefault((CLOSE, instrument, time // self._interval * self._interval), at)
        self._forget()

    def _latest(self, hop: str, key: str, time: int, at: int) -> None:
        place = hop, key, time
        self._moments[place] = max(at, self._moments.get(place, 0))
        self._forget()

    def _forget(self) -> None:
        while len(self._moments) > MOST_MOMENTS:
            self._moments.popitem(last=False)

    def _ordered(self, account: str, time: int) -> None:
        before = self._last.get(account, 0)
        if time > before:
            self._last[account] = time
            self._measure(account, before)

    def _measure(self, account: str, time: int) -> None:
        """Add the delays of a decision of which all was seen."""
        ends = [self._bars(CLOSE, account, time), self._bars("candles", account, time)]
        ends += [self._moments.get((hop, account, time), 0) for hop in HOPS[1:]]
        if not all(ends):
            return
        for hop, begun, ended in zip(HOPS, ends, ends[1:], strict=False):
            self.hops[hop].add(max(ended - begun, 0) / 1000)
        self.decisions.setdefault(account, Delays()).add(max(ends[-1] - ends[0], 0) / 1000)

    def _bars(self, hop: str, account: str, time: int) -> int:
        """Return when the last of an account's instruments came so far; 0: not all of them did."""
        names = self._instruments.get(account, ())
        found = [self._moments.get((hop, name, time), 0) for name in names]
        return max(found, default=0) if all(found) else 0


def is_loss(gap: Gap) -> bool:
    """Tell a gap of trades that could not be had from one of ids that never were trades."""
    return gap.reason not in (VOID, BEGINNING)


def _happenings(record: Record) -> Iterator[tuple[str, tuple[str, ...]]]:
    match record:
        case Allocated(account=account):
            yield "decisions", (account,)
        case Orders(account=account, orders=orders):
            for order in orders:
                yield "orders", (account, str(order.side))
        case Fill(account=account, side=side):
            yield "fills", (account, str(side))
        case Refusal(account=account, limit=limit):
            yield "refusals", (account, str(limit))
        case Halted(account=account, limit=limit):
            yield "halts", (account, str(limit))
        case Gap(instrument=instrument):
            yield "gaps", (instrument,)
        case Candle(instrument=instrument, revision=revision) if revision:
            yield "candle_revisions", (instrument,)
        case DeadLetter(topic=topic, stage=stage):
            yield "dead_letters_seen", (topic, stage)
