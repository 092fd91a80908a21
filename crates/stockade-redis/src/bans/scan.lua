-- Returns a part of the bans; ARGV is the cursor.
return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 500)
