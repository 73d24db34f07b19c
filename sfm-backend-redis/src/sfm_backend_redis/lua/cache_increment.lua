#!lua
-- Adds to a counter that lives from its first increment.
-- KEYS: 1 the counter.
-- ARGV: 1 amount, 2 time to live in milliseconds.
-- Returns: its value afterwards, as text: a Lua number would be rounded.
-- Atomicity: one step, so no counter is left without an end.
redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return redis.call('GET', KEYS[1])
