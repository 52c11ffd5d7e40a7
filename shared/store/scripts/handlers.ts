/**
 * What the scripts for handlers share. A record says what is known of an entry for one service:
 * `<done>;<retry until>;<events>;<tries>;<first seen>;<last sent>`, where done is `*` or indexes
 * parted by commas, times are the store's ms, and what trails off empty is left out. So an entry that was handled as a whole is `*`.
 */
export const handlerLib = `
local function parsePos(p)
  local t, q = string.match(p or '', '^(%d+)%-(%d+)$')
  return tonumber(t or '0'), tonumber(q or '0')
end
local function posOf(t, q) return int(t) .. '-' .. int(q) end
local function isAfter(t, q, t2, q2) return t > t2 or (t == t2 and q > q2) end
local function readRecord(v)
  local d, r, n, a, f, l = string.match(v or '', '^([^;]*);?(%d*);?(%d*);?(%d*);?(%d*);?(%d*)$')
  return { d = d or '', r = tonumber(r) or 0, n = tonumber(n) or 0, a = tonumber(a) or 0, f = tonumber(f) or 0, l = tonumber(l) or 0 }
end
local function writeRecord(r)
  local parts = { r.d }
  for i, number in ipairs({ r.r, r.n, r.a, r.f, r.l }) do parts[i + 1] = number > 0 and int(number) or '' end
  return (string.gsub(table.concat(parts, ';'), ';+$', ''))
end
local function join(a, b)
  if a == '*' or b == '*' then return '*' end
  local seen, list = {}, {}
  for index in string.gmatch(a .. ',' .. b, '%d+') do
    if not seen[index] then seen[index] = true list[#list + 1] = tonumber(index) end
  end
  table.sort(list)
  for i, index in ipairs(list) do list[i] = int(index) end
  return table.concat(list, ',')
end
local function isWhole(d, n)
  if d == '*' then return true end
  local count = 0
  for index in string.gmatch(d, '%d+') do if tonumber(index) < n then count = count + 1 end end
  return n > 0 and count >= n
end
local function headOf(body)
  local head = string.sub(body, 1, 400)
  return tonumber(string.match(head, '"at":(%d+)') or '0'), string.match(head, '"kind":"(%a+)"')
end
local function drop(key, fields)
  for from = 1, #fields, 1000 do redis.call('HDEL', key, unpack(fields, from, math.min(from + 999, #fields))) end
end
`

/**
 * Registers a service with handlers, or renews it. KEYS: shard 0's meta, services. ARGV: random,
 * service, id for a new record, most attempts, ms after which a kind that is no longer named goes,
 * most services, ms after which naming a kind is written again, then the kinds. Answers `ok` and the record, or `too_many`.
 *
 * A record: `id`, `attempts`, `version` (of its kinds), `synced` (the version that all shards have
 * taken over; 0 before the first time), `kinds` (when each was last named), `removed`.
 */
export const registerService = `
local s = open()
local service, attempts, linger, most, renew = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local text = redis.call('HGET', KEYS[2], service)
local r = text and cjson.decode(text)
local dirty, changed = false, false
if not r or r.removed then
  if not r and redis.call('HLEN', KEYS[2]) >= most then return { 'too_many' } end
  r = { id = ARGV[3], attempts = attempts, version = 0, synced = 0, kinds = {} }
end
local named = {}
for i = 8, #ARGV do
  local kind = ARGV[i]
  named[kind] = true
  local last = r.kinds[kind]
  if not last then changed = true end
  if not last or s.now - tonumber(last) > renew then r.kinds[kind] = int(s.now) dirty = true end
end
for kind, last in pairs(r.kinds) do
  if not named[kind] and s.now - tonumber(last) > linger then r.kinds[kind] = nil changed = true end
end
if changed then r.version = r.version + 1 end
if r.attempts ~= attempts then r.attempts = attempts dirty = true end
text = cjson.encode(r)
if dirty or changed then redis.call('HSET', KEYS[2], service, text) end
return { 'ok', text }
`

/** Notes that all shards have taken over a version of a service's kinds. KEYS: shard 0's meta, services. ARGV: random, service, id, version. */
export const syncedService = `
open()
local text = redis.call('HGET', KEYS[2], ARGV[2])
local r = text and cjson.decode(text)
if not r or r.id ~= ARGV[3] or r.removed or r.synced >= tonumber(ARGV[4]) then return 0 end
r.synced = tonumber(ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], cjson.encode(r))
return 1
`

/** Ends a service. KEYS: shard 0's meta, services. ARGV: random, service. Answers its id, or an empty text. The record stays, marked, until its marks are gone. */
export const endService = `
open()
local text = redis.call('HGET', KEYS[2], ARGV[2])
if not text then return '' end
local r = cjson.decode(text)
if not r.removed then
  r.removed = true
  redis.call('HSET', KEYS[2], ARGV[2], cjson.encode(r))
end
return r.id
`

/** Forgets an ended service. KEYS: shard 0's meta, services. ARGV: random, service, id. */
export const forgetService = `
open()
local text = redis.call('HGET', KEYS[2], ARGV[2])
local r = text and cjson.decode(text)
if r and r.id == ARGV[3] and r.removed then redis.call('HDEL', KEYS[2], ARGV[2]) end
return 1
`

/** Drops what a shard keeps of a service. KEYS: meta, marks, handled and holes of each log. ARGV: random, id. */
export const dropMarks = `
open()
if redis.call('HGET', KEYS[2], 'id') == ARGV[2] then redis.call('DEL', unpack(KEYS, 2)) end
return 1
`

