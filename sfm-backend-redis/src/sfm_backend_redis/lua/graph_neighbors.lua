#!lua flags=no-writes
-- Finds the edges at many nodes.
-- KEYS: 1 edges, 2 outgoing or incoming.
-- ARGV: 1 most edges per node, 2 type or nothing, 3 `out` or `in`, then the nodes; each is
--       followed by the first bytes that come after all of its members.
-- Returns: one array per node: link key, edge, link key, edge, ...
-- Atomicity: one step.
-- A member is node, weight, other end and type; an end is one byte n and 8 * n bytes.
local PAGE = 500
local limit, wanted, outgoing = tonumber(ARGV[1]), ARGV[2], ARGV[3] == 'out'

local function add(found, node, member)
  local start = #node + 9
  local stop = start + 8 * string.byte(member, start)
  local other, kind = string.sub(member, start, stop), string.sub(member, stop + 1)
  if wanted ~= '' and kind ~= wanted then
    return
  end
  local source, target = node, other
  if not outgoing then
    source, target = other, node
  end
  local link = 'l' .. source .. kind .. '\0' .. target
  found[#found + 1] = link
  found[#found + 1] = redis.call('HGET', KEYS[1], link)
end

local results = {}
for i = 4, #ARGV, 2 do
  local node, found = ARGV[i], {}
  local from, last = '[' .. node, '(' .. ARGV[i + 1]
  repeat
    local page = redis.call('ZRANGE', KEYS[2], from, last, 'BYLEX', 'LIMIT', 0,
      math.min(PAGE, limit))
    for _, member in ipairs(page) do
      if #found < 2 * limit then
        add(found, node, member)
      end
      from = '(' .. member
    end
  until #page == 0 or #found >= 2 * limit
  results[#results + 1] = found
end
return results
