/**
 * What is due in a shard. KEYS: meta, holds, schedules, their times. ARGV: random, ms of grace, most of
 * each. Answers the store time, the second at which something is next due (empty: nothing waits), how
 * many held matches follow, these, then id and text of each schedule.
 */
export const dueChanges: string = `
local s = open()
local last, most = int(math.floor((s.now - tonumber(ARGV[2])) / 1000)), tonumber(ARGV[3])
local holds = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', last, 'LIMIT', 0, most)
local plans = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', last, 'LIMIT', 0, most)
local next_
for _, key in ipairs({ KEYS[2], KEYS[4] }) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then next_ = math.min(next_ or math.huge, tonumber(first[2])) end
end
local reply = { int(s.now), next_ and int(next_) or '', #holds }
for _, m in ipairs(holds) do reply[#reply + 1] = m end
for _, id in ipairs(plans) do
  local text = redis.call('HGET', KEYS[3], id)
  if text then
    reply[#reply + 1] = id
    reply[#reply + 1] = text
  else
    redis.call('ZREM', KEYS[4], id)
  end
end
return reply
`

/**
 * A page of a shard's schedules, by time and id. KEYS: meta, schedules, times. ARGV: random, time and
 * id after which to read (`-inf` and empty: from the start), most. Answers id, time and text of each.
 */
export const listSchedules: string = `
open()
local after, id, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}
local function take(list)
  for i = 1, #list, 2 do
    if #found >= most then return end
    if list[i + 1] ~= after or list[i] > id then found[#found + 1] = { list[i], list[i + 1] } end
  end
end
if after ~= '-inf' then take(redis.call('ZRANGEBYSCORE', KEYS[3], after, after, 'WITHSCORES')) end
take(redis.call('ZRANGEBYSCORE', KEYS[3], after == '-inf' and after or '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most))
local reply = {}
for _, one in ipairs(found) do
  local text = redis.call('HGET', KEYS[2], one[1])
  if text then
    reply[#reply + 1] = one[1]
    reply[#reply + 1] = one[2]
    reply[#reply + 1] = text
  end
end
return reply
`
