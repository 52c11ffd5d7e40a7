/**
 * The part of the commit script that keeps changes for later. A schedule is kept as the JSON text that
 * the caller made: at, match (for listing) and c, the change as the script takes it.
 */
export const schedulePart: string = `
local function applied(change, at, id)
  if change.op == 'hold' then return hold(change, at, id) end
  return revoke(change, at, id)
end

-- Whether the change could be made as of its time is found out now, not when nobody waits for the answer.
local function schedule(change)
  local at, c = change.at, change.c
  if at <= s.sec or at > s.sec + MAX_AHEAD then return '!time_out_of_range' end
  if c.op == 'hold' then
    if c.rb <= at or c.rb > s.sec + MAX_AHEAD then return '!time_out_of_range' end
  else
    local _, _, refusal = cutoffOf(c, at)
    if refusal then return refusal end
  end
  if redis.call('HLEN', KEYS[10]) + #planned >= MAX_SCHEDULES then return '!too_many_schedules' end
  if dry then return applied(c, at) end
  planned[#planned + 1] = { change.id, at, change.text }
  return change.id .. ' ' .. int(at)
end

local function cancel(change)
  local text = not gone[change.id] and redis.call('HGET', KEYS[10], change.id)
  if not text then return '!unknown_schedule' end
  gone[change.id] = true
  return text
end

-- Makes a change whose time has come, as of that time however late it is: a token issued since then lives.
local function fire(change)
  local text = not gone[change.id] and redis.call('HGET', KEYS[10], change.id)
  if not text then return '-' end
  local plan = cjson.decode(text)
  if plan.at > s.sec then return '-' end
  local c, at, answer = plan.c, plan.at, nil
  c.ttl, c.skew = change.ttl, change.skew
  if c.op == 'hold' and c.rb <= s.sec then
    -- The whole hold was slept through: only its outcome is left.
    if c.o == 'revoke' then answer = revoke({ op = 'revoke', m = c.m, t = c.t, r = c.r, ttl = c.ttl, skew = c.skew }, c.rb, change.id)
    else answer, extra = '-', '{"slept":true}' end
  else
    local default = defaultOf(c, at)
    if default and c.b and c.b > default then c.b = default end
    answer = applied(c, at, change.id)
  end
  if string.sub(answer, 1, 1) == '!' then
    local code = string.match(answer, '^!([%w_]+)')
    quiet = string.match(text, ',"problem":"([%w_]+)"}$') == code
    local bare = string.gsub(text, ',"problem":"[%w_]+"}$', '}')
    late[#late + 1] = { change.id, string.sub(bare, 1, -2) .. ',"problem":"' .. code .. '"}' }
  else
    gone[change.id] = true
  end
  return answer
end
`
