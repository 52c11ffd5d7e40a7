import { wheel } from './wheel.ts'

/**
 * Puts tokens on the wheel, each at its next announcement. KEYS: meta, wheel index, then one hash
 * per distinct second. ARGV: random, most tokens of the shard, lead times to announce, lead times
 * whose seconds are declared (all of the former among them), number of seconds, the seconds in the
 * order of their keys, then per token: number of the second of its `exp`, field (`jti` as the inside
 * of a JSON string), value (`sub`, `sid` and `client_id` likewise, parted by line feeds).
 *
 * Answers `leads` where a token may lie at a lead time that is not declared (then nothing is kept),
 * else `ok`; the store time; the lead times in use; then the number (from 0) of each token that is
 * not kept, after `e` where it had expired and `q` where the shard is full. Putting the same token
 * twice changes nothing. Without lead times, and far from full, nothing is looked up.
 */
export const register: string = `${wheel}
local s = open()
local leads, declared, count = numbers(ARGV[3]), numbers(ARGV[4]), tonumber(ARGV[5])
local m = redis.call('HMGET', META, 'tokens', 'leads')
local tokens, last = tonumber(m[1] or '0'), leadsOf(m[2])
local wanted, isDeclared, missing = setOf(leads), setOf(declared), false
if m[2] then
  local first
  for lead, second in pairs(last) do
    if not wanted[lead] then
      first = first or redis.call('ZRANGE', KEYS[2], 0, 0)[1] or 'inf'
      if first == 'inf' or tonumber(first) > second then last[lead] = nil end
    end
  end
  for lead in pairs(last) do missing = missing or not isDeclared[lead] end
end
local reply = { missing and 'leads' or 'ok', int(s.now), textOf(last) }
if missing then return reply end

local group = (#ARGV - 5 - count) / 3
local room = tonumber(ARGV[2]) - tokens
if room < group and redis.call('ZCARD', KEYS[2]) == 0 then
  tokens, room = 0, tonumber(ARGV[2])
end
local isTight = room < group
local numberOf, sets, put = {}, {}, {}
local isPlain = #declared == 0 and not isTight
for n = 1, count do numberOf[tonumber(ARGV[5 + n])] = n end
local function isThere(n, second, field)
  if redis.call('HEXISTS', KEYS[2 + n], field) == 1 then return true end
  if #declared == 0 then return false end
  local early = field .. '\\n' .. int(second)
  for _, lead in ipairs(declared) do
    if redis.call('HEXISTS', KEYS[2 + numberOf[second - lead]], early) == 1 then return true end
  end
  return false
end
for i = 6 + count, #ARGV, 3 do
  local n, field = tonumber(ARGV[i]), ARGV[i + 1]
  local second = tonumber(ARGV[5 + n])
  if second * 1000 <= s.now then
    reply[#reply + 1] = 'e' .. int((i - 6 - count) / 3)
  elseif isPlain then
    append(sets, n, field, ARGV[i + 2])
  else
    local key = n .. ' ' .. field
    if not put[key] and not isThere(n, second, field) then
      if room < 1 then
        reply[#reply + 1] = 'q' .. int((i - 6 - count) / 3)
      else
        room, put[key] = room - 1, true
        local at = announcementAfter(s.sec, second, leads)
        if at < second then
          local lead = second - at
          last[lead] = math.max(last[lead] or 0, at)
          n, field = numberOf[at], field .. '\\n' .. int(second)
        end
        append(sets, n, field, ARGV[i + 2])
      end
    end
  end
end
local added = putAll(sets, count, 2, 5)
if added > 0 then
  local text = textOf(last)
  redis.call('HSET', META, 'tokens', int(tokens + added))
  if text ~= (m[2] or '') then redis.call('HSET', META, 'leads', text) end
end
return reply
`

/**
 * Whether a token lies on the wheel, at its `exp` or at an announcement before it. KEYS: meta, hash of
 * the second of its `exp`, then one hash per lead time. ARGV: random, field (`jti` as the inside of a
 * JSON string), second of its `exp`, lead times whose seconds are declared, in the order of their keys.
 * Answers `leads` where it may lie at a lead time that is not declared, else `yes` or `no`; the store
 * time; the lead times in use.
 */
