/**
 * Instances of subscribers, kept in a tenant's shard 0. What is known of one from its joining on is
 * `{"maxStalenessMs":…,"joinedAt":…,"key":…,"user":…}`: the API key it pulls with and the RabbitMQ
 * user it speaks as. Whoever was heard first is the instance; another that claims to be it is refused.
 *
 * A user whom RabbitMQ has checked is bound to an instance that is known by its key, since RabbitMQ lets
 * a user ack for its own service only. The other way round nobody vouches: any key that may pull can name
 * any instance. So a key that comes after a user is heard, which can only keep the instance in the set,
 * but is not bound, and what it says of what was applied proves nothing.
 */
const shared = `
-- Where a service has as many as it may, one that was not heard of for an hour makes room, whatever its
-- limit: else a crash loop of instances without one would keep new ones out.
local function isFull(field, most, now)
  local service, count, oldest, name = string.match(field, '^(%S+) '), 0, now - 3600000, nil
  local found = {}
  for _, other in ipairs(redis.call('HKEYS', KEYS[2])) do
    if string.sub(other, 1, #service + 1) == service .. ' ' then
      count = count + 1
      found[count] = other
    end
  end
  if count < most then return false end
  for _, other in ipairs(found) do
    local seen = tonumber(redis.call('ZSCORE', KEYS[4], other) or '0')
    if seen < oldest then oldest, name = seen, other end
  end
  if not name then return true end
  redis.call('HDEL', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
  redis.call('ZREM', KEYS[4], name)
  return false
end
local function known(field)
  local text = redis.call('HGET', KEYS[2], field)
  return text and cjson.decode(text)
end
-- Whether a key speaks for an instance that is known by its user alone.
local function isUnvouched(details, who)
  return who == 'key' and details and details.user and not details.key
end
-- An instance's limit only grows while it lives: what says less was sent before what said more.
local function keep(field, details, staleness)
  local known = details.maxStalenessMs
  if known == cjson.null or staleness == 'null' then details.maxStalenessMs = cjson.null
  else details.maxStalenessMs = math.max(known or 0, tonumber(staleness)) end
  redis.call('HSET', KEYS[2], field, cjson.encode(details))
end
-- An instance's positions never go back, so what names a lower one was said earlier, however late it comes:
-- acks wait to be written together, and a pull overtakes them.
local function isOlder(text, than)
  local said, known = cjson.decode(text), cjson.decode(than)
  local places, same = said.p or {}, true
  for i, place in ipairs(known.p or {}) do
    local term, seq = string.match(place, '^(%d+)-(%d+)$')
    local saidTerm, saidSeq = string.match(places[i] or '0-0', '^(%d+)-(%d+)$')
    local byTerm = tonumber(saidTerm) - tonumber(term)
    local bySeq = tonumber(saidSeq) - tonumber(seq)
    if byTerm < 0 or (byTerm == 0 and bySeq < 0) then return true end
    same = same and byTerm == 0 and bySeq == 0
  end
  return same and #places == #(known.p or {}) and (said.at or 0) < (known.at or 0)
end
local function note(field, text)
  local known = redis.call('HGET', KEYS[3], field)
  if not known or not isOlder(text, known) then redis.call('HSET', KEYS[3], field, text) end
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
if not details and isFull(field, tonumber(ARGV[6]), s.now) then return 'full' end
local counts = not isUnvouched(details, 'key')
details = details or { joinedAt = s.now }
if counts then details.key = ARGV[4] end
keep(field, details, ARGV[3])
redis.call('ZADD', KEYS[4], int(s.now), field)
if counts and ARGV[5] ~= '' then note(field, ARGV[5]) end
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
  local leaves, counts = ARGV[i + 4] == '1', not isUnvouched(details, who)
  if details and details[who] and details[who] ~= name or leaves and not counts then
    answer = 'foreign'
  elseif leaves then
    redis.call('HDEL', KEYS[2], field)
    redis.call('HDEL', KEYS[3], field)
    redis.call('ZREM', KEYS[4], field)
  elseif not details and isFull(field, tonumber(ARGV[2]), s.now) then
    answer = 'full'
  else
    details = details or { joinedAt = s.now }
    if counts then details[who] = name end
    keep(field, details, ARGV[i + 1])
    redis.call('ZADD', KEYS[4], int(s.now), field)
    if counts then note(field, ARGV[i + 5]) end
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
