/**
 * A session lives for as long as its hash is there and its digest is in the set of its API key: one
 * that has to go for room leaves the set alone, since its hash is no key that the script was given.
 */
export const sessionLib = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function keep(digest, ms)
  redis.call('PEXPIRE', KEYS[1], int(ms))
  redis.call('ZADD', KEYS[2], int(now + ms), digest)
  if redis.call('PTTL', KEYS[2]) < ms then redis.call('PEXPIRE', KEYS[2], int(ms)) end
end
`

/**
 * Opens a session; past \`most\` of one API key those end that would have ended first.
 * KEYS: session, the API key's sessions. ARGV: random, digest, name of the API key, proof of its
 * secret, life in ms, idle ms, most. Answers how many had to end.
 */
export const openSession = `
local life, idle, most = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', int(now))
local over = redis.call('ZCARD', KEYS[2]) + 1 - most
if over > 0 then redis.call('ZREMRANGEBYRANK', KEYS[2], 0, over - 1) end
redis.call('HSET', KEYS[1], 'key', ARGV[3], 'proof', ARGV[4], 'ends', int(now + life))
keep(ARGV[2], math.min(life, idle))
return math.max(0, over)
`

/**
 * Reads a session; a positive idle time keeps it open for that long again, never past its end.
 * KEYS: session, the sessions of its API key. ARGV: random, digest, idle ms or 0. Answers nothing,
 * or key, proof and ms to its end if nobody comes back, and in any case.
 */
export const readSession = `
local found = redis.call('HMGET', KEYS[1], 'key', 'proof', 'ends')
if not found[1] then return {} end
local left, idle = tonumber(found[3]) - now, tonumber(ARGV[3])
if left <= 0 or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then return {} end
if idle > 0 then keep(ARGV[2], math.min(left, idle)) end
return { found[1], found[2], redis.call('PTTL', KEYS[1]), int(left) }
`
