"""A broker enters; everything that viewers look at, kept up to date, leaves."""

from __future__ import annotations

from dataclasses import dataclass

from app.dashboard.live.cursor import Cursors
from app.dashboard.live.follower import Follower
from app.dashboard.live.prices import Prices
from app.dashboard.live.pulse import Pulse
from app.dashboard.live.tally import Tally
from app.runtime.bus import EventBus
from app.runtime.topics import Cluster


@dataclass(frozen=True, slots=True)
class Live:
    """What is followed, and by what means it reaches viewers.

    Attributes:
        bus: Carries every streamed record.
        pulse: Wakes who waits.
        prices: The latest of each instrument.
        follower: Reads the topics.
        cursors: Says where a viewer stands.
        tally: Counts and measures what came.
    """

    bus: EventBus
    pulse: Pulse
    prices: Prices
    follower: Follower
    cursors: Cursors
    tally: Tally


def sight(cluster: Cluster, interval: int) -> Live:
    """Return what follows an installation whose base interval, in milliseconds, is given."""
    bus, pulse, prices = EventBus(), Pulse(), Prices(interval)
    follower, tally = Follower(cluster, bus, prices, pulse), Tally(interval)
    follower.takers.append(tally.take)
    installation = f"{cluster.bootstrap}/{cluster.prefix}"
    cursors = Cursors(installation, frozenset(follower.streamed))
    return Live(bus, pulse, prices, follower, cursors, tally)
