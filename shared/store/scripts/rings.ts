import { auditLib } from './audit.ts'

/**
 * Replaces a tenant's ring of signing keys if it is still what the caller read. KEYS: shard 0's meta,
 * ring, audit. ARGV: random, old (empty: none), new, audit act (empty: none) and its result. Answers 1 or 0.
 */
export const replaceRing: string = `
local s = open()
${auditLib}
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
if ARGV[4] ~= '' then addRecord(KEYS[3], 'a', ARGV[4], 'r', ARGV[5]) end
return 1
`
