/**
 * The part of the commit script that lifts holds and cut-offs. By match, a release or a restore also
 * lifts what versions of earlier terms hold: a release with force, a restore always.
 */
export const undoPart: string = `
-- The until of a rule that this store does not know: whatever it was, it ends by then.
local function untilUnknown(change)
  if change.t == 'kid' then return nil end
  return s.sec + (change.t == 'sid' and change.ttl or 0) + lifeOf(change) + LEEWAY
end

-- Takes the hold away. Versions of earlier terms that a view may have hold no longer either.
local function endHold(rule)
  local h = rule.h
  if h then rule.l = stillLifted(rule, { { i = h.i, u = h.u, h = 1 } }) end
  rule.h, rule.rl = nil, s.term
end

local function lift(rule)
  local old, names = copyOf(rule), rule.h and { rule.h.i } or {}
  endHold(rule)
  if not publish(rule, old, 'released') then return '!rule_too_large' end
  return liftedText(rule, names)
end

local function release(change)
  local rule = load(change.m)
  if rule.h then return lift(rule) end
  if not change.force then
    if rule.isNew then return '!unknown_revocation' end
    return liftedText(rule, {})
  end
  if rule.rl and rule.rl >= s.term then return liftedText(rule, {}) end
  -- A hold that was lost may have been for as long as any may be.
  local unknown = untilUnknown(change)
  unknown = unknown and unknown + MAX_AHEAD
  if rule.isNew then rule.u = unknown else rule.u = later(rule.u, unknown) end
  return lift(rule)
end

local function restore(change)
  local m = change.m or redis.call('HGET', KEYS[4], change.id)
  if not m then
    for _, pair in ipairs(newIds) do if pair[1] == change.id then m = pair[2] end end
  end
  if not m then return '!unknown_revocation' end
  local rule = load(m)
  if change.id and rule.h and rule.h.i == change.id then return lift(rule) end
  local kept, lifts = {}, {}
  for _, c in ipairs(rule.c) do
    local hit = change.id == nil or c.i == change.id
    for _, id in ipairs(c.f or {}) do hit = hit or id == change.id end
    if hit then lifts[#lifts + 1] = c else kept[#kept + 1] = c end
  end
  if #lifts == 0 then
    if change.id then
      for _, l in ipairs(rule.l) do
        if l.i == change.id then return liftedText(rule, {}) end
      end
      return '!unknown_revocation'
    end
    if rule.isNew and not change.force then return '!unknown_revocation' end
    if rule.lb and rule.lb >= s.term then return liftedText(rule, {}) end
  end
  local old = copyOf(rule)
  local added, names = {}, {}
  for _, c in ipairs(lifts) do
    added[#added + 1] = { i = c.i, u = c.u }
    names[#names + 1] = c.i
    for _, id in ipairs(c.f or {}) do
      added[#added + 1] = { i = id, u = c.u }
      names[#names + 1] = id
    end
  end
  local lifted = stillLifted(rule, added)
  if rule.isNew then rule.u = untilUnknown(change) end
  rule.c, rule.l = kept, lifted
  if not change.id then rule.lb = s.term end
  if not publish(rule, old, 'restored') then return '!rule_too_large' end
  return liftedText(rule, names)
end
`
