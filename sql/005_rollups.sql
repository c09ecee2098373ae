-- candles_5m, _15m, _1h, _1d: revision-0 candles rolled up, each equal to what that base interval
-- would have given. Continuous aggregates on Community, plain views on Apache, same columns.
--
-- A candle is stored at its end, and ends (00:00, 00:05] belong to one rollup; time_bucket's
-- buckets hold their start and not their end, so they begin a millisecond later. `bucket` is that
-- start, for queries that want chunks excluded; `time` is the rollup's end.
-- An empty candle repeats the last close, so it counts only where all of a rollup's are empty.

DO $rollups$
DECLARE
    width record;
    body text := $body$
        SELECT
            instrument,
            time_bucket(%1$L::interval, time, "offset" => '1 millisecond'::interval) AS bucket,
            to_timestamp(extract(epoch FROM
                time_bucket(%1$L::interval, time, "offset" => '1 millisecond'::interval)
                - timestamptz '1970-01-01 00:00:00+00') - 0.001 + %2$s) AS time,
            coalesce(first(open, time) FILTER (WHERE trades > 0), last(close, time)) AS open,
            coalesce(max(high) FILTER (WHERE trades > 0), last(close, time)) AS high,
            coalesce(min(low) FILTER (WHERE trades > 0), last(close, time)) AS low,
            last(close, time) AS close,
            sum(volume) AS volume,
            sum(quote_volume) AS quote_volume,
            sum(taker_buy_volume) AS taker_buy_volume,
            sum(trades)::bigint AS trades,
            min(first_id) AS first_id,
            max(last_id) AS last_id,
            bool_and(complete) AS complete,
            count(*) AS candles
        FROM candles
        WHERE revision = 0 AND interval_ms <= 1000 * %2$s
        GROUP BY instrument, bucket
    $body$;
BEGIN
    FOR width IN
        SELECT * FROM (VALUES
            ('candles_5m', '5 minutes', 300), ('candles_15m', '15 minutes', 900),
            ('candles_1h', '1 hour', 3600), ('candles_1d', '24 hours', 86400)
        ) AS widths (name, length, seconds)
    LOOP
        IF edition() = 'community' THEN
            EXECUTE format(
                'CREATE MATERIALIZED VIEW %I WITH '
                '(timescaledb.continuous, timescaledb.materialized_only = false) AS ',
                width.name) || format(body, width.length, width.seconds) || ' WITH NO DATA';
        ELSE
            EXECUTE format('CREATE VIEW %I AS ', width.name)
                || format(body, width.length, width.seconds);
            PERFORM leave_out(format('%s is a view, not a continuous aggregate', width.name));
        END IF;
    END LOOP;
END
$rollups$;
