"""Every number of the local exchange comes in here, each with the value Binance documents."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """What the local exchange does, and how strictly.

    Exchange times are milliseconds UTC since the epoch on the exchange's own clock; everything
    in seconds is real time, because limits and keepalives protect real sockets.

    Attributes:
        host: the address to listen on.
        port: the port to listen on, 0 for a free one.
        start: the exchange time to begin at; by default the minute of the first dump's first
            trade, or now if there is no dump.
        until: the exchange time at which the clock stops, None for never.
        speed: exchange seconds per real second; 0 leaves the clock to `LocalExchange.play_to`.
        tick_seconds: how often what is due is sent.
        wait_for_subscribers: the clock stands at `start` until every market's trades have been
            subscribed to, so that a fast day isn't over before the first client has connected.
        history_ms: how far before `start` a synthetic market begins.
        keep_aggregates: how many aggregates (and candles) a symbol keeps for REST.
        kline_gap_seconds: the least real time between two updates of a kline stream.
        lifetime_seconds: how long a connection may live.
        lifetime_close_code: the close code of that cut, None for no close frame.
        ping_interval_seconds: how often the server pings, None for never.
        pong_timeout_seconds: how long a ping may stay unanswered.
        check_pong_payload: close 1008 on a pong whose payload is no outstanding ping's.
        messages_per_second: incoming frames a connection may send, pings and pongs included.
        streams_per_connection: subscriptions a connection may hold.
        connections_per_window: new connections an address may open per window.
        connection_window_seconds: the width of that window.
        control_message_bytes: a longer control message is ignored.
        url_characters: a longer path and query are refused.
        queue_frames: frames a slow client may be behind before it is dropped.
        close_timeout_seconds: how long a close handshake may take.
        weight_per_minute: request weight an address may use per minute of the real clock.
        requests_per_window: requests an address may make per window.
        request_window_seconds: the width of that window.
        bans_after: refused requests (429) within a minute after which an address is banned (418).
        ban_seconds: the first ban; each further one is twice as long.
        longest_ban_seconds: the longest ban.
        default_limit: rows of a REST answer unless asked otherwise.
        maximum_limit: rows of a REST answer at most; a larger limit is cut to it.
        control: whether `/control/…` takes commands.
    """

    host: str = "127.0.0.1"
    port: int = 0
    start: int | None = None
    until: int | None = None
    speed: float = 1.0
    tick_seconds: float = 0.005
    wait_for_subscribers: bool = False
    history_ms: int = 6 * HOUR
    keep_aggregates: int = 100_000
    kline_gap_seconds: float = 0.02
    lifetime_seconds: float = 86_400.0
    lifetime_close_code: int | None = 1001
    ping_interval_seconds: float | None = 20.0
    pong_timeout_seconds: float = 60.0
    check_pong_payload: bool = False
    messages_per_second: int = 5
    streams_per_connection: int = 1024
    connections_per_window: int = 300
    connection_window_seconds: float = 300.0
    control_message_bytes: int = 4096
    url_characters: int = 8004
    queue_frames: int = 50_000
    close_timeout_seconds: float = 1.0
    weight_per_minute: int = 6_000
    requests_per_window: int = 300_000
    request_window_seconds: float = 300.0
    bans_after: int = 10
    ban_seconds: float = 120.0
    longest_ban_seconds: float = 259_200.0
    default_limit: int = 500
    maximum_limit: int = 1000
    control: bool = False
