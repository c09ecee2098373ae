-- What runs beside the flow, and how far the sink has come.

CREATE TABLE sink_offsets (
    topic text NOT NULL,
    topic_partition int NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, topic_partition)
);
COMMENT ON TABLE sink_offsets IS
    'The first offset of each partition that is not stored yet; moved with the rows it counts.';

CREATE TABLE forks (
    fork_id text NOT NULL,
    step text NOT NULL,
    at timestamptz,
    backend text NOT NULL,
    detail text NOT NULL,
    identity text PRIMARY KEY,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL
);
CREATE INDEX forks_by_id ON forks (fork_id, topic_offset);
COMMENT ON TABLE forks IS 'Each step in a fork''s life; at is the decision time it stands for.';

CREATE TABLE replays (
    replay_id text PRIMARY KEY,
    kind text NOT NULL,
    from_time timestamptz,
    to_time timestamptz,
    input jsonb NOT NULL,
    configuration jsonb NOT NULL,
    report jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
COMMENT ON TABLE replays IS
    'Replays, backtests and verifications: what they read, by which configuration, what came out.';

CREATE TABLE snapshots (
    time timestamptz NOT NULL,
    stage text NOT NULL,
    key text NOT NULL,
    version bigint NOT NULL,
    needs jsonb NOT NULL,
    body text NOT NULL,
    identity text NOT NULL,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL,
    PRIMARY KEY (identity, time)
);
SELECT create_hypertable('snapshots', by_range('time', INTERVAL '90 days'),
    create_default_indexes => false);
CREATE INDEX snapshots_by_key ON snapshots (stage, key, time DESC);
COMMENT ON TABLE snapshots IS
    'The state of each key of each stage at 00:00 UTC; body is the state''s JSON, as written.';

CREATE TABLE dead_letters (
    topic text NOT NULL,
    partition bigint NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    stage text NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL,
    size bigint NOT NULL,
    identity text PRIMARY KEY,
    topic_partition int NOT NULL,
    topic_offset bigint NOT NULL
);
COMMENT ON TABLE dead_letters IS
    'What could not be processed: topic, partition, offset are the place of the bytes, payload the '
    'bytes in base64; topic_partition and topic_offset the place on dead-letters.';
