#!lua
-- Gives notes back, as far as the owner still holds them.
-- KEYS: 1 notes, 2 leases, 3 free notes.
-- ARGV: 1 owner, 2 delay in microseconds, then ids of notes.
-- Returns: how many were given back.
-- Atomicity: one step.
local time = redis.call('TIME')
local free_at = string.format('%.0f', time[1] * 1000000 + time[2] + ARGV[2])
local released = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local packed = redis.call('HGET', KEYS[1], id)
  if packed then
    local namespace, key, at, attempts, owner = unpack(cmsgpack.unpack(packed))
    if owner == ARGV[1] then
      redis.call('HSET', KEYS[1], id, cmsgpack.pack({namespace, key, at, attempts + 1, ''}))
      redis.call('ZREM', KEYS[3], id)
      redis.call('ZADD', KEYS[2], free_at, id)
      released = released + 1
    end
  end
end
return released
