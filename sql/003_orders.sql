-- From risk to fill: what was ordered, refused, halted, filled and booked.

CREATE TABLE orders (
    time timestamptz NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    strategy text NOT NULL,
    order_id text NOT NULL,
    epoch bigint NOT NULL,
    side text NOT NULL,
    kind text NOT NULL,
    quantity numeric NOT NULL,
    limit_price numeric,
    stop_price numeric,
    signal text NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (order_id, time)
);
SELECT create_hypertable('orders', by_range('time', INTERVAL '30 days'),
    create_default_indexes => false);
CREATE INDEX orders_by_account ON orders (account, time DESC);
CREATE INDEX orders_by_identity ON orders (identity);
COMMENT ON TABLE orders IS 'Every order, by the decision time that made it.';

CREATE TABLE fills (
    time timestamptz NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    strategy text NOT NULL,
    order_id text NOT NULL,
    part bigint NOT NULL,
    side text NOT NULL,
    decision_time timestamptz NOT NULL,
    trade_id bigint NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    fee numeric NOT NULL,
    liquidity text NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (order_id, part, time)
);
SELECT create_hypertable('fills', by_range('time', INTERVAL '30 days'),
    create_default_indexes => false);
CREATE INDEX fills_by_account ON fills (account, time DESC);
CREATE INDEX fills_by_identity ON fills (identity);
COMMENT ON TABLE fills IS 'Each part of an order that traded, by the time of the trade it took.';

CREATE TABLE bookings (
    time timestamptz NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    final boolean NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, instrument, time)
);
SELECT create_hypertable('bookings', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX bookings_by_identity ON bookings (identity);
COMMENT ON TABLE bookings IS
    'Every fill of the account on the instrument before time is known; final after a leave.';

CREATE TABLE outcomes (
    time timestamptz NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    order_id text NOT NULL,
    filled numeric NOT NULL,
    cancelled numeric NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (order_id, time)
);
SELECT create_hypertable('outcomes', by_range('time', INTERVAL '30 days'),
    create_default_indexes => false);
COMMENT ON TABLE outcomes IS
    'What became of each order by the end of its life; identity is that of the booking.';

CREATE TABLE risk_events (
    time timestamptz NOT NULL,
    account text NOT NULL,
    kind text NOT NULL,
    epoch bigint NOT NULL,
    instrument text,
    strategy text,
    limit_name text,
    wanted numeric,
    allowed numeric,
    flatten boolean,
    reason text NOT NULL,
    signal text,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (identity, time)
);
SELECT create_hypertable('risk_events', by_range('time', INTERVAL '30 days'),
    create_default_indexes => false);
CREATE INDEX risk_events_by_account ON risk_events (account, time DESC);
COMMENT ON TABLE risk_events IS
    'What risk did: kind is refusal, halted or resumed; columns of the other kinds are null.';

CREATE TABLE risk_reports (
    time timestamptz NOT NULL,
    account text NOT NULL,
    epoch bigint NOT NULL,
    equity numeric NOT NULL,
    day_start numeric NOT NULL,
    peak numeric NOT NULL,
    daily_loss numeric NOT NULL,
    drawdown numeric NOT NULL,
    gross_notional numeric NOT NULL,
    halted boolean NOT NULL,
    orders bigint NOT NULL,
    refusals bigint NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, time)
);
SELECT create_hypertable('risk_reports', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX risk_reports_by_identity ON risk_reports (identity);
COMMENT ON TABLE risk_reports IS 'An account''s use of its limits at each decision time.';
