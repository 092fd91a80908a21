-- The secret that signs access tokens for clients of older systems; one row at most. Who reads it
-- here cannot make a token: a token also contains a random value, of which only the digest is stored.
CREATE TABLE stockade_admin_signing (
    id     BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    -- As URL-safe base64.
    secret TEXT NOT NULL
);

-- The sessions that are used with access tokens and refresh tokens in place of a cookie.
CREATE TABLE stockade_admin_bearers (
    -- SHA-256 of the random value in all tokens of the session.
    digest     TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL UNIQUE REFERENCES stockade_admin_sessions (id) ON DELETE CASCADE,
    -- SHA-256 of the random value in the present refresh token.
    refresh    TEXT NOT NULL
);
