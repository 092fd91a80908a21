-- Acquires one permit for each of KEYS, or none and returns the index of the full one. ARGV is
-- the permit's id, its lifetime in milliseconds, and the limit of each key.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local id, life = ARGV[1], tonumber(ARGV[2])
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if redis.call('ZCARD', key) >= tonumber(ARGV[i + 2]) then
    return i
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + life, id)
  if redis.call('PTTL', key) < life then
    redis.call('PEXPIRE', key, life)
  end
end
return 0
