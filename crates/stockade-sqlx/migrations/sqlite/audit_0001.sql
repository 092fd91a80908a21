-- One row per log: the number of records ever written to it, and its signed head.
CREATE TABLE stockade_audit_logs (
    log  TEXT PRIMARY KEY NOT NULL,
    last INTEGER NOT NULL,
    head TEXT
) STRICT;

-- One row per record. A chain covers the exact lines of a log in the order of their positions;
-- the other columns are for queries.
CREATE TABLE stockade_audit (
    log               TEXT NOT NULL,
    position          INTEGER NOT NULL,
    -- The last record of a batch; with a chain, its line has the seal.
    ends_batch        INTEGER NOT NULL,
    at                TEXT,
    level             TEXT,
    message           TEXT,
    event             TEXT,
    request_id        TEXT,
    method            TEXT,
    path              TEXT,
    ip                TEXT,
    user_id           TEXT,
    status            INTEGER,
    outcome           TEXT,
    guard             TEXT,
    code              TEXT,
    reason            TEXT,
    subject           TEXT,
    model             TEXT,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    bytes_in          INTEGER,
    bytes_out         INTEGER,
    latency_ms        REAL,
    line              TEXT NOT NULL,
    PRIMARY KEY (log, position)
) STRICT;

CREATE INDEX stockade_audit_batches ON stockade_audit (log, position) WHERE ends_batch;
CREATE INDEX stockade_audit_at ON stockade_audit (at);
CREATE INDEX stockade_audit_request ON stockade_audit (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX stockade_audit_user ON stockade_audit (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX stockade_audit_ip ON stockade_audit (ip, at) WHERE ip IS NOT NULL;
CREATE INDEX stockade_audit_refused ON stockade_audit (guard, at) WHERE guard IS NOT NULL;
CREATE INDEX stockade_audit_event ON stockade_audit (event, at) WHERE event IS NOT NULL;
