#!lua flags=no-writes
-- Lists edges in the order of their links.
-- KEYS: 1 edges, 2 ordered links.
-- ARGV: 1 lower bound as ZRANGE BYLEX takes it, 2 limit.
-- Returns: link key, edge, link key, edge, ...
-- Atomicity: one step.
local found = {}
for _, link in ipairs(redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])) do
  found[#found + 1] = link
  found[#found + 1] = redis.call('HGET', KEYS[1], link)
end
return found
