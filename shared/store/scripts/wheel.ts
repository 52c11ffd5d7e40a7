/**
 * What the scripts of the wheel share. A token is one field of one second: at its `exp` the field is
 * its `jti`; before that, at an announcement, `jti LF exp` (a bare line feed never occurs in an
 * escaped `jti`), so two tokens of one `jti` never meet. `meta` keeps under `leads` every lead time
 * that a token may lie at, as `<lead>=<last second in which one was put for it>`, and under `tokens`
 * how many lie on the wheel.
 */
export const wheel = `
local function numbers(text)
  local list = {}
  for each in string.gmatch(text, '%d+') do list[#list + 1] = tonumber(each) end
  return list
end
local function setOf(list)
  local set = {}
  for _, each in ipairs(list) do set[each] = true end
  return set
end
local function leadsOf(text)
  local last = {}
  for lead, second in string.gmatch(text or '', '(%d+)=(%d+)') do last[tonumber(lead)] = tonumber(second) end
  return last
end
local function textOf(last)
  local parts = {}
  for lead, second in pairs(last) do parts[#parts + 1] = int(lead) .. '=' .. int(second) end
  table.sort(parts)
  return table.concat(parts, ',')
end
local function announcementAfter(second, exp, leads)
  local at = exp
  for _, lead in ipairs(leads) do
    if exp - lead > second and exp - lead < at then at = exp - lead end
  end
  return at
end
local function append(sets, n, field, value)
  local list = sets[n]
  if not list then list = {} sets[n] = list end
  list[#list + 1] = field
  list[#list + 1] = value
end
local function putAll(sets, count, firstKey, firstSecond)
  local index, added = {}, 0
  for n = 1, count do
    local list = sets[n]
    if list then
      for from = 1, #list, 2000 do
        added = added + redis.call('HSET', KEYS[firstKey + n], unpack(list, from, math.min(from + 1999, #list)))
      end
      index[#index + 1] = ARGV[firstSecond + n]
      index[#index + 1] = ARGV[firstSecond + n]
    end
  end
  if #index > 0 then redis.call('ZADD', KEYS[2], unpack(index)) end
  return added
end
`
