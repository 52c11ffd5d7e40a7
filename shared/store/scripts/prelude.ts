/**
 * Which server this is, and its clock in ms: all that the scripts take from it besides the keys. Apart
 * from the rest, since the simulation puts a server and a clock of its own in its place.
 */
export const serverFacts = `-- The word after a name: looked for as plain text, since a pattern is tried at each letter.
local function after(text, name)
  local _, at = string.find(text, name, 1, true)
  return at and string.match(text, '^%w+', at + 1)
end
local function serverFacts()
  local info = redis.call('INFO', 'server', 'replication')
  local time = redis.call('TIME')
  return after(info, 'run_id:'), after(info, 'master_replid:'),
    tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end`

/**
 * Prepended to every script. KEYS[1] is always the shard's `meta`, ARGV[1] a fresh random for a new
 * epoch. `open()` compares the server with the one the shard was last written by and starts a new
 * epoch where they differ; it also moves the shard's clock on, so that every script that hands out
 * a time, a tail or a page has written: an isolated old primary can do neither.
 *
 * Numbers are written with %.0f, since Lua's own form loses digits past 14, and claims are spliced
 * as the JSON text the caller made, never re-encoded.
 */
export const prelude: string = `
local META, RANDOM = KEYS[1], ARGV[1]
${serverFacts}
local function int(n) return string.format('%.0f', n) end
local function open()
  local run, repl, ms = serverFacts()
  local m = redis.call('HMGET', META, 'term', 'rand', 'run', 'repl', 'now', 'rev', 'exp')
  local last = tonumber(m[5] or '0')
  local now = ms
  if last > now then now = last end
  local term, rand, rev, exp = tonumber(m[1] or '0'), m[2], tonumber(m[6] or '0'), tonumber(m[7] or '0')
  if not m[1] or m[3] ~= run or m[4] ~= repl then
    term = math.max(term + 1, ms)
    rand, rev, exp = RANDOM, 0, 0
    redis.call('HSET', META, 'term', int(term), 'rand', rand, 'run', run, 'repl', repl, 'rev', '0', 'exp', '0', 'now', int(now))
  else
    redis.call('HSET', META, 'now', int(now))
  end
  return { now = now, sec = math.floor(now / 1000), term = term, rand = rand, epoch = int(term) .. '.' .. rand, rev = rev, exp = exp }
end
-- How long a family of refresh tokens may live, in seconds; 0 where none is alive.
local function familyLife(s)
  local m = redis.call('HMGET', META, 'family', 'families')
  return m[2] and tonumber(m[2]) >= s.sec and tonumber(m[1]) or 0
end
local function head(tenant, log, shard, s, seq, kind, ack)
  return '{"v":1,"tenant":"' .. tenant .. '","log":"' .. log .. '","shard":' .. shard .. ',"epoch":"' .. s.epoch ..
    '","seq":' .. int(seq) .. ',"at":' .. int(s.now) .. ',"kind":"' .. kind .. '"' .. (ack and ',"ack":true' or '') .. ',"events":['
end
`
