-- What every migration stands on: the extension, the table of migrations, and how one is recorded.
-- Run before the numbered files each time, by `lockstep migrate` and deploy_schema.sh alike, with
-- search_path set to the schema deployed to and then public. Running it again changes nothing.

DO $setup$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        RETURN;
    END IF;
    -- The loader defines this setting; creating the extension without it would end the session.
    IF current_setting('timescaledb.max_background_workers', true) IS NULL THEN
        RAISE EXCEPTION 'TimescaleDB is not loaded by this server: add timescaledb to '
            'shared_preload_libraries in postgresql.conf and restart it.';
    END IF;
    -- Schemas of one database may be set up at once: the first adds it, the others wait and find it.
    PERFORM pg_advisory_xact_lock(hashtextextended('timescaledb', 0));
    -- In public, so that dropping one run's schema does not take the extension with it.
    CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'TimescaleDB is not in this database and user % may not add it: run '
            'CREATE EXTENSION timescaledb as its owner.', current_user;
END
$setup$;

CREATE TABLE IF NOT EXISTS schema_migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    edition text NOT NULL,
    left_out text[] NOT NULL
);
COMMENT ON TABLE schema_migrations IS
    'Each migration applied: the SHA-256 of its file, the edition it met, what that edition lacks.';

CREATE OR REPLACE FUNCTION edition() RETURNS text
LANGUAGE sql STABLE
RETURN CASE current_setting('timescaledb.license') WHEN 'timescale' THEN 'community' ELSE 'apache' END;
COMMENT ON FUNCTION edition() IS
    'The edition of TimescaleDB this server runs: community or apache.';

CREATE OR REPLACE FUNCTION leave_out(what text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'left out on the % edition: %', edition(), what;
    PERFORM set_config(
        'lockstep.left_out',
        concat_ws(E'\n', nullif(current_setting('lockstep.left_out', true), ''), what),
        true);
END
$$;
COMMENT ON FUNCTION leave_out(text) IS
    'Say, and keep for this transaction''s migration record, what the edition can''t have.';

CREATE OR REPLACE FUNCTION migration_due(file text, file_sha256 text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    due int := substring(file FROM '^[0-9]+')::int;
    applied schema_migrations;
    newest int;
BEGIN
    SELECT * INTO applied FROM schema_migrations WHERE number = due;
    IF applied.number IS NULL THEN
        SELECT max(number) INTO newest FROM schema_migrations;
        IF newest > due THEN
            RAISE EXCEPTION 'migration % was never applied here but % was: migrations only go '
                'forward, so give the new file the next number.', file, newest;
        END IF;
        RETURN true;
    END IF;
    IF (applied.name, applied.sha256) IS DISTINCT FROM (file, file_sha256) THEN
        RAISE EXCEPTION 'migration % was changed after it was applied as % on %: restore the '
            'file, and put the change into a new migration.',
            file, applied.name, applied.applied_at::date;
    END IF;
    RETURN false;
END
$$;
COMMENT ON FUNCTION migration_due(text, text) IS
    'Whether a file is still to be applied; refuses one that was edited, renamed or comes too late.';

CREATE OR REPLACE FUNCTION record_migration(file text, file_sha256 text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO schema_migrations (number, name, sha256, edition, left_out)
    VALUES (
        substring(file FROM '^[0-9]+')::int, file, file_sha256, edition(),
        coalesce(
            string_to_array(nullif(current_setting('lockstep.left_out', true), ''), E'\n'), '{}'));
END
$$;
COMMENT ON FUNCTION record_migration(text, text) IS
    'Record a file as applied, in the transaction that applied it.';
