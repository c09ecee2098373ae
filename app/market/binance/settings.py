"""Where a Binance spot service is, and the numbers of its connections and requests."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Venue:
    """One service that speaks Binance's spot protocol.

    Attributes:
        stream: Address of the streams, without a path.
        rest: Address of REST, without a path.
    """

    stream: str
    rest: str


VENUES = {
    "binance.com": Venue("wss://stream.binance.com:9443", "https://api.binance.com"),
    "binance.com-data": Venue(
        "wss://data-stream.binance.vision:443", "https://data-api.binance.vision"
    ),
    "binance.us": Venue("wss://stream.binance.us:9443", "https://api.binance.us"),
}
"""Public services by name; any other is given by its addresses."""


@dataclass(frozen=True, slots=True)
class RestSettings:
    """How requests are made; times in seconds.

    Attributes:
        weight_limit: Weight per minute until the exchange has told its own limit.
        weight_share: The share of the limit that this process may use.
        timeout: How long one request may take; the exchange gives up after 10.
        attempts: How often a request is made before it counts as failed.
        backoff_first: The pause after a first failure.
        backoff_most: The longest pause.
    """

    weight_limit: int = 6_000
    weight_share: float = 0.9
    timeout: float = 15.0
    attempts: int = 4
    backoff_first: float = 0.5
    backoff_most: float = 10.0


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How connections are kept; times in seconds.

    Attributes:
        rotate_after: Age at which a connection is replaced; the exchange cuts at 24 hours.
        overlap: How long the old connection goes on beside its replacement.
        stale_after: A connection that carried nothing for so long is given up. A stream that
            ticks every second is always subscribed to, so silence is never normal.
        reply_timeout: How long the reply to a subscription may take.
        open_timeout: How long connecting may take.
        close_timeout: How long a close handshake may take.
        attempt_pause: The least time between two attempts to connect.
        message_pause: The least time between two control messages; the exchange cuts a
            connection above 5 messages a second, pongs counted.
        backoff_first: The pause after a first failed attempt.
        backoff_most: The longest pause.
        queue: Events that may wait between reading and processing; a full queue slows reading.
    """

    rotate_after: float = 23 * 3_600.0
    overlap: float = 10.0
    stale_after: float = 15.0
    reply_timeout: float = 10.0
    open_timeout: float = 10.0
    close_timeout: float = 2.0
    attempt_pause: float = 1.0
    message_pause: float = 0.34
    backoff_first: float = 1.0
    backoff_most: float = 60.0
    queue: int = 10_000


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own, which no proxy can reach."""
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
