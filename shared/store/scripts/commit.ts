/**
 * Commits a group of changes to rules: merges each into its rule, appends the entries, notes them
 * unsent. KEYS: meta, rules, until, ids, feed, unsent, commit record, kids, idempotency records. ARGV: random, tenant, shard,
 * store time of the first try (ms), changes as JSON.
 *
 * A change: `{ op, m, t, r, ttl, skew, b?, x?, jx? }` for `revoke` (m: canonical text of the match;
 * t: which default cut-off; r: reason; ack: somebody waits to hear that it was applied; b: explicit cut-off, -1 for "any iat"; x: text of `except`;
 * jx: verified `exp`) and `{ op, m?, id?, t?, ttl?, force? }` for `restore`: by match it also
 * lifts whatever earlier terms held, even what this store has lost; `force` allows it for a match the store knows nothing of.
 *
 * A rule is kept as `<epoch>-<seq> LF <wire text> LF <cut-offs with texts, or empty>`. The last part
 * is there only where the wire text does not say all: dominated cut-offs, exceptions, folded and
 * lifted ids. So a snapshot hands the text on as it is.
 *
 * Answers one text per change: `<seq> <id> <issuedBefore|null> <until|null> <epoch>` for `revoke`,
 * `<seq> <epoch> <lifted ids, or -> <match>` for `restore`, or `!<code>`. The answers are kept for a
 * minute under the commit's id, so that a repeat has one effect. A change with `k` (a number) and
 * `h` has an idempotency record in KEYS[8 + k]: the same `h` gets the answer of the first try, another is refused.
 */
