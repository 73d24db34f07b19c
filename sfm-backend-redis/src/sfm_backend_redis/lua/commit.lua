#!lua
-- Carries out commits to the truth, in order.
-- KEYS: 1 names of namespaces, 2 last note, 3 notes, 4 order of notes, 5 leases,
--       6 event log, then for each namespace of the call: entries, ordered keys, counters.
-- ARGV: 1 owner, 2 lease in microseconds, 3 the commits in MessagePack, each an array of: place
--       of its namespace, its name, its name again or nothing where it is not to be listed,
--       and then arrays: expectations (key, version), puts (key, entry), removals (key),
--       counters (name, amount), dirty keys, events (type, key, version, time).
-- Returns: one array per commit: {1, id of its first note} where it happened, else
--       {0, entry or nil for each expected key}.
-- Atomicity: no other command runs between the commits. A commit whose expectations
--       are not met changes nothing. Without room the whole script is refused beforehand.
local call, format, match, pack = redis.call, string.format, string.match, cmsgpack.pack
local namespaces, last_note, notes, order, leases, log = unpack(KEYS, 1, 6)
local owner = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local free_at = format('%.0f', now + ARGV[2])
local at = format('%.0f', now)

local function expected(entries, expectations)
  local met, found = true, {0}
  for i = 1, #expectations, 2 do
    local entry = call('HGET', entries, expectations[i])
    local version = entry and match(entry, '^%d+') or '0'
    met = met and version == expectations[i + 1]
    found[#found + 1] = entry
  end
  return met, found
end

local function write(entries, ordered, puts, removals)
  for i = 1, #puts, 2 do
    if call('HSET', entries, puts[i], puts[i + 1]) == 1 then
      call('ZADD', ordered, 0, puts[i])
    end
  end
  for _, key in ipairs(removals) do
    if call('HDEL', entries, key) == 1 then
      call('ZREM', ordered, key)
    end
  end
end

local function note(namespace, keys)
  local first = call('INCRBY', last_note, #keys) - #keys + 1
  for i, key in ipairs(keys) do
    local id = format('%.0f', first + i - 1)
    call('HSET', notes, id, pack({namespace, key, at, 0, owner}))
    call('ZADD', order, id, id)
    call('ZADD', leases, free_at, id)
  end
  return first
end

local listed_already, results = {}, {}
for c, commit in ipairs(cmsgpack.unpack(ARGV[3])) do
  local place, namespace, listed, expect, puts, removals, counters, dirty, events = unpack(commit)
  local base = 6 + 3 * place
  local met, found = expected(KEYS[base + 1], expect)
  if not met then
    results[c] = found
  else
    if listed ~= '' and not listed_already[listed] then
      call('ZADD', namespaces, 0, listed)
      listed_already[listed] = true
    end
    write(KEYS[base + 1], KEYS[base + 2], puts, removals)
    for i = 1, #counters, 2 do
      call('HINCRBY', KEYS[base + 3], counters[i], counters[i + 1])
    end
    local first = 0
    if #dirty > 0 then
      first = note(namespace, dirty)
    end
    for e = 1, #events, 4 do
      call('XADD', log, '*', 'namespace', namespace, 'type', events[e],
        'key', events[e + 1], 'version', events[e + 2], 'at', events[e + 3])
    end
    results[c] = {1, first}
  end
end
return results
