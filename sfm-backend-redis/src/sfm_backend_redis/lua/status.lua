#!lua flags=no-writes
-- Tells how many notes wait and since when.
-- KEYS: 1 notes, 2 order of notes.
-- ARGV: none.
-- Returns: {number of notes, time of the oldest in microseconds or nil}.
-- Atomicity: one step.
local depth = redis.call('HLEN', KEYS[1])
local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if not oldest then
  return {depth, false}
end
return {depth, cmsgpack.unpack(redis.call('HGET', KEYS[1], oldest))[3]}
