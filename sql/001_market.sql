-- The market: what the exchange did, and the candles made of it. Times are timestamptz, UTC;
-- topic_partition and topic_offset say where the record stood. A table whose rows enter from
-- outside has no origin.

CREATE TABLE instruments (
    instrument text NOT NULL,
    account text NOT NULL,
    epoch bigint NOT NULL,
    base text NOT NULL,
    quote text NOT NULL,
    tick_size numeric NOT NULL,
    lot_size numeric NOT NULL,
    minimum_quantity numeric NOT NULL,
    minimum_notional numeric NOT NULL,
    interval_ms bigint NOT NULL,
    version bigint NOT NULL,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (instrument, account, epoch)
);
COMMENT ON TABLE instruments IS
    'The exchange''s rules for an instrument, as each epoch of each account found them.';

CREATE TABLE memberships (
    time timestamptz NOT NULL,
    kind text NOT NULL,
    instrument text NOT NULL,
    account text NOT NULL,
    epoch bigint NOT NULL,
    next_id bigint,
    series text,
    reason text,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (identity, time)
);
SELECT create_hypertable('memberships', by_range('time', INTERVAL '90 days'),
    create_default_indexes => false);
CREATE INDEX memberships_by_account ON memberships (account, instrument, time DESC);
COMMENT ON TABLE memberships IS
    'When an instrument joined or left an account: kind is join or leave, time the first decision.';

CREATE TABLE trades (
    time timestamptz NOT NULL,
    instrument text NOT NULL,
    trade_id bigint NOT NULL,
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    buyer_maker boolean NOT NULL,
    age_ms bigint NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (instrument, trade_id, time)
);
SELECT create_hypertable('trades', by_range('time', INTERVAL '1 day'),
    create_default_indexes => false);
CREATE INDEX trades_by_time ON trades (instrument, time DESC, trade_id DESC);
COMMENT ON TABLE trades IS
    'Every trade; its name is trades/INSTRUMENT/trade_id. age_ms is that of the record it came in.';

CREATE TABLE clocks (
    time timestamptz NOT NULL,
    instrument text NOT NULL,
    last_id bigint NOT NULL,
    age_ms bigint NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (instrument, time)
);
SELECT create_hypertable('clocks', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
COMMENT ON TABLE clocks IS
    'Every clock: all trades before time are published. Its name is clock/INSTRUMENT/milliseconds.';

CREATE TABLE gaps (
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    instrument text NOT NULL,
    first_id bigint NOT NULL,
    last_id bigint,
    reason text NOT NULL,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (identity, from_time)
);
SELECT create_hypertable('gaps', by_range('from_time', INTERVAL '90 days'),
    create_default_indexes => false);
CREATE INDEX gaps_by_time ON gaps (instrument, from_time DESC);
COMMENT ON TABLE gaps IS
    'Trades that could not be had in time; last_id is null where the end was not known.';

CREATE TABLE history (
    time timestamptz NOT NULL,
    instrument text NOT NULL,
    interval_ms bigint NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (identity, time)
);
SELECT create_hypertable('history', by_range('time', INTERVAL '30 days'),
    create_default_indexes => false);
COMMENT ON TABLE history IS
    'Past candles that strategies were warmed up on; time is the end of the interval.';

CREATE TABLE candles (
    time timestamptz NOT NULL,
    instrument text NOT NULL,
    interval_ms bigint NOT NULL,
    revision bigint NOT NULL,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric NOT NULL,
    quote_volume numeric NOT NULL,
    taker_buy_volume numeric NOT NULL,
    trades bigint NOT NULL,
    first_id bigint,
    last_id bigint,
    complete boolean NOT NULL,
    age_ms bigint NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (instrument, time, revision)
);
SELECT create_hypertable('candles', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX candles_by_identity ON candles (identity);
COMMENT ON TABLE candles IS
    'Closed intervals [time - interval, time); decisions use revision 0, late trades make more.';
