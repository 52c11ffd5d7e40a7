/**
 * How far services are in one shard. KEYS: meta, then per service marks, holes r, holes e. ARGV:
 * random. Answers the store time, then per service and log (`rev`, `exp`): id, mark, time of the newest
 * entry that is done, number of holes, time of the next try; then the tail of each log.
 */
export const handlerState = `
local s = open()
local reply = { int(s.now) }
local logs = { 'rev', 'exp' }
for i = 2, #KEYS, 3 do
  for n, log in ipairs(logs) do
    local m = redis.call('HMGET', KEYS[i], 'id', log, log .. ':at')
    local holes = KEYS[i + n]
    local next_ = redis.call('ZRANGE', holes, 0, 0, 'WITHSCORES')
    for _, item in ipairs({ m[1] or '', m[2] or '', m[3] or '0', redis.call('ZCARD', holes), next_[2] or '' }) do reply[#reply + 1] = item end
  end
end
for _, log in ipairs(logs) do reply[#reply + 1] = posOf(s.term, s[log]) end
return reply
`

/**
 * Judges entries after a service's mark, in order, and moves the mark over them: what is done or not
 * for this service is forgotten, what is neither done nor young becomes a hole. KEYS: meta, feed,
 * marks, handled, holes, unsent. ARGV: random, id, log, ms of grace, 1 where the queue is empty, time of the
 * newest entry done anywhere, ms until a hole is first due where the queue is not empty (where it is: the grace), ms of margin
 * after a retry, most entries, most bytes, most holes. Answers a word (`end`;
 * `more`: call again; `young`, `waiting`, `full`: why it stopped; `gone`: another registration), how
 * many entries had gone from the feed, and how many became holes.
 *
 * An entry that was handled as a whole is not read: its record says it. Entries of a lower term are
 * read, since their numbers may end anywhere; when none is left the mark goes to the beginning of this term.
 * An entry that RabbitMQ has not confirmed counts as young, whatever its age: it is the relay's.
 */
export const scanHandled = `
local s = open()
local id, log, grace, empty, latest = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
local wait, margin, most, mostBytes, mostHoles = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local m = redis.call('HMGET', KEYS[3], 'id', log)
if m[1] ~= id or not m[2] then return { 'gone', 0, 0 } end
local term, seq = parsePos(m[2])
local tail = s[log]
-- A mark that no store of this history can have: begin with what there is rather than never.
if term > s.term or (term == s.term and seq > tail) then term, seq = 0, 0 end
local owedFrom, first = {}, nil
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local kind = string.match(all[i], '^since:' .. log .. ':(%a+)$')
  if kind then
    local t, q = parsePos(all[i + 1])
    owedFrom[kind] = { t, q }
    if not first or isAfter(first[1], first[2], t, q) then first = { t, q } end
  end
end
if not first then first = { term, seq } end
local records = redis.call('HLEN', KEYS[4])
local holes, bytes, lost, word = redis.call('ZCARD', KEYS[5]), 0, 0, nil
local gone, opened = {}, {}

local function countLost(t, from, to)
  if t == first[1] then from = math.max(from, first[2]) elseif first[1] > t then from = to end
  lost = lost + math.max(0, to - from)
end
local function judge(t, q, v, body)
  bytes = bytes + #body
  local at, kind = headOf(body)
  local from = owedFrom[kind or '']
  if not from or not isAfter(t, q, from[1], from[2]) then return true end
  local r = readRecord(v)
  if isWhole(r.d, 0) then return true end
  if r.d ~= '' then
    r.n = #cjson.decode(body).events
    if isWhole(r.d, r.n) then return true end
  end
  if at > s.now - grace or redis.call('ZSCORE', KEYS[6], posOf(t, q)) then word = 'young' return false end
  if not empty and latest <= at then word = 'waiting' return false end
  if holes + #opened >= mostHoles then word = 'full' return false end
  local due = s.now + (empty and grace or wait)
  if r.r > 0 then due = math.max(due, r.r + margin) end
  r.f = s.now
  opened[#opened + 1] = { posOf(t, q), due, writeRecord(r) }
  return true, true
end

local left = most
while left > 0 and not word and term < s.term do
  local page = redis.call('XRANGE', KEYS[2], '(' .. posOf(term, seq), posOf(s.term, 0), 'COUNT', math.min(left, 20))
  local trimTerm, trimSeq = parsePos(redis.call('HGET', META, 'trimmed:' .. log))
  local to = nil
  if page[1] then
    local t, q = parsePos(page[1][1])
    if t == term then to = q - 1 end
  end
  if not to and trimTerm == term then to = trimSeq end
  if to and to > seq and seq + term > 0 then countLost(term, seq, to) end
  for _, item in ipairs(page) do
    local t, q = parsePos(item[1])
    local v = redis.call('HGET', KEYS[4], item[1])
    local passed, isHole = judge(t, q, v, item[2][2])
    if not passed then break end
    if v and not isHole then gone[#gone + 1] = item[1] end
    term, seq = t, q
    left = left - 1
    if bytes > mostBytes then break end
  end
  if #page == 0 then
    term, seq = s.term, 0
    for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
      local t = parsePos(field)
      if t < s.term and not redis.call('ZSCORE', KEYS[5], field) then
        local isNew = false
        for _, hole in ipairs(opened) do isNew = isNew or hole[1] == field end
        if not isNew then gone[#gone + 1] = field end
      end
    end
  end
  if bytes > mostBytes then break end
end
while left > 0 and not word and term == s.term and seq < tail and bytes <= mostBytes do
  local count = math.min(left, tail - seq, 500)
  local ids = {}
  for i = 1, count do ids[i] = posOf(term, seq + i) end
  local known = records > 0 and redis.call('HMGET', KEYS[4], unpack(ids)) or {}
  for i = 1, count do
    local v, passed, isHole = known[i], true, false
    if v ~= '*' then
      local found = redis.call('XRANGE', KEYS[2], ids[i], ids[i])
      if found[1] then
        passed, isHole = judge(term, seq + 1, v, found[1][2][2])
      else
        countLost(term, seq, seq + 1)
        if records == 0 then
          -- Nothing is known of what is missing, so the gap is passed in one step.
          local next_ = redis.call('XRANGE', KEYS[2], '(' .. ids[i], '+', 'COUNT', 1)
          local to = tail
          if next_[1] then to = select(2, parsePos(next_[1][1])) - 1 end
          countLost(term, seq + 1, to)
          seq = to
          left = left - 1
          break
        end
      end
    end
    if not passed then break end
    if v and not isHole then gone[#gone + 1] = ids[i] end
    seq = seq + 1
    left = left - 1
    if bytes > mostBytes then break end
  end
end
if not word then word = term == s.term and seq >= tail and 'end' or 'more' end
for _, hole in ipairs(opened) do
  redis.call('ZADD', KEYS[5], int(hole[2]), hole[1])
  redis.call('HSET', KEYS[4], hole[1], hole[3])
end
drop(KEYS[4], gone)
redis.call('HSET', KEYS[3], log, posOf(term, seq))
return { word, int(lost), #opened }
`

