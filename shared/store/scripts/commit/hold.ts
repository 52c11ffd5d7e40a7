/**
 * The part of the commit script that holds a match and acts when a hold is due.
 *
 * A match has at most one hold. Holding a held match joins: the later reviewBy, revoke rather than
 * release, and the reason of the later reviewBy; so any order and repetition ends the same.
 */
export const holdPart: string = `
-- With revoke the rule must live until its cut-off, made as of reviewBy, has done its work.
local function untilOfHold(change, b, o)
  if o == 'revoke' then return untilOf({ t = change.t, ttl = change.ttl }, b, defaultOf(change, b)) end
  return b + lifeOf(change) + LEEWAY
end

-- Which of two reasons a hold keeps where both end at the same time: any order gives the same.
local function tellingReason(a, b)
  if a == 'other' then return b end
  if b == 'other' then return a end
  return a < b and a or b
end

local function hold(change, base, id)
  if change.rb <= base or change.rb > s.sec + MAX_AHEAD then return '!time_out_of_range' end
  local rule = load(change.m)
  local h, old = rule.h, copyOf(rule)
  local next_ = { i = id, b = change.rb, o = change.o, r = change.r }
  if h then
    next_.i = h.i
    if h.o == 'revoke' then next_.o = 'revoke' end
    if h.b > next_.b then next_.b, next_.r = h.b, h.r
    elseif h.b == next_.b then next_.r = tellingReason(h.r, next_.r) end
  end
  next_.u = untilOfHold(change, next_.b, next_.o)
  if h then next_.u = later(h.u, next_.u) end
  local until_ = next_.u
  if not rule.isNew then until_ = later(rule.u, next_.u) end
  local function answer(at, epoch)
    return at .. ' ' .. next_.i .. ' ' .. int(next_.b) .. ' ' .. next_.o .. ' ' .. number(until_) .. ' ' .. epoch
  end
  if h and h.b == next_.b and h.o == next_.o and h.r == next_.r and h.u == next_.u and rule.u == until_ then
    return answer(rule.seq, rule.epoch)
  end
  rule.h, rule.u = next_, until_
  local at = publish(rule, old, 'held', function(here) next_.i = next_.i or here end)
  if not at then return '!rule_too_large' end
  if not h then newIds[#newIds + 1] = { next_.i, change.m } end
  return answer(at, s.epoch)
end

-- Ends a hold whose reviewBy has come, as of that moment however late it is. Where the cut-off
-- cannot be made the hold stands on, and is tried again later.
local function outcome(change)
  local rule = load(change.m)
  local h = rule.h
  if not h or h.b > s.sec then
    again[change.m] = h and h.b or false
    return '-'
  end
  extra = '{"holdId":"' .. h.i .. '","reviewBy":' .. int(h.b) .. ',"outcome":"' .. h.o .. '"}'
  quiet = tonumber(redis.call('ZSCORE', KEYS[9], change.m) or h.b) ~= h.b
  if h.o == 'release' then
    local answer = lift(rule)
    quiet = quiet and string.sub(answer, 1, 1) == '!'
    return answer
  end
  local old = copyOf(rule)
  local cut = defaultOf(change, h.b)
  local until_ = untilOf(change, h.b, cut)
  local added
  if not standing(rule, cut, nil, until_) then
    added = add(rule, cut, nil, until_, h.r)
    if not added then
      putBack(rule, old)
      again[change.m] = s.sec + AGAIN
      return '!too_many_cutoffs'
    end
  end
  endHold(rule)
  local at = publish(rule, old, 'revoked', function(here) if added then added.i = here end end)
  if not at then
    again[change.m] = s.sec + AGAIN
    return '!rule_too_large'
  end
  if added then newIds[#newIds + 1] = { added.i, change.m } end
  quiet = false
  return liftedText(rule, { h.i })
end
`
