-- Records and usage, for SQLite and PostgreSQL. Times are milliseconds since 1970.

-- The records of requests and events. Newest first: by the time, then by the position.
CREATE TABLE stockade_admin_records (
    at                BIGINT NOT NULL,
    position          BIGINT NOT NULL,
    -- 0: a request; 1: a refused request; 2: an event.
    kind              BIGINT NOT NULL,
    level             TEXT NOT NULL,
    message           TEXT NOT NULL,
    event             TEXT,
    request_id        TEXT,
    method            TEXT,
    path              TEXT,
    ip                TEXT,
    user_id           TEXT,
    status            BIGINT,
    outcome           TEXT,
    guard             TEXT,
    code              TEXT,
    reason            TEXT,
    subject           TEXT,
    detail            TEXT,
    model             TEXT,
    prompt_tokens     BIGINT,
    completion_tokens BIGINT,
    latency_ms        DOUBLE PRECISION,
    user_agent        TEXT,
    -- The texts in lower case, for searches.
    search            TEXT NOT NULL,
    PRIMARY KEY (at, position)
);
CREATE INDEX stockade_admin_records_kind ON stockade_admin_records (kind, at, position);
CREATE INDEX stockade_admin_records_user ON stockade_admin_records (user_id, at, position)
    WHERE user_id IS NOT NULL;
CREATE INDEX stockade_admin_records_ip ON stockade_admin_records (ip, at, position)
    WHERE ip IS NOT NULL;
CREATE INDEX stockade_admin_records_subject ON stockade_admin_records (subject, at, position)
    WHERE subject IS NOT NULL;
CREATE INDEX stockade_admin_records_request ON stockade_admin_records (request_id, at, position)
    WHERE request_id IS NOT NULL;

-- The number of the last batch of each process, so that none is written twice.
CREATE TABLE stockade_admin_writers (
    writer TEXT PRIMARY KEY NOT NULL,
    batch  BIGINT NOT NULL,
    used   BIGINT NOT NULL
);

-- The position of the last record; one row.
CREATE TABLE stockade_admin_positions (
    id   BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO stockade_admin_positions (id, last) VALUES (1, 0);

-- Usage by hour, day and month: of all requests, by key, by model, and by key and model.
CREATE TABLE stockade_admin_usage (
    -- 0: all; 1: by key; 2: by model; 3: by key and model.
    scope             BIGINT NOT NULL,
    -- 0: an hour; 1: a day; 2: a month, in UTC.
    period            BIGINT NOT NULL,
    -- Empty if the rows are not by key or model, or a request had none.
    key_id            TEXT NOT NULL,
    model             TEXT NOT NULL,
    start             BIGINT NOT NULL,
    requests          BIGINT NOT NULL,
    errors            BIGINT NOT NULL,
    refused           BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    -- The requests whose model has a price, and their cost in a billionth of the currency.
    priced            BIGINT NOT NULL,
    cost              BIGINT NOT NULL,
    -- The requests by latency, up to 5, 10, 25, 50, 100, 250, 500, 1,000, 2,500, 5,000, 10,000,
    -- 30,000, 60,000 and 120,000 milliseconds, and above.
    l0                BIGINT NOT NULL,
    l1                BIGINT NOT NULL,
    l2                BIGINT NOT NULL,
    l3                BIGINT NOT NULL,
    l4                BIGINT NOT NULL,
    l5                BIGINT NOT NULL,
    l6                BIGINT NOT NULL,
    l7                BIGINT NOT NULL,
    l8                BIGINT NOT NULL,
    l9                BIGINT NOT NULL,
    l10               BIGINT NOT NULL,
    l11               BIGINT NOT NULL,
    l12               BIGINT NOT NULL,
    l13               BIGINT NOT NULL,
    l14               BIGINT NOT NULL,
    PRIMARY KEY (scope, period, key_id, model, start)
);
-- For the keys of one model.
CREATE INDEX stockade_admin_usage_model ON stockade_admin_usage (period, model, key_id, start)
    WHERE scope = 3;
-- For the removal of old hours.
CREATE INDEX stockade_admin_usage_hours ON stockade_admin_usage (start) WHERE period = 0;
