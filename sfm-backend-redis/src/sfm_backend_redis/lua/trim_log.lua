#!lua
-- Removes events from the start of the log, and notes up to where.
-- KEYS: 1 event log, 2 up to where it was trimmed.
-- ARGV: 1 and 2 position of the last event to remove: its moment and its number.
-- Returns: how many were removed.
-- Atomicity: one step, so what is gone is always noted.
local moment, number = tonumber(ARGV[1]), tonumber(ARGV[2])
local first_kept = string.format('%.0f-%.0f', moment, number + 1)
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '=', first_kept)
local noted = redis.call('GET', KEYS[2])
local noted_moment, noted_number = string.match(noted or '0-0', '^(%d+)-(%d+)$')
noted_moment, noted_number = tonumber(noted_moment), tonumber(noted_number)
if moment > noted_moment or (moment == noted_moment and number > noted_number) then
  redis.call('SET', KEYS[2], string.format('%.0f-%.0f', moment, number))
end
return removed
