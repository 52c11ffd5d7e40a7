/**
 * One shard's part of a feed answer. KEYS: meta, feed. ARGV: random, log (`rev` or `exp`), position
 * after which to read (empty: no entries), most entries, most bytes. Answers the store time, the
 * epoch, the tail, the position up to which the feed was trimmed, whether more entries wait, then the bodies.
 */
export const readFeed = `
local s = open()
local after, most, bytes = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local tail = s[ARGV[2]]
local trimmed = redis.call('HGET', META, 'trimmed:' .. ARGV[2]) or ''
local reply = { int(s.now), s.epoch, int(tail), trimmed, 0 }
if after == '' then return reply end
local found = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', most + 1)
local size = 0
for i, item in ipairs(found) do
  local body = item[2][2]
  size = size + #body
  if i > most or (size > bytes and i > 1) then reply[5] = 1 break end
  reply[#reply + 1] = body
end
return reply
`

/**
 * The store time and both tails of a shard. KEYS: meta. ARGV: random, beat interval in ms (0: no
 * claim). With an interval the answer's last item is 1 only for the one caller per interval that may beat.
 */
export const touch = `
local s = open()
local interval = tonumber(ARGV[2])
local claimed = 0
if interval > 0 then
  local last = tonumber(redis.call('HGET', META, 'beat') or '0')
  if s.now - last >= interval then
    redis.call('HSET', META, 'beat', int(s.now))
    claimed = 1
  end
end
return { int(s.now), s.epoch, int(s.rev), int(s.exp), claimed, redis.call('HGET', META, 'ttl') or '' }
`

/** Rules by their canonical match texts. KEYS: meta, rules. ARGV: random, texts. Answers store time, epoch, then each rule as stored, or an empty text. */
export const getRules = `
local s = open()
local reply = { int(s.now), s.epoch }
if #ARGV > 1 then
  for i, rule in ipairs(redis.call('HMGET', KEYS[2], unpack(ARGV, 2))) do reply[2 + i] = rule or '' end
end
return reply
`

/**
 * Claims unsent entries that nobody has tried to send for a while, oldest first. KEYS: meta, feed,
 * unsent. ARGV: random, ms since the last try, most entries, most bytes. Answers the store time, then per entry its position,
 * body and trace (empty where it has none). Claiming moves the time of the last try, so that others leave it alone; a note whose entry is gone from the feed is dropped.
 */
export const claimUnsent = `
local s = open()
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', int(s.now - tonumber(ARGV[2])), 'LIMIT', 0, tonumber(ARGV[3]))
local reply, size = { int(s.now) }, 0
for _, id in ipairs(ids) do
  local found = redis.call('XRANGE', KEYS[2], id, id)
  if found[1] then
    local body = found[1][2][2]
    size = size + #body
    if size > tonumber(ARGV[4]) and #reply > 1 then break end
    redis.call('ZADD', KEYS[3], 'XX', int(s.now), id)
    reply[#reply + 1] = id
    reply[#reply + 1] = body
    reply[#reply + 1] = found[1][2][4] or ''
  else
    redis.call('ZREM', KEYS[3], id)
  end
end
return reply
`
