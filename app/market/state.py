"""What market data must remember of an instrument to go on after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JoinStep(StrEnum):
    """How far an account's join has come."""

    DECIDED = "decided"  # its time and first id are fixed, its records perhaps not yet sent
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class AccountJoin:
    """An account's part in an instrument.

    Attributes:
        account: The account's name.
        number: The number of its configuration.
        time: The first decision time, milliseconds since the epoch UTC; of a leave: the first
            decision time without it.
        next_id: The id of the first trade that is published from the join on.
        step: How far it has come.
    """

    account: str
    number: int
    time: int
    next_id: int
    step: JoinStep


@dataclass(frozen=True, slots=True)
class OpenGap:
    """Trades that were declared missing and are still looked for.

    Attributes:
        first_id: The first one.
        last_id: The last one; none while that is not known.
        from_time: Time of the last trade before, milliseconds since the epoch UTC.
        to_time: Where the gap ends, milliseconds since the epoch UTC.
        reason: Why they could not be had.
    """

    first_id: int
    last_id: int | None
    from_time: int
    to_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class FeedState:
    """The durable state of one instrument's feed.

    An older one than what stands on the topic is safe: what follows is published again, under
    the same names.

    Attributes:
        instrument: For example BINANCE:BTCUSDT.
        last_id: Everything up to this id is published, void or in a gap; none before a join.
        last_raw_id: The last raw trade of the last trade published; -1 where not known.
        last_time: Time of the newest trade published, milliseconds since the epoch UTC.
        last_clock: Candles up to this time are closed by a clock or began before the join.
        joins: Every account's part, in the order of joining.
        gaps: Gaps still open, oldest first.
    """

    instrument: str
    last_id: int | None = None
    last_raw_id: int = -1
    last_time: int = 0
    last_clock: int = 0
    joins: tuple[AccountJoin, ...] = ()
    gaps: tuple[OpenGap, ...] = ()
