#!lua
-- Writes and removes edges of one namespace.
-- KEYS: 1 edges, 2 ordered links, 3 outgoing, 4 incoming.
-- ARGV: for each edge: link key, source, type, target, edge (8 bytes of weight, 8 of
--       version) or nothing where it is to go.
-- Returns: nothing.
-- Atomicity: one step; the edge and both directions always agree.
-- A direction orders members by node, weight, other end and type, all as bytes.
for i = 1, #ARGV, 5 do
  local link, source, kind, target, edge = unpack(ARGV, i, i + 4)
  local old = redis.call('HGET', KEYS[1], link)
  if old then
    local weight = string.sub(old, 1, 8)
    redis.call('ZREM', KEYS[3], source .. weight .. target .. kind)
    redis.call('ZREM', KEYS[4], target .. weight .. source .. kind)
  end
  if edge ~= '' then
    local weight = string.sub(edge, 1, 8)
    redis.call('HSET', KEYS[1], link, edge)
    redis.call('ZADD', KEYS[2], 0, link)
    redis.call('ZADD', KEYS[3], 0, source .. weight .. target .. kind)
    redis.call('ZADD', KEYS[4], 0, target .. weight .. source .. kind)
  elseif old then
    redis.call('HDEL', KEYS[1], link)
    redis.call('ZREM', KEYS[2], link)
  end
end
