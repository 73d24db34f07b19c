#!lua flags=no-writes
-- Tells how many events follow a position.
-- KEYS: 1 event log.
-- ARGV: 1 where to begin, as in XRANGE, 2 what not to count beyond.
-- Returns: {their number, at most the limit, position of the last of them or ''}.
-- Atomicity: one step.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
return {#found, #found > 0 and found[#found][1] or ''}
