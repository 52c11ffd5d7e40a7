/**
 * What scripts that audit share. A record's id is the store's time, so that a shard's records lie in
 * the order of their commits. Redis refuses an id that is not past the last one, as after a clock that
 * was set back with the shard's own; nothing may fail once a script has written, so it then chooses one itself.
 */
export const auditLib = `
local function addRecord(key, ...)
  local done = redis.pcall('XADD', key, int(s.now) .. '-*', ...)
  if type(done) == 'table' and done.err then redis.call('XADD', key, '*', ...) end
end
`
