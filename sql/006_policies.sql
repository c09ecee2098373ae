-- Background work, where the licence has it: refresh of the rollups, compression, retention.
--
-- A chunk's age is counted from when it was made, not from the times in it: a day of 2019 that was
-- imported yesterday is a day old. The first run of each comes after the longest of their waits, so
-- that deploying a schema starts no work.

DO $policies$
DECLARE
    item record;
BEGIN
    IF edition() <> 'community' THEN
        PERFORM leave_out('refresh policies: views need none');
        PERFORM leave_out('compression of trades, candles, signals, positions, allocations');
        PERFORM leave_out('retention of trades and clocks: drop_chunks does it by hand');
        RETURN;
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            ('candles_5m', INTERVAL '5 minutes'), ('candles_15m', INTERVAL '15 minutes'),
            ('candles_1h', INTERVAL '1 hour'), ('candles_1d', INTERVAL '24 hours')
        ) AS rollups (name, length)
    LOOP
        -- What is younger than the newest rollup refreshed is added by the query itself, so the
        -- one still growing is left to it.
        PERFORM add_continuous_aggregate_policy(
            item.name::regclass, start_offset => NULL, end_offset => item.length,
            schedule_interval => INTERVAL '5 minutes',
            initial_start => now() + INTERVAL '5 minutes');
    END LOOP;

    FOR item IN
        SELECT * FROM (VALUES
            ('trades', 'instrument', 'time DESC, trade_id DESC', INTERVAL '7 days'),
            ('candles', 'instrument', 'time DESC, revision', INTERVAL '30 days'),
            ('signals', 'account, instrument, strategy', 'time DESC', INTERVAL '30 days'),
            ('positions', 'account, strategy, instrument', 'time DESC', INTERVAL '30 days'),
            ('allocations', 'account, strategy, instrument', 'time DESC', INTERVAL '30 days')
        ) AS tables (name, segment, ordering, age)
    LOOP
        EXECUTE format(
            'ALTER TABLE %I SET (timescaledb.compress, timescaledb.compress_segmentby = %L, '
            'timescaledb.compress_orderby = %L)',
            item.name, item.segment, item.ordering);
        PERFORM add_compression_policy(
            item.name::regclass, compress_created_before => item.age,
            schedule_interval => INTERVAL '12 hours',
            initial_start => now() + INTERVAL '12 hours');
    END LOOP;

    FOR item IN SELECT unnest(ARRAY['trades', 'clocks']) AS name
    LOOP
        -- Only what can be had again from the exchange or the dump it came from.
        PERFORM add_retention_policy(
            item.name::regclass, drop_created_before => INTERVAL '365 days',
            schedule_interval => INTERVAL '1 day', initial_start => now() + INTERVAL '1 day');
    END LOOP;
END
$policies$;