/**
 * Makes a shard take over the kinds of a service. KEYS: meta, marks, handled r, handled e, holes r,
 * holes e. ARGV: random, id, version of the kinds, 1 where the shards had marks before (else 0), a
 * lower term that the service knew (or 0), then each kind as `<rev|exp>:<kind>`. An older version changes nothing.
 *
 * A shard without marks of this id begins at the tail. Where it had marks and has lost them, all
 * that is left in the feed is owed; where the service knew a lower term, all of this term: the
 * store was emptied under a service that lives. A kind that is new is owed from the tail on.
 */
export const syncMarks = `
local s = open()
local id, version, had, known = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
local m, since = {}, {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do m[all[i]] = all[i + 1] end
local sets, gone, logs = { 'id', id, 'version', int(version) }, {}, {}
local isNew = m.id ~= id
if isNew then m = {} end
if tonumber(m.version or '0') > version then return 0 end
for _, log in ipairs({ 'rev', 'exp' }) do
  local base = posOf(s.term, s[log])
  if isNew and had then base = '0-0' elseif isNew and known > 0 and known < s.term then base = posOf(s.term, 0) end
  local follows = false
  for field in pairs(m) do if string.find(field, '^since:' .. log .. ':') then follows = true end end
  for i = 6, #ARGV do
    local field = 'since:' .. ARGV[i]
    since[field] = true
    if string.sub(ARGV[i], 1, 3) == log and not m[field] then sets[#sets + 1] = field sets[#sets + 1] = base end
  end
  if not follows then
    logs[#logs + 1] = log
    sets[#sets + 1] = log
    sets[#sets + 1] = base
  end
end
for field in pairs(m) do
  if string.find(field, '^since:') and not since[field] then gone[#gone + 1] = field end
end
if isNew then redis.call('DEL', unpack(KEYS, 2)) end
for _, log in ipairs(logs) do
  if log == 'rev' then redis.call('DEL', KEYS[3], KEYS[5]) else redis.call('DEL', KEYS[4], KEYS[6]) end
end
redis.call('HSET', KEYS[2], unpack(sets))
if #gone > 0 then redis.call('HDEL', KEYS[2], unpack(gone)) end
return 1
`

/**
 * Merges one report. KEYS: meta, marks, feed, handled, holes. ARGV: random, log, term and random of
 * its epoch, most records, number of done entries, then per done entry seq and indexes (`*`: all),
 * then per retried entry seq and ms. Answers a word and how many entries were left out for want of
 * room: `unknown` where the service is not registered here, `epoch` where the epoch is not of this store.
 *
 * What is at or before the mark counts only for holes; the rest waits here until the sweep judges it.
 */
export const reportHandled = `
local s = open()
local log, term = ARGV[2], tonumber(ARGV[3])
local m = redis.call('HMGET', KEYS[2], 'id', log, log .. ':top')
if not m[1] or not m[2] then return { 'unknown', 0 } end
if term > s.term or (term == s.term and ARGV[4] ~= s.rand) then return { 'epoch', 0 } end
local markTerm, markSeq = parsePos(m[2])
local room = tonumber(ARGV[5]) - redis.call('HLEN', KEYS[4])
local records, ignored, top = {}, 0, 0
local function take(seq, done, untilMs)
  local id = posOf(term, seq)
  local isHole = false
  if not records[id] then
    if term == s.term and seq > s[log] then return end
    if not isAfter(term, seq, markTerm, markSeq) then
      if done and seq > top then top = seq end
      if not redis.call('ZSCORE', KEYS[5], id) then return end
      isHole = true
    end
    local v = redis.call('HGET', KEYS[4], id)
    if not v and not isHole then
      if term < s.term and #redis.call('XRANGE', KEYS[3], id, id) == 0 then return end
      if room <= 0 then ignored = ignored + 1 return end
      room = room - 1
    end
    records[id] = readRecord(v)
    records[id].isHole = isHole
  end
  local r = records[id]
  if done then
    r.d = join(r.d, done)
    if seq > top then top = seq end
  end
  if untilMs and untilMs > r.r then r.r = untilMs end
end
local count = tonumber(ARGV[6])
for i = 7, #ARGV, 2 do
  local seq = tonumber(ARGV[i])
  if i < 7 + 2 * count then take(seq, ARGV[i + 1], nil) else take(seq, nil, s.now + tonumber(ARGV[i + 1])) end
end
local kept, closed = {}, {}
for id, r in pairs(records) do
  if r.d == '*' then r.r = 0 end
  if r.isHole and r.n == 0 and r.d ~= '*' and r.d ~= '' then
    local found = redis.call('XRANGE', KEYS[3], id, id)
    if found[1] then r.n = #cjson.decode(found[1][2][2]).events end
  end
  if r.isHole and isWhole(r.d, r.n) then closed[#closed + 1] = id else kept[id] = writeRecord(r) end
end
for id, text in pairs(kept) do redis.call('HSET', KEYS[4], id, text) end
for _, id in ipairs(closed) do redis.call('ZREM', KEYS[5], id) end
drop(KEYS[4], closed)
local topTerm, topSeq = parsePos(m[3])
if top > 0 and isAfter(term, top, topTerm, topSeq) then
  local id = posOf(term, top)
  local found = redis.call('XRANGE', KEYS[3], id, id)
  if found[1] then redis.call('HSET', KEYS[2], log .. ':top', id, log .. ':at', int((headOf(found[1][2][2])))) end
end
return { 'ok', ignored }
`
