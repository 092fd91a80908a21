-- One row per log: the number of records ever written to it, and its signed head.
CREATE TABLE stockade_audit_logs (
    log  text COLLATE "C" PRIMARY KEY NOT NULL,
    last bigint NOT NULL,
    head text
);

-- One row per record. A chain covers the exact lines of a log in the order of their positions;
-- the other columns are for queries.
CREATE TABLE stockade_audit (
    log               text COLLATE "C" NOT NULL,
    position          bigint NOT NULL,
    -- The last record of a batch; with a chain, its line has the seal.
    ends_batch        boolean NOT NULL,
    at                timestamptz,
    level             text,
    message           text,
    event             text,
    request_id        text,
    method            text,
    path              text,
    ip                text,
    user_id           text,
    status            integer,
    outcome           text,
    guard             text,
    code              text,
    reason            text,
    subject           text,
    model             text,
    prompt_tokens     bigint,
    completion_tokens bigint,
    bytes_in          bigint,
    bytes_out         bigint,
    latency_ms        double precision,
    line              text NOT NULL,
    PRIMARY KEY (log, position)
);

CREATE INDEX stockade_audit_batches ON stockade_audit (log, position) WHERE ends_batch;
CREATE INDEX stockade_audit_at ON stockade_audit (at);
CREATE INDEX stockade_audit_request ON stockade_audit (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX stockade_audit_user ON stockade_audit (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX stockade_audit_ip ON stockade_audit (ip, at) WHERE ip IS NOT NULL;
CREATE INDEX stockade_audit_refused ON stockade_audit (guard, at) WHERE guard IS NOT NULL;
CREATE INDEX stockade_audit_event ON stockade_audit (event, at) WHERE event IS NOT NULL;
