-- Returns the changes after an entry of the log. If that entry is gone, or none is given,
-- returns the newest entry, from which changes can be followed, and the id of the collection
-- of bans. KEYS are the bans and the log; ARGV is the entry, and an id for a new collection.
local bans, log = KEYS[1], KEYS[2]
local last = ARGV[1]
if last ~= '' and #redis.call('XRANGE', log, last, last) == 1 then
  return { redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', 1000), '', '' }
end
redis.call('HSETNX', bans, '', ARGV[2])
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
local from = newest and newest[1] or redis.call('XADD', log, '*', 'who', '', 'ban', '')
return { {}, from, redis.call('HGET', bans, '') }