export const commit = `
local done = redis.call('GET', KEYS[7])
local s = open()
if done then return { 'repeated', int(s.now), s.epoch, done } end
local tenant, shard, first = ARGV[2], ARGV[3], tonumber(ARGV[4])
if s.now - first > 30000 then return { 'commit_too_old', int(s.now), s.epoch, '' } end
local LEEWAY, MAX_CUTOFFS, MAX_LIFTED, MAX_EVENT, MAX_BODY = 60, 16, 128, 60000, 60000
local changes = cjson.decode(ARGV[5])
local rules, order, answers, entries = {}, {}, {}, {}
local newIds = {}

local function load(m)
  local known = rules[m]
  if known then return known end
  local text = redis.call('HGET', KEYS[2], m)
  local rule = { m = m, c = {}, l = {}, u = false, isNew = not text }
  if text then
    local pos, wire, rest = string.match(text, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    rule.epoch, rule.seq = string.match(pos, '^(%d+%.%w+)-(%d+)$')
    local w = cjson.decode(wire)
    rule.u, rule.r = w['until'], w.reason
    if rule.u == cjson.null then rule.u = nil end
    if rest ~= '' then
      local full = cjson.decode(rest)
      rule.c, rule.l, rule.lb = full.c or {}, full.l or {}, full.lb
    elseif w.cutoffs then
      local c = w.cutoffs[1]
      local b = c.issuedBefore
      if b == cjson.null then b = nil end
      rule.c = { { i = c.id, b = b, u = rule.u } }
    end
  end
  rules[m] = rule
  order[#order + 1] = m
  return rule
end

local function later(a, b)
  if a == nil or b == nil then return nil end
  return math.max(a, b)
end
local function reaches(a, b) return a.b == nil or (b.b ~= nil and a.b >= b.b) end
local function dominates(a, b) return reaches(a, b) and (a.x == nil or a.x == b.x) end

local function onWire(c)
  local kept = {}
  for i = #c, 1, -1 do
    local hidden = false
    for _, other in ipairs(kept) do if dominates(other, c[i]) then hidden = true break end end
    if not hidden then
      local still = {}
      for _, other in ipairs(kept) do if not dominates(c[i], other) then still[#still + 1] = other end end
      still[#still + 1] = c[i]
      kept = still
    end
  end
  return kept
end

local function wireOf(rule)
  local kept = onWire(rule.c)
  local parts = { '{"match":', rule.m }
  if #kept > 0 then
    local cs = {}
    for i = #kept, 1, -1 do
      local c = kept[i]
      cs[#cs + 1] = '{"id":"' .. c.i .. '","issuedBefore":' .. (c.b and int(c.b) or 'null') .. (c.x and (',"except":' .. c.x) or '') .. '}'
    end
    parts[#parts + 1] = ',"cutoffs":[' .. table.concat(cs, ',') .. ']'
  end
  parts[#parts + 1] = ',"held":false,"until":' .. (rule.u and int(rule.u) or 'null')
  if rule.r then parts[#parts + 1] = ',"reason":"' .. rule.r .. '"' end
  if #rule.l > 0 then
    local ids = {}
    for i, l in ipairs(rule.l) do ids[i] = '"' .. l.i .. '"' end
    parts[#parts + 1] = ',"lifted":[' .. table.concat(ids, ',') .. ']'
  end
  if rule.lb then parts[#parts + 1] = ',"liftedBefore":' .. int(rule.lb) end
  parts[#parts + 1] = '}'
  return table.concat(parts), #kept
end

local function restOf(rule, wired)
  local plain = not rule.lb and #rule.l == 0 and wired == 1 and #rule.c == 1 and not rule.c[1].x and not rule.c[1].f
  if plain then return '' end
  local full = { lb = rule.lb }
  if #rule.c > 0 then full.c = rule.c end
  if #rule.l > 0 then full.l = rule.l end
  return cjson.encode(full)
end

local seq, current = s.rev, nil
local function place(kind, size)
  if current and (current.kind ~= kind or #current.events >= 500 or current.size + size + 1 > MAX_BODY) then current = nil end
  if not current then
    seq = seq + 1
    current = { kind = kind, seq = seq, events = {}, size = 300 }
    entries[#entries + 1] = current
  end
  return current.seq, #current.events
end

local function emit(rule)
  local wire, wired = wireOf(rule)
  current.events[#current.events + 1] = wire
  current.size = current.size + #wire + 1
  rule.epoch, rule.seq, rule.wire, rule.rest, rule.dirty = s.epoch, int(current.seq), wire, restOf(rule, wired), true
end

local function copyOf(rule)
  local c, l = {}, {}
  for i, each in ipairs(rule.c) do c[i] = each end
  for i, each in ipairs(rule.l) do l[i] = each end
  return { c = c, l = l, u = rule.u, r = rule.r, lb = rule.lb }
end
local function putBack(rule, old) rule.c, rule.l, rule.u, rule.r, rule.lb = old.c, old.l, old.u, old.r, old.lb end

local function fold(rule)
  for i = 1, #rule.c do
    for j = i + 1, #rule.c do
      local a, b = rule.c[i], rule.c[j]
      if a.x == b.x then
        local f = { a.i }
        for _, id in ipairs(a.f or {}) do f[#f + 1] = id end
        for _, id in ipairs(b.f or {}) do f[#f + 1] = id end
        local cut = a.b and b.b and math.max(a.b, b.b) or nil
        rule.c[j] = { i = b.i, b = cut, x = b.x, u = later(a.u, b.u), f = f }
        table.remove(rule.c, i)
        return true
      end
    end
  end
  return false
end

local function revoke(change)
  local default, until_
  local ttl = change.ttl
  if change.t == 'sid' then default = s.sec + ttl
  elseif change.t == 'other' then default = s.sec + change.skew end
  local cut = default
  if change.b then
    if change.b >= 0 then
      if default and change.b > default then return '!issued_before_in_future ' .. int(default) end
      cut = change.b
    elseif default then
      return '!issued_before_in_future ' .. int(default)
    end
  end
  if change.t == 'kid' then until_ = nil
  elseif change.t == 'jti' then until_ = (change.jx or (s.sec + ttl)) + LEEWAY
  else until_ = cut + ttl + LEEWAY end
  local rule = load(change.m)
  for _, c in ipairs(rule.c) do
    if c.b == cut and c.x == change.x and (rule.u == nil or (until_ ~= nil and until_ <= rule.u)) then
      return rule.seq .. ' ' .. c.i .. ' ' .. (cut and int(cut) or 'null') .. ' ' .. (rule.u and int(rule.u) or 'null') .. ' ' .. rule.epoch
    end
  end
  local old = copyOf(rule)
  if #rule.c >= MAX_CUTOFFS and not fold(rule) then return '!too_many_cutoffs' end
  local at, index = place('revoked', 0)
  local id = 'r' .. shard .. '-' .. int(s.term) .. '-' .. int(at) .. '-' .. index
  rule.c[#rule.c + 1] = { i = id, b = cut, x = change.x, u = until_ }
  if rule.isNew then rule.u = until_ else rule.u = later(rule.u, until_) end
  local hidden = false
  for _, c in ipairs(old.c) do hidden = hidden or (dominates(c, rule.c[#rule.c]) and not dominates(rule.c[#rule.c], c)) end
  if not hidden then rule.r = change.r end
  local wire = wireOf(rule)
  if #wire > MAX_EVENT then
    putBack(rule, old)
    if #current.events == 0 then
      entries[#entries], current, seq = nil, nil, seq - 1
    end
    return '!rule_too_large'
  end
  if current.size + #wire + 1 > MAX_BODY and #current.events > 0 then
    current = nil
    at, index = place('revoked', 0)
    id = 'r' .. shard .. '-' .. int(s.term) .. '-' .. int(at) .. '-' .. index
    rule.c[#rule.c].i = id
  end
  emit(rule)
  if change.ack then current.ack = true end
  rule.isNew = false
  newIds[#newIds + 1] = { id, change.m }
  return int(at) .. ' ' .. id .. ' ' .. (cut and int(cut) or 'null') .. ' ' .. (rule.u and int(rule.u) or 'null') .. ' ' .. s.epoch
end

local function restore(change)
  local m = change.m or redis.call('HGET', KEYS[4], change.id)
  if not m then
    for _, pair in ipairs(newIds) do if pair[1] == change.id then m = pair[2] end end
  end
  if not m then return '!unknown_revocation' end
  local rule = load(m)
  local kept, lifts = {}, {}
  for _, c in ipairs(rule.c) do
    local hit = change.id == nil or c.i == change.id
    for _, id in ipairs(c.f or {}) do hit = hit or id == change.id end
    if hit then lifts[#lifts + 1] = c else kept[#kept + 1] = c end
  end
  if #lifts == 0 then
    if change.id then
      for _, l in ipairs(rule.l) do
        if l.i == change.id then return rule.seq .. ' ' .. rule.epoch .. ' - ' .. m end
      end
      return '!unknown_revocation'
    end
    if rule.isNew and not change.force then return '!unknown_revocation' end
    if rule.lb and rule.lb >= s.term then return rule.seq .. ' ' .. rule.epoch .. ' - ' .. m end
  end
  local old = copyOf(rule)
  local lifted, names = {}, {}
  for _, l in ipairs(rule.l) do if l.u == nil or l.u >= s.sec then lifted[#lifted + 1] = l end end
  for _, c in ipairs(lifts) do
    lifted[#lifted + 1] = { i = c.i, u = c.u }
    names[#names + 1] = c.i
    for _, id in ipairs(c.f or {}) do
      lifted[#lifted + 1] = { i = id, u = c.u }
      names[#names + 1] = id
    end
  end
  if #lifted > MAX_LIFTED then return '!too_many_cutoffs' end
  if rule.isNew then
    if change.t == 'kid' then rule.u = nil
    else rule.u = s.sec + (change.t == 'sid' and 2 or 1) * change.ttl + LEEWAY end
  end
  rule.c, rule.l = kept, lifted
  if not change.id then rule.lb = s.term end
  local wire = wireOf(rule)
  if #wire > MAX_EVENT then putBack(rule, old) return '!rule_too_large' end
  local at = place('restored', #wire)
  emit(rule)
  rule.isNew = false
  return int(at) .. ' ' .. s.epoch .. ' ' .. (#names > 0 and table.concat(names, ',') or '-') .. ' ' .. m
end

local records = {}
for i, change in ipairs(changes) do
  local answer
  local key = change.k and KEYS[8 + change.k]
  local known = key and (records[key] or redis.call('GET', key))
  if known then
    local hash, first_ = string.match(known, '^(%w+) (.*)$')
    answer = hash == change.h and first_ or '!idempotency_conflict'
  elseif change.op == 'revoke' then
    answer = revoke(change)
  else
    answer = restore(change)
  end
  if key and not known and string.sub(answer, 1, 1) ~= '!' then records[key] = change.h .. ' ' .. answer end
  answers[i] = answer
end

local result = table.concat(answers, '\\n')
local reply = { 'ok', int(s.now), s.epoch, result }
local bodies = {}
for i, entry in ipairs(entries) do
  bodies[i] = head(tenant, 'revocations', shard, s, entry.seq, entry.kind, entry.ack) .. table.concat(entry.events, ',') .. ']}'
end
for i, entry in ipairs(entries) do
  local id = int(s.term) .. '-' .. int(entry.seq)
  redis.call('XADD', KEYS[5], id, 'b', bodies[i])
  redis.call('ZADD', KEYS[6], int(s.now), id)
  reply[#reply + 1] = int(entry.seq)
  reply[#reply + 1] = bodies[i]
end
for _, m in ipairs(order) do
  local rule = rules[m]
  if rule.dirty then
    redis.call('HSET', KEYS[2], m, rule.epoch .. '-' .. rule.seq .. '\\n' .. rule.wire .. '\\n' .. rule.rest)
    redis.call('ZADD', KEYS[3], rule.u and int(rule.u) or '+inf', m)
    if string.find(m, '"kid":', 1, true) then
      if #rule.c > 0 then redis.call('HSET', KEYS[8], m, '1') else redis.call('HDEL', KEYS[8], m) end
    end
  end
end
for _, pair in ipairs(newIds) do redis.call('HSET', KEYS[4], pair[1], pair[2]) end
for key, record in pairs(records) do redis.call('SET', key, record, 'PX', 600000, 'NX') end
redis.call('HSET', META, 'rev', int(seq))
redis.call('SET', KEYS[7], result, 'PX', 60000)
return reply
`
