-- Times are nanoseconds since 1970-01-01T00:00:00Z; lists and maps are JSON.
CREATE TABLE stockade_keys (
    id             TEXT PRIMARY KEY NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
    hash           TEXT NOT NULL UNIQUE,
    previous_hash  TEXT UNIQUE CHECK (previous_hash <> hash),
    previous_until INTEGER CHECK (previous_until >= 0),
    name           TEXT,
    owner          TEXT,
    scopes         TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(scopes) AND json_type(scopes) = 'array'),
    -- NULL: all models. An empty list: none.
    models         TEXT CHECK (json_valid(models) AND json_type(models) = 'array'),
    quotas         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(quotas) AND json_type(quotas) = 'object'),
    networks       TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(networks) AND json_type(networks) = 'array'),
    created        INTEGER CHECK (created >= 0),
    expires        INTEGER CHECK (expires >= 0),
    revoked        INTEGER CHECK (revoked >= 0),
    last_used      INTEGER CHECK (last_used >= 0),
    metadata       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata) AND json_type(metadata) = 'object'),
    CHECK ((previous_hash IS NULL) = (previous_until IS NULL))
) STRICT;
