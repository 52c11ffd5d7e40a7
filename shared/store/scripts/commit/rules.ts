/**
 * The part of the commit script that reads a rule, writes it as text and gives it a place in the
 * feed. A rule in memory: m (text of the match), c (cut-offs), h (the hold: i id, b reviewBy, o
 * outcome, r reason, u until), l (what was lifted: i id, u until, h where it was a hold), u (until;
 * nil: never), r (reason of the cut-offs), lb (liftedBefore), rl (releasedBefore).
 */
export const rulesPart: string = `
local LEEWAY, MAX_CUTOFFS, MAX_FOLDED, MAX_LIFTED, MAX_LIFTED_HOLDS, MAX_EVENT, MAX_BODY = 60, 16, 800, 800, 16, 60000, 60000
local rules, order, entries, newIds, published = {}, {}, {}, {}, 0

-- The texts of all rules that the changes name, read at once.
local texts = {}
do
  local names, isNamed = {}, {}
  for _, change in ipairs(changes) do
    local m = change.m
    if m and not isNamed[m] then
      isNamed[m] = true
      names[#names + 1] = m
    end
  end
  for i = 1, #names, MAX_ARGS do
    local found = redis.call('HMGET', KEYS[2], unpack(names, i, math.min(i + MAX_ARGS - 1, #names)))
    for k, text in ipairs(found) do texts[names[i + k - 1]] = text end
  end
end

local function load(m)
  local known = rules[m]
  if known then return known end
  local text = texts[m]
  if text == nil then text = redis.call('HGET', KEYS[2], m) end
  local rule = { m = m, c = {}, l = {}, u = false, isNew = not text }
  if text then
    local pos, wire, rest = string.match(text, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    rule.epoch, rule.seq = string.match(pos, '^(%d+%.%w+)-(%d+)$')
    local w = cjson.decode(wire)
    rule.before = wire
    rule.u, rule.r = w['until'], w.reason
    if rule.u == cjson.null then rule.u = nil end
    if rest ~= '' then
      local full = cjson.decode(rest)
      rule.c, rule.l, rule.lb, rule.rl, rule.h = full.c or {}, full.l or {}, full.lb, full.rl, full.h
      if rule.h then rule.r, rule.wasHeld = full.r, true end
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
  if #c < 2 then return c end
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
  local kept, h = onWire(rule.c), rule.h
  local parts = { '{"match":', rule.m }
  if #kept > 0 then
    local cs = {}
    for i = #kept, 1, -1 do
      local c = kept[i]
      cs[#cs + 1] = '{"id":"' .. c.i .. '","issuedBefore":' .. (c.b and int(c.b) or 'null') .. (c.x and (',"except":' .. c.x) or '') .. '}'
    end
    parts[#parts + 1] = ',"cutoffs":[' .. table.concat(cs, ',') .. ']'
  end
  if h then
    parts[#parts + 1] = ',"held":true,"holdId":"' .. h.i .. '","reviewBy":' .. int(h.b) .. ',"outcome":"' .. h.o .. '"'
  else
    parts[#parts + 1] = ',"held":false'
  end
  parts[#parts + 1] = ',"until":' .. (rule.u and int(rule.u) or 'null')
  local reason = rule.r
  if h and #rule.c == 0 then reason = h.r end
  if reason then parts[#parts + 1] = ',"reason":"' .. reason .. '"' end
  if #rule.l > 0 then
    local ids = {}
    for i, l in ipairs(rule.l) do ids[i] = '"' .. l.i .. '"' end
    parts[#parts + 1] = ',"lifted":[' .. table.concat(ids, ',') .. ']'
  end
  if rule.lb then parts[#parts + 1] = ',"liftedBefore":' .. int(rule.lb) end
  if rule.rl then parts[#parts + 1] = ',"releasedBefore":' .. int(rule.rl) end
  parts[#parts + 1] = '}'
  return table.concat(parts), #kept
end

local function restOf(rule, wired)
  local plain = not rule.lb and not rule.rl and not rule.h and #rule.l == 0 and wired == 1 and #rule.c == 1 and not rule.c[1].x and not rule.c[1].f
  if plain then return '' end
  local full = { lb = rule.lb, rl = rule.rl, h = rule.h }
  if rule.h then full.r = rule.r end
  if #rule.c > 0 then full.c = rule.c end
  if #rule.l > 0 then full.l = rule.l end
  return cjson.encode(full)
end

local seq, current = s.rev, nil
local idBase = 'r' .. shard .. '-' .. int(s.term) .. '-'
local function place(kind, size)
  if current and (current.kind ~= kind or #current.events >= 500 or current.size + size + 1 > MAX_BODY) then current = nil end
  if not current then
    seq = seq + 1
    current = { kind = kind, seq = seq, text = int(seq), events = {}, size = 300 }
    entries[#entries + 1] = current
  end
  return current.text, #current.events
end

-- What a rule was before a change; nil where there was none.
local function copyOf(rule)
  if rule.isNew then return nil end
  local c, l = {}, {}
  for i, each in ipairs(rule.c) do c[i] = each end
  for i, each in ipairs(rule.l) do l[i] = each end
  return { c = c, l = l, u = rule.u, r = rule.r, lb = rule.lb, rl = rule.rl, h = rule.h }
end
local function putBack(rule, old)
  old = old or { c = {}, l = {}, u = false }
  rule.c, rule.l, rule.u, rule.r, rule.lb, rule.rl, rule.h = old.c, old.l, old.u, old.r, old.lb, old.rl, old.h
end

-- Puts a changed rule into the feed. Its place is its id, so give is told the id before the rule is
-- written as text. Answers the seq as text, or nil where the text is too large: then the rule is as before.
local function publish(rule, old, kind, give)
  -- A view keeps one version of a rule per position, so a rule that changes twice in a group has two places.
  if current and rule.placed == current then current = nil end
  local at, index = place(kind, 0)
  local function idHere()
    return dry and 'dry-run' or idBase .. at .. '-' .. index
  end
  if give then give(idHere()) end
  local wire, wired = wireOf(rule)
  if #wire > MAX_EVENT then
    putBack(rule, old)
    if #current.events == 0 then entries[#entries], current, seq = nil, nil, seq - 1 end
    return nil
  end
  if current.size + #wire + 1 > MAX_BODY and #current.events > 0 then
    current = nil
    at, index = place(kind, 0)
    if give then
      give(idHere())
      wire, wired = wireOf(rule)
    end
  end
  current.events[#current.events + 1] = wire
  published, rule.placed = published + 1, current
  current.size = current.size + #wire + 1
  rule.epoch, rule.seq, rule.wire, rule.rest, rule.dirty, rule.isNew = s.epoch, at, wire, restOf(rule, wired), true, false
  return at
end

local function number(n) return n and int(n) or 'null' end
local function liftedText(rule, names)
  return rule.seq .. ' ' .. rule.epoch .. ' ' .. (#names > 0 and table.concat(names, ',') or '-') .. ' ' .. rule.m
end

-- What was lifted and could still be known to a view. Ids of holds are few and the first to go: releasedBefore says as much.
local function stillLifted(rule, added)
  local all, holds = {}, 0
  for _, l in ipairs(rule.l) do if l.u == nil or l.u >= s.sec then all[#all + 1] = l end end
  for _, l in ipairs(added) do all[#all + 1] = l end
  for _, l in ipairs(all) do if l.h then holds = holds + 1 end end
  local kept, surplus = {}, math.max(holds - MAX_LIFTED_HOLDS, math.min(holds, #all - MAX_LIFTED))
  for _, l in ipairs(all) do
    if l.h and surplus > 0 then surplus = surplus - 1 else kept[#kept + 1] = l end
  end
  -- The oldest go: that they were lifted matters only to a view that still holds a version of an earlier term.
  while #kept > MAX_LIFTED do table.remove(kept, 1) end
  return kept
end
`
