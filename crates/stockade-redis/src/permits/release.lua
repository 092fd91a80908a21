-- Releases permits. ARGV is the id of the permit in each of KEYS.
for i, key in ipairs(KEYS) do
  redis.call('ZREM', key, ARGV[i])
end
return #KEYS
