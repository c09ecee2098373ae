-- What was seen and what was wanted at each decision time. Money is in the account's quote currency.

CREATE TABLE accounts (
    account text NOT NULL,
    epoch bigint NOT NULL,
    quote text NOT NULL,
    capital numeric NOT NULL,
    interval_ms bigint NOT NULL,
    version bigint NOT NULL,
    configuration jsonb NOT NULL,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, epoch)
);
COMMENT ON TABLE accounts IS
    'Every configuration of every account; stored from the epoch of its first instrument.';

CREATE TABLE commands (
    account text NOT NULL,
    command_id text NOT NULL,
    action text NOT NULL,
    given_by text NOT NULL,
    reason text NOT NULL,
    identity text PRIMARY KEY,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL
);
CREATE INDEX commands_by_account ON commands (account, topic_offset DESC);
COMMENT ON TABLE commands IS
    'What people told an account; portfolio.instructions says when each one acted.';

CREATE TABLE signals (
    time timestamptz NOT NULL,
    account text NOT NULL,
    instrument text NOT NULL,
    strategy text NOT NULL,
    epoch bigint NOT NULL,
    view text NOT NULL,
    reason text NOT NULL,
    indicators jsonb NOT NULL,
    price numeric,
    complete boolean NOT NULL,
    age_ms bigint NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, instrument, strategy, time)
);
SELECT create_hypertable('signals', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX signals_by_time ON signals (account, time DESC);
CREATE INDEX signals_by_identity ON signals (identity);
COMMENT ON TABLE signals IS
    'One strategy''s view of one instrument at one decision time, for one account.';

CREATE TABLE portfolio (
    time timestamptz NOT NULL,
    account text NOT NULL,
    epoch bigint NOT NULL,
    cash numeric NOT NULL,
    equity numeric NOT NULL,
    instructions jsonb NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, time)
);
SELECT create_hypertable('portfolio', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX portfolio_by_identity ON portfolio (identity);
COMMENT ON TABLE portfolio IS
    'An account at each decision time, every fill before it booked; instructions are the commands '
    'that acted then.';

CREATE TABLE positions (
    time timestamptz NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    quantity numeric NOT NULL,
    cost numeric NOT NULL,
    realised numeric NOT NULL,
    fees numeric NOT NULL,
    mark numeric,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, time, strategy, instrument)
);
SELECT create_hypertable('positions', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
COMMENT ON TABLE positions IS
    'Each holding of each portfolio record, whose identity it carries; mark is the close then.';

CREATE TABLE allocations (
    time timestamptz NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    instrument text NOT NULL,
    epoch bigint NOT NULL,
    weight numeric,
    quantity numeric NOT NULL,
    held numeric NOT NULL,
    signal text NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, time, strategy, instrument)
);
SELECT create_hypertable('allocations', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX allocations_by_identity ON allocations (identity);
COMMENT ON TABLE allocations IS
    'What each strategy should hold of each instrument, and the strategy''s weight.';

CREATE TABLE strategy_performance (
    time timestamptz NOT NULL,
    account text NOT NULL,
    strategy text NOT NULL,
    epoch bigint NOT NULL,
    weight numeric,
    realised numeric NOT NULL,
    unrealised numeric NOT NULL,
    fees numeric NOT NULL,
    profit numeric NOT NULL,
    identity text NOT NULL,
    origin text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (account, time, strategy)
);
SELECT create_hypertable('strategy_performance', by_range('time', INTERVAL '7 days'),
    create_default_indexes => false);
CREATE INDEX strategy_performance_by_identity ON strategy_performance (identity);
COMMENT ON TABLE strategy_performance IS
    'What each strategy has earned from the start to each decision time.';
