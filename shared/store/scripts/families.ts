/**
 * Families of refresh tokens. A family is a hash in the shard of the match `{sid}`: `facts` (JSON text
 * that the caller made), `started`, `ends`, `gen`, `cur` and `prev` (hashes of the newest token and of
 * the one before it), `rotated` (ms), `seed`, and `dead` where it is over. It goes at its end. Beside it
 * a string names the family that lives under a `sid`.
 */

/**
 * Begins a family. KEYS: meta, family, the sid's. ARGV: random, id, facts, startedAt, endsAt, hash of its
 * first token, seed. Answers `ok`, `exists` where a family of the `sid` lives, or `ended`.
 */
export const beginFamily = `
local s = open()
if tonumber(ARGV[5]) <= s.sec then return { 'ended', int(s.now) } end
local known = redis.call('GET', KEYS[3])
if known and known ~= ARGV[2] then return { 'exists', int(s.now) } end
redis.call('HSET', KEYS[2], 'facts', ARGV[3], 'started', ARGV[4], 'ends', ARGV[5], 'gen', '1', 'cur', ARGV[6], 'prev', '', 'rotated', int(s.now), 'seed', ARGV[7])
redis.call('SET', KEYS[3], ARGV[2])
for i = 2, 3 do redis.call('EXPIREAT', KEYS[i], ARGV[5]) end
return { 'ok', int(s.now) }
`

/** Reads a family. KEYS: meta, family. ARGV: random. Answers the store time, then the fields, or nothing more where there is none. */
export const readFamily = `
local s = open()
local f = redis.call('HMGET', KEYS[2], 'facts', 'started', 'ends', 'gen', 'cur', 'prev', 'rotated', 'seed', 'dead')
if not f[8] then return { int(s.now) } end
f[9] = f[9] or ''
return { int(s.now), unpack(f) }
`

/**
 * Rotates a family, or finds out that a token was used before; decides as `planRefresh` does. KEYS:
 * meta, family, the sid's, schedules, their times. ARGV: random, generation and hash of the token that
 * came, hash of its successor, grace (ms), highest generation, new facts (empty: as they are), id of the
 * schedule that a reuse makes, its text without `{"at":…,`, id of the family, store
 * time (ms) at which the family was looked at for this token: what we are slow at is no fault of its
 * client, so the grace is measured from there.
 *
 * Answers the plan, the store time, the generation and hash of the newest token, and what the family
 * died of. A reuse kills the family and plans the revocation of its `sid` in one step: whatever dies
 * then, the sweep makes what is due.
 */
export const refreshFamily = `
local s = open()
local f = redis.call('HMGET', KEYS[2], 'gen', 'cur', 'prev', 'rotated', 'ends', 'dead')
if not f[1] then return { 'unknown', int(s.now), 0, '', '' } end
local gen, mine, hash = tonumber(f[1]), tonumber(ARGV[2]), ARGV[3]
local function answer(plan) return { plan, int(s.now), gen, f[2], f[6] or '' } end
if f[6] then return answer('dead') end
if tonumber(f[5]) * 1000 <= s.now or mine >= tonumber(ARGV[6]) then return answer('ended') end
local at = math.min(tonumber(ARGV[11]), s.now)
local isSame = mine == gen - 1 and at - tonumber(f[4]) < tonumber(ARGV[5])
if (mine == gen and hash ~= f[2]) or (isSame and hash ~= f[3]) then return answer('unknown') end
if mine < gen and not isSame then
  redis.call('HSET', KEYS[2], 'dead', 'reuse')
  if redis.call('GET', KEYS[3]) == ARGV[10] then redis.call('DEL', KEYS[3]) end
  redis.call('HSET', KEYS[4], ARGV[8], '{"at":' .. int(s.sec) .. ',' .. ARGV[9])
  redis.call('ZADD', KEYS[5], int(s.sec), ARGV[8])
  f[6] = 'reuse'
  return answer('reuse')
end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[2], 'facts', ARGV[7]) end
if isSame then return answer('same') end
gen, f[2] = mine + 1, ARGV[4]
redis.call('HSET', KEYS[2], 'gen', int(gen), 'cur', f[2], 'prev', hash, 'rotated', int(s.now))
return answer('rotate')
`

/** Ends a family. KEYS: meta, family, the sid's. ARGV: random, id, what it dies of. Answers 1 where it lived. */
export const endFamily = `
open()
local f = redis.call('HMGET', KEYS[2], 'gen', 'dead')
if redis.call('GET', KEYS[3]) == ARGV[2] then redis.call('DEL', KEYS[3]) end
if not f[1] or f[2] then return 0 end
redis.call('HSET', KEYS[2], 'dead', ARGV[3])
return 1
`

/**
 * Keeps rules long enough for families. KEYS: meta. ARGV: random, the life of a family in seconds.
 * A shorter life counts only once no family of the longer one can be alive: `families` is the second after
 * which none that was begun by now is, with two minutes to spare.
 */
export const keepForFamilies = `
local s = open()
local life = tonumber(ARGV[2])
local m = redis.call('HMGET', META, 'family', 'families')
local longest = tonumber(m[1] or '0')
if life >= longest or tonumber(m[2] or '0') < s.sec then longest = life
else return 0 end
redis.call('HSET', META, 'family', int(longest), 'families', int(s.sec + longest + 120))
return 1
`
