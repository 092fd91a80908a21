-- For SQLite and PostgreSQL. Times are milliseconds since 1970; flags are 0 or 1.

CREATE TABLE stockade_admin_roles (
    name        TEXT PRIMARY KEY NOT NULL,
    -- Separated by spaces.
    permissions TEXT NOT NULL,
    version     BIGINT NOT NULL
);

CREATE TABLE stockade_admin_users (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    -- A PHC string; null for users of an identity provider.
    password   TEXT,
    -- The issuer and the subject at an identity provider.
    subject    TEXT UNIQUE,
    -- The secret of one-time codes, as base32; pending until it is confirmed.
    totp       TEXT,
    totp_ready BIGINT NOT NULL DEFAULT 0,
    -- The step of the last accepted code, which is not accepted again.
    totp_step  BIGINT NOT NULL DEFAULT 0,
    disabled   BIGINT NOT NULL DEFAULT 0,
    version    BIGINT NOT NULL DEFAULT 1,
    created    BIGINT NOT NULL,
    last_login BIGINT
);

CREATE TABLE stockade_admin_sessions (
    -- SHA-256 of the cookie.
    digest     TEXT PRIMARY KEY NOT NULL,
    id         TEXT NOT NULL UNIQUE,
    user_id    TEXT NOT NULL REFERENCES stockade_admin_users (id) ON DELETE CASCADE,
    csrf       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    client     TEXT,
    user_agent TEXT
);
CREATE INDEX stockade_admin_sessions_user ON stockade_admin_sessions (user_id);

-- The networks from which users have logged in: attackers elsewhere cannot delay logins from there.
CREATE TABLE stockade_admin_networks (
    user_id TEXT NOT NULL REFERENCES stockade_admin_users (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    used    BIGINT NOT NULL,
    PRIMARY KEY (user_id, network)
);

CREATE TABLE stockade_admin_tokens (
    id          TEXT PRIMARY KEY NOT NULL,
    -- SHA-256 of the token.
    digest      TEXT NOT NULL UNIQUE,
    user_id     TEXT NOT NULL REFERENCES stockade_admin_users (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created     BIGINT NOT NULL,
    expires     BIGINT,
    last_used   BIGINT
);
CREATE INDEX stockade_admin_tokens_user ON stockade_admin_tokens (user_id);

-- The one-time token that creates the first user; one row at most.
CREATE TABLE stockade_admin_setup (
    id      BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    digest  TEXT NOT NULL,
    expires BIGINT NOT NULL
);

-- Logins at an identity provider that have begun; each is completed once at most.
CREATE TABLE stockade_admin_oidc_logins (
    -- SHA-256 of the cookie.
    digest  TEXT PRIMARY KEY NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX stockade_admin_oidc_logins_expires ON stockade_admin_oidc_logins (expires);

-- The responses to requests with an idempotency key.
CREATE TABLE stockade_admin_idempotency (
    actor    TEXT NOT NULL,
    key      TEXT NOT NULL,
    -- SHA-256 of the method, the path and the body.
    request  TEXT NOT NULL,
    status   BIGINT NOT NULL,
    response TEXT NOT NULL,
    created  BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX stockade_admin_idempotency_created ON stockade_admin_idempotency (created);

CREATE TABLE stockade_admin_budgets (
    id           TEXT PRIMARY KEY NOT NULL,
    -- `key`, `owner`, `team` or `all`, and the name of the first three.
    kind         TEXT NOT NULL,
    subject      TEXT,
    -- Null for all models.
    model        TEXT,
    -- `money` (in millionths of the currency), `tokens` or `requests`.
    unit         TEXT NOT NULL,
    amount_limit BIGINT NOT NULL,
    -- `day`, `week` or `month`; null for an amount that is prepaid.
    period       TEXT,
    created      BIGINT NOT NULL
);

-- What was used, by the start of the window; 0 for prepaid amounts.
CREATE TABLE stockade_admin_spend (
    budget_id    TEXT NOT NULL REFERENCES stockade_admin_budgets (id) ON DELETE CASCADE,
    window_start BIGINT NOT NULL,
    amount       BIGINT NOT NULL,
    PRIMARY KEY (budget_id, window_start)
);

-- Revoked access tokens, by `jti`.
CREATE TABLE stockade_admin_revocations (
    token   TEXT PRIMARY KEY NOT NULL,
    -- When the token expires; null if that is unknown.
    expires BIGINT,
    revoked BIGINT NOT NULL
);
CREATE INDEX stockade_admin_revocations_revoked ON stockade_admin_revocations (revoked);
