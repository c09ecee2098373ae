-- Questions the command line, the dashboard and people at psql ask. Every function is bound to this
-- schema's tables when it is made, so it works under any search_path. Times are timestamptz;
-- 'infinity' asks for the newest.

CREATE FUNCTION last_price(instrument text) RETURNS numeric
LANGUAGE sql STABLE
RETURN (
    SELECT t.price FROM trades t WHERE t.instrument = last_price.instrument
    ORDER BY t.time DESC, t.trade_id DESC LIMIT 1
);
COMMENT ON FUNCTION last_price(text) IS
    'Price of the instrument''s last trade, quote currency; null where there is none.';

CREATE FUNCTION position_at(account text, at timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    "time" timestamptz, strategy text, instrument text, quantity numeric, cost numeric,
    mark numeric, realised numeric, unrealised numeric, fees numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        p.time, p.strategy, p.instrument, p.quantity, p.cost, p.mark, p.realised,
        CASE WHEN p.quantity = 0 THEN -p.cost ELSE p.quantity * p.mark - p.cost END, p.fees
    FROM positions p
    WHERE p.account = position_at.account AND p.time = (
        SELECT f.time FROM portfolio f
        WHERE f.account = position_at.account AND f.time <= position_at.at
        ORDER BY f.time DESC LIMIT 1)
    ORDER BY p.strategy, p.instrument;
END;
COMMENT ON FUNCTION position_at(text, timestamptz) IS
    'Each holding of the account at its last decision time not after `at`; unrealised is quantity x '
    'mark - cost, null where no mark was known.';

CREATE FUNCTION equity_curve(
    account text, "from" timestamptz, until timestamptz, bucket interval)
RETURNS TABLE (
    "time" timestamptz, equity numeric, lowest numeric, highest numeric, cash numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        time_bucket(equity_curve.bucket, p.time), last(p.equity, p.time), min(p.equity),
        max(p.equity), last(p.cash, p.time)
    FROM portfolio p
    WHERE p.account = equity_curve.account
        AND p.time >= equity_curve."from" AND p.time < equity_curve.until
    GROUP BY 1 ORDER BY 1;
END;
COMMENT ON FUNCTION equity_curve(text, timestamptz, timestamptz, interval) IS
    'Per bucket that starts at `time`: the last, lowest and highest equity and the last cash of the '
    'decision times in [from, until).';

CREATE FUNCTION pnl_by_strategy_and_day(account text)
RETURNS TABLE (
    day date, strategy text, realised numeric, unrealised numeric, fees numeric, profit numeric,
    total numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH closing AS (
        SELECT
            (time_bucket(INTERVAL '24 hours', s.time - INTERVAL '1 millisecond')
                AT TIME ZONE 'UTC')::date AS day,
            s.strategy AS strategy,
            last(s.realised, s.time) AS realised, last(s.unrealised, s.time) AS unrealised,
            last(s.fees, s.time) AS fees, last(s.profit, s.time) AS profit
        FROM strategy_performance s
        WHERE s.account = pnl_by_strategy_and_day.account
        GROUP BY 1, 2
    )
    SELECT
        c.day, c.strategy,
        c.realised - coalesce(lag(c.realised) OVER past, 0),
        c.unrealised - coalesce(lag(c.unrealised) OVER past, 0),
        c.fees - coalesce(lag(c.fees) OVER past, 0),
        c.profit - coalesce(lag(c.profit) OVER past, 0),
        c.profit
    FROM closing c
    WINDOW past AS (PARTITION BY c.strategy ORDER BY c.day)
    ORDER BY 1, 2;
END;
COMMENT ON FUNCTION pnl_by_strategy_and_day(text) IS
    'What each strategy earned on each UTC day, and in total by its end. A decision at midnight books '
    'what came before it, so it belongs to the day that ended.';

CREATE FUNCTION candles_between(instrument text, "from" timestamptz, until timestamptz)
RETURNS TABLE (
    "time" timestamptz, open numeric, high numeric, low numeric, close numeric, volume numeric,
    trades bigint, complete boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.time, c.open, c.high, c.low, c.close, c.volume, c.trades, c.complete
    FROM candles c
    WHERE c.instrument = candles_between.instrument AND c.revision = 0
        AND c.time > candles_between."from" AND c.time <= candles_between.until
    ORDER BY c.time;
END;
COMMENT ON FUNCTION candles_between(text, timestamptz, timestamptz) IS
    'The base candles (as decisions saw them) that lie in [from, until); time is each one''s end.';

CREATE FUNCTION record_named(name text)
RETURNS TABLE (
    kind text, "time" timestamptz, identity text, origin text, topic text, topic_partition int,
    topic_offset bigint, body jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT 'trade', t.time, record_named.name, NULL, 'trades', t.topic_partition, t.topic_offset,
        to_jsonb(t)
    FROM trades t
    WHERE record_named.name ~ '^trades/[^/]+/[0-9]{1,18}$'
        AND t.instrument = split_part(record_named.name, '/', 2)
        AND t.trade_id = substring(record_named.name FROM '^trades/[^/]+/([0-9]{1,18})$')::bigint
    UNION ALL
    SELECT 'clock', c.time, record_named.name, NULL, 'trades', c.topic_partition, c.topic_offset,
        to_jsonb(c)
    FROM clocks c
    WHERE c.instrument = split_part(record_named.name, '/', 2)
        AND c.time = to_timestamp(
            substring(record_named.name FROM '^clock/[^/]+/([0-9]{1,15})$')::bigint / 1000.0)
    UNION ALL
    SELECT 'gap', g.from_time, g.identity, NULL, 'trades', g.topic_partition, g.topic_offset,
        to_jsonb(g)
    FROM gaps g WHERE g.identity = record_named.name
    UNION ALL
    SELECT 'candle', c.time, c.identity, c.origin, 'candles', c.topic_partition, c.topic_offset,
        to_jsonb(c)
    FROM candles c WHERE c.identity = record_named.name
    UNION ALL
    SELECT 'signal', s.time, s.identity, s.origin, 'signals', s.topic_partition, s.topic_offset,
        to_jsonb(s)
    FROM signals s WHERE s.identity = record_named.name
    UNION ALL
    SELECT 'command', NULL, c.identity, NULL, 'signals', c.topic_partition, c.topic_offset,
        to_jsonb(c)
    FROM commands c WHERE c.identity = record_named.name
    UNION ALL
    SELECT 'portfolio', p.time, p.identity, p.origin, 'portfolio', p.topic_partition,
        p.topic_offset, to_jsonb(p)
    FROM portfolio p WHERE p.identity = record_named.name
    UNION ALL
    SELECT 'allocation', a.time, a.identity, a.origin, 'allocations', a.topic_partition,
        a.topic_offset, to_jsonb(a)
    FROM allocations a WHERE a.identity = record_named.name
    UNION ALL
    SELECT 'order', o.time, o.identity, o.origin, 'orders', o.topic_partition, o.topic_offset,
        to_jsonb(o)
    FROM orders o WHERE record_named.name IN (o.identity, o.order_id)
    UNION ALL
    SELECT r.kind, r.time, r.identity, r.origin, 'risk', r.topic_partition, r.topic_offset,
        to_jsonb(r)
    FROM risk_events r WHERE r.identity = record_named.name
    UNION ALL
    SELECT 'risk_report', r.time, r.identity, r.origin, 'risk', r.topic_partition, r.topic_offset,
        to_jsonb(r)
    FROM risk_reports r WHERE r.identity = record_named.name
    UNION ALL
    SELECT 'fill', f.time, f.identity, f.origin, 'fills', f.topic_partition, f.topic_offset,
        to_jsonb(f)
    FROM fills f WHERE f.identity = record_named.name
    UNION ALL
    SELECT 'booking', b.time, b.identity, b.origin, 'fills', b.topic_partition, b.topic_offset,
        to_jsonb(b)
    FROM bookings b WHERE b.identity = record_named.name;
END;
COMMENT ON FUNCTION record_named(text) IS
    'The rows of the record with this name: an identity, an order id, trades/INSTRUMENT/id or '
    'clock/INSTRUMENT/milliseconds.';

CREATE FUNCTION lineage(name text)
RETURNS TABLE (
    depth int, kind text, "time" timestamptz, identity text, origin text, topic text,
    topic_partition int, topic_offset bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE chain AS (
        SELECT 0 AS depth, r.kind, r.time, r.identity, r.origin, r.topic, r.topic_partition,
            r.topic_offset
        FROM record_named(lineage.name) r
        UNION
        SELECT c.depth + 1, r.kind, r.time, r.identity, r.origin, r.topic, r.topic_partition,
            r.topic_offset
        FROM chain c CROSS JOIN LATERAL record_named(c.origin) r
        WHERE c.origin IS NOT NULL AND c.depth < 20
    )
    SELECT * FROM chain ORDER BY chain.depth;
END;
COMMENT ON FUNCTION lineage(text) IS
    'A record and, by origin, every record before it down to what entered from outside.';
