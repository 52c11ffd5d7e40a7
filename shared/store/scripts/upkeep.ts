import { auditLib } from './audit.ts'

/** Drops rules whose `until` has passed, with their ids. KEYS: meta, rules, until, ids, kids, holds. ARGV: random, most rules. Answers how many went. */
export const pruneRules = `
local s = open()
local dead = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. int(s.sec), 'LIMIT', 0, tonumber(ARGV[2]))
for _, m in ipairs(dead) do
  local text = redis.call('HGET', KEYS[2], m)
  if text then
    for id in string.gmatch(text, '"([rs]%d+%-[%w-]+)"') do
      if redis.call('HGET', KEYS[4], id) == m then redis.call('HDEL', KEYS[4], id) end
    end
  end
end
if #dead > 0 then
  redis.call('HDEL', KEYS[2], unpack(dead))
  redis.call('ZREM', KEYS[3], unpack(dead))
  redis.call('HDEL', KEYS[5], unpack(dead))
  redis.call('ZREM', KEYS[6], unpack(dead))
end
return #dead
`

/**
 * Trims an audit trail of records older than the retention, and of the oldest past `keep` records.
 * KEYS: meta, audit. ARGV: random, retention in ms, most records to keep, most that go at once. Answers
 * how many went by age, and how many went for room; the time of the last of these is kept, since the
 * trail has a gap before it. Whole nodes of the stream go first, since that costs next to nothing.
 */
export const trimAudit = `
local s = open()
local first, keep, most = int(math.max(0, s.now - tonumber(ARGV[2]))), tonumber(ARGV[3]), ARGV[4]
local old = redis.call('XTRIM', KEYS[2], 'MINID', '~', first, 'LIMIT', most)
if old == 0 then old = redis.call('XTRIM', KEYS[2], 'MINID', '=', first) end
local surplus = redis.call('XLEN', KEYS[2]) - keep
if surplus <= 0 then return { old, 0 } end
local cut = redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', keep, 'LIMIT', most)
if cut > 0 then redis.call('HSET', META, 'auditcut', redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][1]) end
return { old, cut }
`

/**
 * The same for room in the trail of what concerns no single tenant. KEYS: audit, the time of its cut.
 * ARGV: random, most records to keep. Answers how many went.
 */
export const cutAudit = `
local cut = redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[2])
if cut > 0 then redis.call('SET', KEYS[2], redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]) end
return cut
`

/**
 * Trims a feed of entries older than the retention, never of one that is unsent. KEYS: meta, feed,
 * unsent. ARGV: random, log, retention in ms, most entries, most entries to keep. Answers how many went.
 */
export const trimFeed = `
local s = open()
local before = s.now - tonumber(ARGV[3])
local surplus = redis.call('XLEN', KEYS[2]) - tonumber(ARGV[5])
local page = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', tonumber(ARGV[4]))
local gone, last = {}, nil
for i, item in ipairs(page) do
  local at = tonumber(string.match(item[2][2], '"at":(%d+)'))
  if at >= before and i > surplus then break end
  if redis.call('ZSCORE', KEYS[3], item[1]) then break end
  gone[#gone + 1] = item[1]
  last = item[1]
end
if last then
  redis.call('XDEL', KEYS[2], unpack(gone))
  redis.call('HSET', META, 'trimmed:' .. ARGV[2], last)
end
return #gone
`

/**
 * Admits the shape of a match (its claim names) for as long as a rule of it may live, and the life of a
 * family longer. KEYS: shard 0's meta, shapes. ARGV: random, shape, until (NumericDate or +inf), most
 * shapes. Answers 1, or 0 where the tenant has too many.
 */
export const admitShape = `
local s = open()
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. int(s.sec))
local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not score and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
local until_ = ARGV[3] == '+inf' and ARGV[3] or int(tonumber(ARGV[3]) + familyLife(s))
if not score or until_ == '+inf' or tonumber(score) < tonumber(until_) then redis.call('ZADD', KEYS[2], until_, ARGV[2]) end
return 1
`

/** Seeds the tenant's longest token life where none is kept. KEYS: shard 0's meta. ARGV: random, steps as JSON. Answers what is kept. */
export const seedTtl = `
open()
redis.call('HSETNX', META, 'ttl', ARGV[2])
return redis.call('HGET', META, 'ttl')
`

/** Replaces the tenant's steps if they are still what the caller read. KEYS: shard 0's meta, audit. ARGV: random, old, new, audit act (empty: none) and its result. Answers 1 or 0. */
export const replaceTtl: string = `
local s = open()
${auditLib}
if (redis.call('HGET', META, 'ttl') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', META, 'ttl', ARGV[3])
if ARGV[4] ~= '' then addRecord(KEYS[2], 'a', ARGV[4], 'r', ARGV[5]) end
return 1
`