/**
 * Lends the holes that are due to one sweep. KEYS: meta, feed, marks, handled, holes. ARGV: random,
 * id, log, 1 where the queue is empty, time of the newest entry done anywhere, ms of margin after a
 * retry, ms of the loan, most holes, most bytes, ms until one that may still be
 * in the queue is looked at again. Answers how many holes were looked at, how many had gone from the feed, then per
 * hole position, tries, when it was first seen, the indexes that are done, the body, and the trace (empty where it has none).
 *
 * A hole was confirmed by RabbitMQ before it was first seen, so what was committed after that is
 * queued behind it, and behind what was sent again before. If such an entry is done, the hole's message has passed the queue.
 */
export const claimHoles = `
local s = open()
local id, log, empty, latest, margin, loan = ARGV[2], ARGV[3], ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local most, mostBytes, again = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
if redis.call('HGET', KEYS[3], 'id') ~= id then return { 0, 0 } end
local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', int(s.now), 'LIMIT', 0, most)
local reply, looked, lost, bytes = { 0, 0 }, 0, 0, 0
local function close(pos) redis.call('ZREM', KEYS[5], pos) redis.call('HDEL', KEYS[4], pos) end
for _, pos in ipairs(due) do
  if bytes > mostBytes then break end
  looked = looked + 1
  local r = readRecord(redis.call('HGET', KEYS[4], pos) or '')
  local found = redis.call('XRANGE', KEYS[2], pos, pos)
  local kind
  if found[1] then kind = select(2, headOf(found[1][2][2])) end
  if not found[1] then
    lost = lost + 1
    close(pos)
  elseif redis.call('HEXISTS', KEYS[3], 'since:' .. log .. ':' .. (kind or '')) == 0 then
    close(pos)
  elseif r.r > 0 and r.r + margin > s.now then
    redis.call('ZADD', KEYS[5], int(r.r + margin), pos)
  elseif not empty and latest <= math.max(r.f, r.l) then
    redis.call('ZADD', KEYS[5], int(s.now + again), pos)
  else
    redis.call('ZADD', KEYS[5], int(s.now + loan), pos)
    local body = found[1][2][2]
    bytes = bytes + #body
    for _, item in ipairs({ pos, int(r.a), int(r.f), r.d, body, found[1][2][4] or '' }) do reply[#reply + 1] = item end
  end
end
reply[1], reply[2] = looked, lost
return reply
`

/**
 * Says what became of holes that were lent. KEYS: meta, marks, handled, holes. ARGV: random, id, ms
 * before the second try, most ms between tries, then per hole position, outcome, and the tries it was lent with.
 * `sent` counts as a try and doubles the interval; `unroutable` reached nobody and does not count; `closed` ends it.
 */
export const settleHoles = `
local s = open()
if redis.call('HGET', KEYS[2], 'id') ~= ARGV[2] then return 0 end
local base, most = tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 5, #ARGV, 3 do
  local pos, outcome, tries = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local v = redis.call('HGET', KEYS[3], pos)
  if outcome == 'closed' then
    redis.call('ZREM', KEYS[4], pos)
    redis.call('HDEL', KEYS[3], pos)
  elseif v and redis.call('ZSCORE', KEYS[4], pos) then
    local r = readRecord(v)
    if r.a == tries then
      if outcome == 'sent' then r.a, r.l = tries + 1, s.now end
      redis.call('HSET', KEYS[3], pos, writeRecord(r))
      redis.call('ZADD', KEYS[4], int(s.now + math.min(most, base * 2 ^ tries)), pos)
    end
  end
end
return 1
`
