-- Writes changes of bans. KEYS are the bans, their ends, and the log; ARGV is the highest
-- number of bans, an id for a new collection, and for each change the offender, the ban (empty
-- if lifted), and its end in milliseconds.
local bans, ends, log = KEYS[1], KEYS[2], KEYS[3]
local most = tonumber(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

for _, who in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', ends, who)
  redis.call('HDEL', bans, who)
end
redis.call('HSETNX', bans, '', ARGV[2])
for i = 3, #ARGV, 3 do
  local who, ban, till = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if ban == '' then
    redis.call('ZREM', ends, who)
    redis.call('HDEL', bans, who)
  else
    redis.call('HSET', bans, who, ban)
    redis.call('ZADD', ends, till, who)
  end
  redis.call('XADD', log, 'MAXLEN', '~', 10000, '*', 'who', who, 'ban', ban)
end
for _ = most + 1, redis.call('ZCARD', ends) do
  local first = redis.call('ZPOPMIN', ends)
  redis.call('HDEL', bans, first[1])
end
return #ARGV