export const findToken: string = `${wheel}
local s = open()
local declared, text = numbers(ARGV[4]), redis.call('HGET', META, 'leads')
local isDeclared, word = setOf(declared), 'no'
for lead in pairs(leadsOf(text)) do
  if not isDeclared[lead] then word = 'leads' end
end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then word = 'yes' end
for i = 1, #declared do
  if redis.call('HEXISTS', KEYS[2 + i], ARGV[2] .. '\\n' .. ARGV[3]) == 1 then word = 'yes' end
end
return { word, int(s.now), text or '' }
`

/** The due seconds of a shard. KEYS: meta, wheel index, unsent. ARGV: random, ms of grace, most seconds. */
export const due = `
local s = open()
local last = math.floor((s.now - tonumber(ARGV[2])) / 1000)
local seconds = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(last), 'LIMIT', 0, tonumber(ARGV[3]))
return { int(s.now), redis.call('ZCARD', KEYS[3]), unpack(seconds) }
`

/**
 * Takes one batch of a due second out of the wheel and into the feed, in one step; a token that lies
 * at a lead time is put at its next announcement in the same step. KEYS: meta, wheel index, hash of
 * the second, rules, feed, unsent, then one hash per second that a token may be put into. ARGV: random,
 * tenant, shard, second, cursor, batch size, most unsent entries, lead times to announce, lead times
 * whose seconds are declared, then those seconds in the order of their keys.
 *
 * Answers a word, the store time, the next cursor, what is left, how many were announced as expired,
 * how many were passed over as revoked, the epoch, how many were announced as expiring, then seq and
 * body of each entry. With the word `leads` nothing was done: the third item names the lead times
 * of tokens that were found and cannot be put anywhere, since no second is declared for them.
 *
 * A second is finished when its hash is empty: a cursor that came back to 0 says nothing, since
 * cursors are void after a restart. An announcement is passed over, and the token put further, when
 * its `jti` is revoked now or when the next one is due as well: then it comes too late to be true.
 * `meta` counts under `expired` what was announced as expired, ever.
 */
