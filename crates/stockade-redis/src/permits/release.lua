-- Gives places back: ARGV is for each of KEYS the id of the permit in it.
for i, key in ipairs(KEYS) do
  redis.call('ZREM', key, ARGV[i])
end
return #KEYS
