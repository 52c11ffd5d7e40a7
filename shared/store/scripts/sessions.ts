/** Opens a session. KEYS: session. ARGV: random, name of the API key, proof of its secret, life in ms, idle ms. */
export const openSession = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local life, idle = tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'key', ARGV[2], 'proof', ARGV[3], 'ends', int(now + life))
redis.call('PEXPIRE', KEYS[1], int(math.min(life, idle)))
return 1
`

/**
 * Reads a session; a positive idle time keeps it open for that long again, never past its end.
 * KEYS: session. ARGV: random, idle ms or 0. Answers nothing, or key, proof and ms to its end if
 * nobody comes back, and in any case.
 */
export const readSession = `
local found = redis.call('HMGET', KEYS[1], 'key', 'proof', 'ends')
if not found[1] then return {} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local left, idle = tonumber(found[3]) - now, tonumber(ARGV[2])
if left <= 0 then return {} end
if idle > 0 then redis.call('PEXPIRE', KEYS[1], int(math.min(left, idle))) end
return { found[1], found[2], redis.call('PTTL', KEYS[1]), int(left) }
`
