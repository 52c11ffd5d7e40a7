/**
 * Puts tokens on the wheel. KEYS: meta, wheel index, then one hash per distinct second. ARGV:
 * random, then the seconds in the order of their keys with their count before them, then per
 * token: number of its second, field (`jti` as the inside of a JSON string), value (`sub`, `sid`
 * and `client_id` likewise, parted by line feeds). Answers the store time and the numbers (from 0) of the tokens
 * that had expired. Putting the same token twice changes nothing.
 */
export const register = `
local s = open()
local count = tonumber(ARGV[2])
local expired, sets = {}, {}
for i = 3 + count, #ARGV, 3 do
  local n = tonumber(ARGV[i])
  if tonumber(ARGV[2 + n]) * 1000 <= s.now then
    expired[#expired + 1] = string.format('%d', (i - 3 - count) / 3)
  else
    local list = sets[n]
    if not list then list = {} sets[n] = list end
    list[#list + 1] = ARGV[i + 1]
    list[#list + 1] = ARGV[i + 2]
  end
end
local index = {}
for n = 1, count do
  local list = sets[n]
  if list then
    for from = 1, #list, 2000 do
      redis.call('HSET', KEYS[2 + n], unpack(list, from, math.min(from + 1999, #list)))
    end
    index[#index + 1] = ARGV[2 + n]
    index[#index + 1] = ARGV[2 + n]
  end
end
if #index > 0 then redis.call('ZADD', KEYS[2], unpack(index)) end
return { int(s.now), unpack(expired) }
`

/** The due seconds of a shard. KEYS: meta, wheel index, unsent. ARGV: random, ms of grace, most seconds. */
export const due = `
local s = open()
local last = math.floor((s.now - tonumber(ARGV[2])) / 1000)
local seconds = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(last), 'LIMIT', 0, tonumber(ARGV[3]))
return { int(s.now), redis.call('ZCARD', KEYS[3]), unpack(seconds) }
`

/**
 * Takes one batch of a due second out of the wheel and into the feed, in one step. KEYS: meta,
 * wheel index, hash of the second, rules, feed, unsent. ARGV: random, tenant, shard, second,
 * cursor, batch size, most unsent entries. Answers a word, the store time, the next cursor, what
 * is left, how many were announced, how many were passed over as revoked, the epoch, then seq and body of each entry.
 *
 * A second is finished when its hash is empty: a cursor that came back to 0 says nothing, since
 * cursors are void after a restart.
 */
export const drain = `
local s = open()
local tenant, shard, second = ARGV[2], ARGV[3], tonumber(ARGV[4])
if second * 1000 > s.now then return { 'early', int(s.now), '0', 0, 0, 0, s.epoch } end
if redis.call('ZCARD', KEYS[6]) >= tonumber(ARGV[7]) then return { 'paused', int(s.now), ARGV[5], redis.call('HLEN', KEYS[3]), 0, 0, s.epoch } end
local page = redis.call('HSCAN', KEYS[3], ARGV[5], 'COUNT', tonumber(ARGV[6]))
local pairs_, seen, fields, values = page[2], {}, {}, {}
for i = 1, #pairs_, 2 do
  local f = pairs_[i]
  if not seen[f] then
    seen[f] = true
    fields[#fields + 1] = f
    values[#values + 1] = pairs_[i + 1]
  end
end
local revoked, passed = {}, 0
if #fields > 0 and redis.call('HLEN', KEYS[4]) > 0 then
  for from = 1, #fields, 1000 do
    local keys = {}
    for i = from, math.min(from + 999, #fields) do keys[#keys + 1] = '{"jti":"' .. fields[i] .. '"}' end
    local found = redis.call('HMGET', KEYS[4], unpack(keys))
    for i, rule in ipairs(found) do
      if rule and (string.find(rule, '"cutoffs":[', 1, true) or string.find(rule, '"held":true', 1, true)) then
        revoked[from + i - 1] = true
        passed = passed + 1
      end
    end
  end
end
local seq, entries, events, size = s.exp, {}, {}, 0
local function close()
  if #events == 0 then return end
  seq = seq + 1
  entries[#entries + 1] = { seq, head(tenant, 'expiries', shard, s, seq, 'expired') .. table.concat(events, ',') .. ']}' }
  events, size = {}, 0
end
for i, f in ipairs(fields) do
  if not revoked[i] then
    local sub, sid, client = string.match(values[i], '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    local text = '{"jti":"' .. f .. '"'
    if sub ~= '' then text = text .. ',"sub":"' .. sub .. '"' end
    if sid ~= '' then text = text .. ',"sid":"' .. sid .. '"' end
    if client ~= '' then text = text .. ',"client_id":"' .. client .. '"' end
    text = text .. ',"exp":' .. ARGV[4] .. '}'
    if #events >= 500 or size + #text > 60000 then close() end
    events[#events + 1] = text
    size = size + #text + 1
  end
end
close()
local reply = { 'ok', int(s.now), page[1], 0, #fields - passed, passed, s.epoch }
for _, entry in ipairs(entries) do
  local id = int(s.term) .. '-' .. int(entry[1])
  redis.call('XADD', KEYS[5], id, 'b', entry[2])
  redis.call('ZADD', KEYS[6], int(s.now), id)
  reply[#reply + 1] = int(entry[1])
  reply[#reply + 1] = entry[2]
end
if seq > s.exp then redis.call('HSET', META, 'exp', int(seq)) end
for from = 1, #fields, 1000 do redis.call('HDEL', KEYS[3], unpack(fields, from, math.min(from + 999, #fields))) end
local left = redis.call('HLEN', KEYS[3])
if left == 0 then redis.call('ZREM', KEYS[2], ARGV[4]) end
reply[4] = left
return reply
`
