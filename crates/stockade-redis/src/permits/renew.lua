-- Renews permits, and restores those that Redis has lost. ARGV is the lifetime in
-- milliseconds, and the id of the permit in each of KEYS.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local life = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + life, ARGV[i + 1])
  if redis.call('PTTL', key) < life then
    redis.call('PEXPIRE', key, life)
  end
end
return #KEYS
