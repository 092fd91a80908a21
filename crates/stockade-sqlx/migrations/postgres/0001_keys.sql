-- Times are nanoseconds since 1970-01-01T00:00:00Z; to_timestamp(expires / 1e9) converts them.
CREATE TABLE stockade_keys (
    id             text COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    hash           text COLLATE "C" NOT NULL UNIQUE,
    previous_hash  text COLLATE "C" UNIQUE CHECK (previous_hash <> hash),
    previous_until bigint CHECK (previous_until >= 0),
    name           text,
    owner          text,
    scopes         jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(scopes) = 'array'),
    -- NULL: all models. An empty list: none.
    models         jsonb CHECK (jsonb_typeof(models) = 'array'),
    quotas         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(quotas) = 'object'),
    networks       jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(networks) = 'array'),
    created        bigint CHECK (created >= 0),
    expires        bigint CHECK (expires >= 0),
    revoked        bigint CHECK (revoked >= 0),
    last_used      bigint CHECK (last_used >= 0),
    metadata       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    CHECK ((previous_hash IS NULL) = (previous_until IS NULL))
);

CREATE FUNCTION stockade_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('stockade_keys', '');
    RETURN NULL;
END
$$;

-- One notification per statement, and none if only last_used changes.
CREATE TRIGGER stockade_keys_changed
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF
        id, hash, previous_hash, previous_until, name, owner, scopes, models, quotas,
        networks, created, expires, revoked, metadata
    ON stockade_keys
    FOR EACH STATEMENT EXECUTE FUNCTION stockade_keys_changed();
