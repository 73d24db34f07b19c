#!lua
-- Takes over notes that nobody holds.
-- KEYS: 1 notes, 2 leases (by the time they end), 3 free notes (by number).
-- ARGV: 1 owner, 2 most notes to take, 3 lease in microseconds.
-- Returns: for each note, the lowest number first: id, namespace, key, attempts.
-- Atomicity: one step, so two claims never take the same note.
-- At most SWEEP leases are ended per call; a larger backlog is taken in several calls.
local SWEEP = 10000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local ended = redis.call('ZRANGE', KEYS[2], '-inf', string.format('%.0f', now), 'BYSCORE',
  'LIMIT', 0, SWEEP)
for _, id in ipairs(ended) do
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZADD', KEYS[3], id, id)
end

local free_at = string.format('%.0f', now + ARGV[3])
local claimed = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, ARGV[2] - 1)) do
  local namespace, key, at, attempts = unpack(cmsgpack.unpack(redis.call('HGET', KEYS[1], id)))
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZADD', KEYS[2], free_at, id)
  redis.call('HSET', KEYS[1], id, cmsgpack.pack({namespace, key, at, attempts, ARGV[1]}))
  for _, part in ipairs({id, namespace, key, attempts}) do
    claimed[#claimed + 1] = part
  end
end
return claimed
