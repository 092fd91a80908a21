-- Some of the bans; ARGV is where to go on.
return redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 500)
