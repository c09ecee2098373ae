-- What a crash must not lose of a fork: when each step was taken, of what it is a copy, what its
-- back end calls it, and until when it is kept.

ALTER TABLE forks
    ADD COLUMN time timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN source text NOT NULL DEFAULT '',
    ADD COLUMN handle text,
    ADD COLUMN expires timestamptz NOT NULL DEFAULT 'infinity';
-- The defaults were for rows that were there before; the sink gives every value.
ALTER TABLE forks
    ALTER COLUMN time DROP DEFAULT,
    ALTER COLUMN source DROP DEFAULT,
    ALTER COLUMN expires DROP DEFAULT;
COMMENT ON TABLE forks IS
    'Each step in a fork''s life, taken at time; at is the decision time it stands for, handle what '
    'its back end calls it.';
