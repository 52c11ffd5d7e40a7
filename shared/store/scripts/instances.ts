/**
 * Instances of subscribers, kept in a tenant's shard 0. What is known of one from its joining on is
 * `{"maxStalenessMs":…,"joinedAt":…,"key":…,"user":…}`: the API key it pulls with and the RabbitMQ
 * user it speaks as. Whoever was heard first is the instance; another that claims to be it is refused.
 */
const shared = `
local function isNew(field) return redis.call('HEXISTS', KEYS[2], field) == 0 end
local function isFull(field, most)
  local service, count = string.match(field, '^(%S+) '), 0
  for _, other in ipairs(redis.call('HKEYS', KEYS[2])) do
    if string.sub(other, 1, #service + 1) == service .. ' ' then count = count + 1 end
  end
  return count >= most
end
local function known(field)
  local text = redis.call('HGET', KEYS[2], field)
  return text and cjson.decode(text)
end
local function keep(field, details, staleness)
  if staleness == 'null' then details.maxStalenessMs = cjson.null else details.maxStalenessMs = tonumber(staleness) end
  redis.call('HSET', KEYS[2], field, cjson.encode(details))
end
`

/**
 * Records an instance before the tails are read. KEYS: shard 0's meta, instances, applied, seen.
 * ARGV: random, `<service> <instance>`, maxStalenessMs or null, name of the API key, what it has
 * applied as JSON or an empty text, most instances of a service. Answers the store time, or a word: `foreign`, `full`.
 */
export const join: string = `${shared}
local s = open()
local field = ARGV[2]
local details = known(field)
if details and details.key and details.key ~= ARGV[4] then return 'foreign' end
if not details and isFull(field, tonumber(ARGV[6])) then return 'full' end
details = details or { joinedAt = s.now }
details.key = ARGV[4]
keep(field, details, ARGV[3])
redis.call('ZADD', KEYS[4], int(s.now), field)
if ARGV[5] ~= '' then redis.call('HSET', KEYS[3], field, ARGV[5]) end
return int(s.now)
`

/**
 * Takes acks. KEYS: shard 0's meta, instances, applied, seen. ARGV: random, most instances of a
 * service, then per ack: `<service> <instance>`, maxStalenessMs or null, `user` or `key`, its name,
 * `1` where it leaves, what it has applied as JSON. Answers per ack `ok`, `foreign` or `full`.
 */
export const ack: string = `${shared}
local s = open()
local answers = {}
for i = 3, #ARGV, 6 do
  local field, who, name = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local details = known(field)
  local answer = 'ok'
  if details and details[who] and details[who] ~= name then
    answer = 'foreign'
  elseif ARGV[i + 4] == '1' then
    redis.call('HDEL', KEYS[2], field)
    redis.call('HDEL', KEYS[3], field)
    redis.call('ZREM', KEYS[4], field)
  elseif not details and isFull(field, tonumber(ARGV[2])) then
    answer = 'full'
  else
    details = details or { joinedAt = s.now }
    details[who] = name
    keep(field, details, ARGV[i + 1])
    redis.call('ZADD', KEYS[4], int(s.now), field)
    redis.call('HSET', KEYS[3], field, ARGV[i + 5])
  end
  answers[#answers + 1] = answer
end
return answers
`

/** All instances. KEYS: shard 0's meta, instances, applied, seen. Answers the store time, the term, then per instance its name, details, what it applied or an empty text, and when it was last heard of. */
export const listInstances = `
local s = open()
local reply = { int(s.now), int(s.term) }
local found = redis.call('HGETALL', KEYS[2])
for i = 1, #found, 2 do
  local n = #reply
  reply[n + 1] = found[i]
  reply[n + 2] = found[i + 1]
  reply[n + 3] = redis.call('HGET', KEYS[3], found[i]) or ''
  reply[n + 4] = redis.call('ZSCORE', KEYS[4], found[i]) or '0'
end
return reply
`

/**
 * Forgets instances, unless they were heard of after the given time. KEYS: shard 0's meta, instances,
 * applied, seen. ARGV: random, then per instance its name and the latest time (ms) at which it may have been heard of. Answers how many went.
 */
export const forget = `
open()
local gone = 0
for i = 2, #ARGV, 2 do
  local field = ARGV[i]
  if tonumber(redis.call('ZSCORE', KEYS[4], field) or '0') <= tonumber(ARGV[i + 1]) then
    gone = gone + redis.call('HDEL', KEYS[2], field)
    redis.call('HDEL', KEYS[3], field)
    redis.call('ZREM', KEYS[4], field)
  end
end
return gone
`