export const drain: string = `${wheel}
local s = open()
local tenant, shard, second = ARGV[2], ARGV[3], tonumber(ARGV[4])
if second * 1000 > s.now then return { 'early', int(s.now), '0', 0, 0, 0, s.epoch, 0 } end
if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[7]) then return { 'paused', int(s.now), ARGV[5], redis.call('HLEN', KEYS[3]), 0, 0, s.epoch, 0 } end
local leads, isDeclared = numbers(ARGV[8]), setOf(numbers(ARGV[9]))
local page = redis.call('HSCAN', KEYS[3], ARGV[5], 'COUNT', tonumber(ARGV[6]))
local pairs_, seen, fields, values, jtis, exps, missing = page[2], {}, {}, {}, {}, {}, {}
for i = 1, #pairs_, 2 do
  local f = pairs_[i]
  if not seen[f] then
    seen[f] = true
    local n = #fields + 1
    fields[n], jtis[n], values[n] = f, f, pairs_[i + 1]
    local at = string.find(f, '\\n', 1, true)
    if at then
      jtis[n], exps[n] = string.sub(f, 1, at - 1), tonumber(string.sub(f, at + 1))
      if not isDeclared[exps[n] - second] then missing[exps[n] - second] = second end
    end
  end
end
if next(missing) then return { 'leads', int(s.now), textOf(missing), 0, 0, 0, s.epoch, 0 } end
local revoked, held = {}, {}
if #fields > 0 and redis.call('HLEN', KEYS[4]) > 0 then
  for from = 1, #fields, 1000 do
    local keys = {}
    for i = from, math.min(from + 999, #fields) do keys[#keys + 1] = '{"jti":"' .. jtis[i] .. '"}' end
    local found = redis.call('HMGET', KEYS[4], unpack(keys))
    for i, rule in ipairs(found) do
      if rule and string.find(rule, '"cutoffs":[', 1, true) then revoked[from + i - 1] = true end
      if rule and string.find(rule, '"held":true', 1, true) then held[from + i - 1] = true end
    end
  end
end
local before = tonumber(redis.call('HGET', META, 'expired') or '0') or 0
local numberOf, sets = {}, {}
for n = 10, #ARGV do numberOf[tonumber(ARGV[n])] = n - 9 end
local seq, entries, expired, passed, expiring, last = s.exp, {}, 0, 0, 0, nil
local open_ = { expired = { size = 0, count = 0 }, expiring = { size = 0, count = 0 } }
local function close(kind)
  local events = open_[kind]
  if events.count == 0 then return end
  seq = seq + 1
  entries[#entries + 1] = { seq, head(tenant, 'expiries', shard, s, seq, kind) .. table.concat(events) .. ']}' }
  open_[kind] = { size = 0, count = 0 }
end
local function claimsOf(value)
  local text, isWhole = string.gsub(value, '^([^\\n]+)\\n([^\\n]+)\\n(.+)$', '","sub":"%1","sid":"%2","client_id":"%3')
  if isWhole == 1 then return text end
  local sub, sid, client = string.match(value, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  return (sub ~= '' and '","sub":"' .. sub or '') .. (sid ~= '' and '","sid":"' .. sid or '') .. (client ~= '' and '","client_id":"' .. client or '')
end
-- Few strings are made for each: Lua hashes and collects every one.
local function announce(kind, i, tail)
  local jti, claims = jtis[i], claimsOf(values[i])
  local events, size = open_[kind], 9 + #jti + #claims + #tail
  if events.count >= 500 or events.size + size > 60000 then
    close(kind)
    events = open_[kind]
  end
  local n = events.count * 4
  events[n + 1] = n == 0 and '{"jti":"' or ',{"jti":"'
  events[n + 2], events[n + 3], events[n + 4] = jti, claims, tail
  events.count, events.size = events.count + 1, events.size + size
end
local tail = '","exp":' .. ARGV[4] .. '}'
for i, f in ipairs(fields) do
  local exp = exps[i]
  if not exp then
    if revoked[i] then
      passed = passed + 1
    else
      expired = expired + 1
      announce('expired', i, tail)
    end
  else
    local at = announcementAfter(second, exp, leads)
    if not revoked[i] and not held[i] and at * 1000 > s.now then
      expiring = expiring + 1
      announce('expiring', i, '","exp":' .. int(exp) .. ',"inSeconds":' .. int(exp - second) .. '}')
    end
    if at < exp then
      last = last or leadsOf(redis.call('HGET', META, 'leads'))
      last[exp - at] = math.max(last[exp - at] or 0, at)
    end
    append(sets, numberOf[at], at < exp and f or jtis[i], values[i])
  end
end
close('expiring')
close('expired')
local reply = { 'ok', int(s.now), page[1], 0, expired, passed, s.epoch, expiring }
for _, entry in ipairs(entries) do
  local id = int(s.term) .. '-' .. int(entry[1])
  redis.call('XADD', KEYS[5], id, 'b', entry[2])
  redis.call('ZADD', KEYS[6], int(s.now), id)
  reply[#reply + 1] = int(entry[1])
  reply[#reply + 1] = entry[2]
end
if seq > s.exp then redis.call('HSET', META, 'exp', int(seq), 'expired', int(before + expired)) end
if last then redis.call('HSET', META, 'leads', textOf(last)) end
local change = putAll(sets, #ARGV - 9, 6, 9)
for from = 1, #fields, 1000 do change = change - redis.call('HDEL', KEYS[3], unpack(fields, from, math.min(from + 999, #fields))) end
local left = redis.call('HLEN', KEYS[3])
if left == 0 then redis.call('ZREM', KEYS[2], ARGV[4]) end
if change ~= 0 or left == 0 then
  local tokens = 0
  if redis.call('EXISTS', KEYS[2]) == 1 then tokens = math.max(0, tonumber(redis.call('HGET', META, 'tokens') or '0') + change) end
  redis.call('HSET', META, 'tokens', int(tokens))
end
reply[4] = left
return reply
`
