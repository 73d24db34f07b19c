#!lua flags=no-writes
-- Reads the first entries of key ranges.
-- KEYS: 1 entries, 2 ordered keys.
-- ARGV: 1 limit, then for each range: first bound, second bound (as ZRANGE BYLEX takes
--       them, the upper one first where it is reversed), 1 where it is reversed or 0.
-- Returns: one array per range: key, entry, key, entry, ...
-- Atomicity: keys and entries are read in one step, so none is missing.
local CHUNK = 1000
local results = {}
for i = 2, #ARGV, 3 do
  local keys
  if ARGV[i + 2] == '1' then
    keys = redis.call('ZRANGE', KEYS[2], ARGV[i], ARGV[i + 1], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[1])
  else
    keys = redis.call('ZRANGE', KEYS[2], ARGV[i], ARGV[i + 1], 'BYLEX', 'LIMIT', 0, ARGV[1])
  end
  local found = {}
  for start = 1, #keys, CHUNK do
    local stop = math.min(start + CHUNK - 1, #keys)
    local entries = redis.call('HMGET', KEYS[1], unpack(keys, start, stop))
    for k = start, stop do
      found[#found + 1] = keys[k]
      found[#found + 1] = entries[k - start + 1]
    end
  end
  results[#results + 1] = found
end
return results
