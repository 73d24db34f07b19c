#!lua
-- Keeps copies, except where one of the same or a higher version is kept already.
-- KEYS: the copies.
-- ARGV: 1 time to live in milliseconds, then for each key: version, copy.
-- Returns: how many were kept.
-- Atomicity: one step. A copy begins with its version in decimal digits.
local kept = 0
for i, key in ipairs(KEYS) do
  local offered = ARGV[2 * i]
  -- As text: a double does not hold every version.
  local current = string.match(redis.call('GETRANGE', key, 0, 20), '^%d+') or ''
  if #current < #offered or (#current == #offered and current < offered) then
    redis.call('SET', key, ARGV[2 * i + 1], 'PX', ARGV[1])
    kept = kept + 1
  end
end
return kept
