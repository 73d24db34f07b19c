#!lua
-- Removes notes whose work is done; those that are unknown are passed over.
-- KEYS: 1 notes, 2 order of notes, 3 leases, 4 free notes.
-- ARGV: ids of the notes.
-- Returns: how many were removed.
-- Atomicity: one step.
local removed = 0
for _, id in ipairs(ARGV) do
  if redis.call('HDEL', KEYS[1], id) == 1 then
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZREM', KEYS[4], id)
    removed = removed + 1
  end
end
return removed
