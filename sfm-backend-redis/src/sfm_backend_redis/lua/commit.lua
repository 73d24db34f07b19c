#!lua
-- Carries out commits to the truth, in order.
-- KEYS: 1 names of namespaces, 2 last note, 3 notes, 4 order of notes, 5 leases,
--       6 event log, then for each namespace of the call: entries, ordered keys, counters.
-- ARGV: 1 owner, 2 lease in microseconds, then for each commit: place of its namespace,
--       its name, its name again or nothing where it is not to be listed, how many
--       arguments each of the following takes, and then these: expectations (key,
--       version), puts (key, entry), removals (key), counters (name, amount), dirty
--       keys, events (type, key, version, time).
-- Returns: one array per commit: {1, id of its first note} where it happened, else
--       {0, entry or nil for each expected key}.
-- Atomicity: no other command runs between the commits. A commit whose expectations
--       are not met changes nothing. Without room the whole script is refused beforehand.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local owner = ARGV[1]
local free_at = string.format('%.0f', now + ARGV[2])
local at = string.format('%.0f', now)

local function expected(entries, expectations)
  local met, found = true, {0}
  for i = 1, #expectations, 2 do
    local entry = redis.call('HGET', entries, expectations[i])
    local version = entry and string.match(entry, '^%d+') or '0'
    met = met and version == expectations[i + 1]
    found[#found + 1] = entry
  end
  return met, found
end

local function write(entries, ordered, puts, removals)
  for i = 1, #puts, 2 do
    if redis.call('HSET', entries, puts[i], puts[i + 1]) == 1 then
      redis.call('ZADD', ordered, 0, puts[i])
    end
  end
  for _, key in ipairs(removals) do
    if redis.call('HDEL', entries, key) == 1 then
      redis.call('ZREM', ordered, key)
    end
  end
end

local function note(namespace, keys)
  local first = redis.call('INCRBY', KEYS[2], #keys) - #keys + 1
  for i, key in ipairs(keys) do
    local id = string.format('%.0f', first + i - 1)
    redis.call('HSET', KEYS[3], id, cmsgpack.pack({namespace, key, at, 0, owner}))
    redis.call('ZADD', KEYS[4], id, id)
    redis.call('ZADD', KEYS[5], free_at, id)
  end
  return first
end

local cursor = 3

local function take(count)
  local taken = {}
  for i = 1, count do
    taken[i] = ARGV[cursor + i - 1]
  end
  cursor = cursor + count
  return taken
end

local results = {}
while cursor <= #ARGV do
  local place, namespace, listed = unpack(take(3))
  local sizes = take(6)
  local expect, puts, removals = take(sizes[1]), take(sizes[2]), take(sizes[3])
  local counters, dirty, events = take(sizes[4]), take(sizes[5]), take(sizes[6])
  local base = 6 + 3 * place
  local met, found = expected(KEYS[base + 1], expect)
  if not met then
    results[#results + 1] = found
  else
    if listed ~= '' then
      redis.call('ZADD', KEYS[1], 0, listed)
    end
    write(KEYS[base + 1], KEYS[base + 2], puts, removals)
    for c = 1, #counters, 2 do
      redis.call('HINCRBY', KEYS[base + 3], counters[c], counters[c + 1])
    end
    local first = 0
    if #dirty > 0 then
      first = note(namespace, dirty)
    end
    for e = 1, #events, 4 do
      redis.call('XADD', KEYS[6], '*', 'namespace', namespace, 'type', events[e],
        'key', events[e + 1], 'version', events[e + 2], 'at', events[e + 3])
    end
    results[#results + 1] = {1, first}
  end
end
return results
