/** The part of the commit script that adds cut-offs. */
export const revokePart: string = `
-- The default cut-off of a match as of base (nil: any iat), and the until of a cut-off there.
local function defaultOf(change, base)
  if change.t == 'sid' then return base + change.ttl end
  if change.t == 'other' then return base + change.skew end
  return nil
end

-- How long what a match covers may live after its cut-off. A family of refresh tokens is judged as a
-- token of the moment it began, which names no jti.
local function lifeOf(change)
  return change.t == 'jti' and change.ttl or math.max(change.ttl, FAMILY)
end
local function untilOf(change, base, cut)
  if change.t == 'kid' then return nil end
  if change.t == 'jti' then return (change.jx or (base + change.ttl)) + LEEWAY end
  return cut + lifeOf(change) + LEEWAY
end

-- The cut-off that a change asks for, its until, and a refusal where it lies past the default.
local function cutoffOf(change, base)
  local default = defaultOf(change, base)
  local cut = default
  if change.b then
    if change.b >= 0 then
      if default and change.b > default then return nil, nil, '!issued_before_in_future ' .. int(default) end
      cut = change.b
    elseif default then
      return nil, nil, '!issued_before_in_future ' .. int(default)
    end
  end
  return cut, untilOf(change, base, cut)
end

local function fold(rule)
  for i = 1, #rule.c do
    for j = i + 1, #rule.c do
      local a, b = rule.c[i], rule.c[j]
      if a.x == b.x then
        local all, f = {}, {}
        for _, id in ipairs(a.f or {}) do all[#all + 1] = id end
        all[#all + 1] = a.i
        for _, id in ipairs(b.f or {}) do all[#all + 1] = id end
        for k = math.max(1, #all - MAX_FOLDED + 1), #all do f[#f + 1] = all[k] end
        local cut = a.b and b.b and math.max(a.b, b.b) or nil
        rule.c[j] = { i = b.i, b = cut, x = b.x, u = later(a.u, b.u), f = f }
        table.remove(rule.c, i)
        return true
      end
    end
  end
  return false
end

-- The cut-off that says already all that another one would.
local function standing(rule, cut, x, until_)
  for _, c in ipairs(rule.c) do
    if c.b == cut and c.x == x and (rule.u == nil or (until_ ~= nil and until_ <= rule.u)) then return c end
  end
  return nil
end

-- Adds a cut-off that has no id yet, or answers nil where there is no room. One without an exception
-- always finds room: nobody may keep a whole match from being revoked by filling it with exceptions.
local function add(rule, cut, x, until_, reason)
  while #rule.c >= MAX_CUTOFFS and fold(rule) do end
  if #rule.c >= MAX_CUTOFFS and x then return nil end
  local added = { b = cut, x = x, u = until_ }
  local hidden = false
  for _, c in ipairs(rule.c) do hidden = hidden or (dominates(c, added) and not dominates(added, c)) end
  rule.c[#rule.c + 1] = added
  if rule.isNew then rule.u = until_ else rule.u = later(rule.u, until_) end
  if not hidden then rule.r = reason end
  return added
end

-- base: the moment as of which the default is taken; id: the id of the cut-off where it is known before.
local function revoke(change, base, id)
  local cut, until_, refusal = cutoffOf(change, base)
  if refusal then return refusal end
  local rule = load(change.m)
  local known = standing(rule, cut, change.x, until_)
  if known then
    return rule.seq .. ' ' .. known.i .. ' ' .. number(cut) .. ' ' .. number(rule.u) .. ' ' .. rule.epoch
  end
  local old = copyOf(rule)
  local added = add(rule, cut, change.x, until_, change.r)
  if not added then
    putBack(rule, old)
    return '!too_many_cutoffs'
  end
  local at = publish(rule, old, 'revoked', function(here) added.i = id or here end)
  if not at then return '!rule_too_large' end
  newIds[#newIds + 1] = { added.i, change.m }
  return at .. ' ' .. added.i .. ' ' .. number(cut) .. ' ' .. number(rule.u) .. ' ' .. s.epoch
end
`
