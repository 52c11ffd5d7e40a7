import { auditLib } from './audit.ts'
import { holdPart } from './commit/hold.ts'
import { revokePart } from './commit/revoke.ts'
import { rulesPart } from './commit/rules.ts'
import { schedulePart } from './commit/schedule.ts'
import { undoPart } from './commit/undo.ts'

/**
 * Commits a group of changes to rules: merges each into its rule, appends the entries, notes them
 * unsent. KEYS: meta, rules, until, ids, feed, unsent, commit record, kids, holds, schedules, their
 * times, audit, idempotency records. ARGV: random, tenant, shard, store time of the first try (ms),
 * changes as JSON, `dry` where nothing is to be written, then the text of each change's audit act, empty
 * where it has none.
 *
 * A change has an `op`, and of these what it needs: m (canonical text of the match), t (which default
 * cut-off), r (reason), ttl, skew, id, ack (somebody waits to hear that it was applied), w (where its trace
 * stands: kept beside the entry, in the field `t`, for whoever publishes it).
 * - `revoke`: b (explicit cut-off, -1 for "any iat"), x (text of `except`), jx (verified `exp`).
 * - `hold`: rb (reviewBy), o (outcome).
 * - `restore` by m or id, `release` by m. By match a restore also lifts whatever earlier terms held,
 *   even what this store has lost; `force` allows it, and a release, for a match the store knows nothing of.
 * - `outcome` by m: ends a hold that is due. `fire` by id: makes a scheduled change that is due.
 * - `schedule`: id, at, text (what is kept), c (the change). `cancel` by id.
 *
 * A rule is kept as `<epoch>-<seq> LF <wire text> LF <cut-offs with texts, or empty>`. The last part
 * is there only where the wire text does not say all: dominated cut-offs, exceptions, holds, folded
 * and lifted ids. So a snapshot hands the text on as it is.
 *
 * Answers one text per change: `<seq> <id> <issuedBefore|null> <until|null> <epoch>` for `revoke`,
 * `<seq> <id> <reviewBy> <outcome> <until|null> <epoch>` for `hold`, `<seq> <epoch> <lifted ids, or ->
 * <match>` for `restore`, `release` and `outcome`, `<id> <at>` for `schedule`, what was kept for
 * `cancel`, `-` where nothing is due, or `!<code>`. The answers are kept for a minute under the
 * commit's id, so that a repeat has one effect. A change with `k` (a number) and `h` has an
 * idempotency record in KEYS[12 + k]: the same `h` gets the answer of the first try, another is refused.
 *
 * The audit record of a change is its act and its answer, written in the same step; a repeat, and what
 * is refused to a caller, writes none. Of what Knell does by itself a refusal is recorded once, not at each try.
 *
 * A dry run takes one change, computes all and writes nothing: after the answer come the wire texts of
 * the rule before and after, each empty where there is none.
 */
export const commit: string = `
local done = redis.call('GET', KEYS[7])
local s = open()
if done then return { 'repeated', int(s.now), s.epoch, done } end
local tenant, shard, first, dry = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6] == 'dry'
if s.now - first > 30000 then return { 'commit_too_old', int(s.now), s.epoch, '' } end
local changes = cjson.decode(ARGV[5])
local MAX_AHEAD, MAX_SCHEDULES, AGAIN, FAMILY = 31622400, 10000, 60, familyLife(s)
-- So many arguments go with one command: even, so that pairs stay together.
local MAX_ARGS = 1000
local again, planned, gone, late = {}, {}, {}, {}
local quiet, extra = false, ''
${auditLib}${rulesPart}${revokePart}${undoPart}${holdPart}${schedulePart}
local function answerTo(change)
  if change.op == 'revoke' then return revoke(change, s.sec) end
  if change.op == 'hold' then return hold(change, s.sec) end
  if change.op == 'restore' then return restore(change) end
  if change.op == 'release' then return release(change) end
  if change.op == 'outcome' then return outcome(change) end
  if change.op == 'schedule' then return schedule(change) end
  if change.op == 'cancel' then return cancel(change) end
  return fire(change)
end

local function isRecorded(w) return string.find(string.sub(w, 55, 55), '[13579bdf]') end
local answers, records, acts = {}, {}, {}
for i, change in ipairs(changes) do
  local answer
  local act, before = ARGV[6 + i] or '', published
  local key = change.k and KEYS[12 + change.k]
  quiet, extra = false, ''
  local known = key and (records[key] or redis.call('GET', key))
  if known then
    local hash, first_ = string.match(known, '^(%w+) (.*)$')
    answer = hash == change.h and first_ or '!idempotency_conflict'
  else
    answer = answerTo(change)
    if change.ack and current then current.ack = true end
    if change.w and current and string.match(answer, '^(%d+) ') == current.text then
      -- The first that is recorded leads, else the first.
      if not current.w or not isRecorded(current.w) and isRecorded(change.w) then current.w = change.w end
    end
  end
  if act ~= '' and not known and not quiet and (answer ~= '-' or extra ~= '') then
    local own = change.op == 'fire' or change.op == 'outcome'
    if own or string.sub(answer, 1, 1) ~= '!' then
      local same = published == before and change.op ~= 'schedule' and change.op ~= 'cancel'
      local record = { 'a', act, 'o', answer }
      if extra ~= '' then record[5], record[6] = 'x', extra end
      if same then record[#record + 1], record[#record + 2] = 'n', '1' end
      acts[#acts + 1] = record
    end
  end
  if key and not known and string.sub(answer, 1, 1) ~= '!' then records[key] = change.h .. ' ' .. answer end
  answers[i] = answer
end

local result = table.concat(answers, '\\n')
if dry then
  local rule = rules[order[1]]
  return { 'dry', int(s.now), s.epoch, result, rule and rule.before or '', rule and (rule.wire or rule.before) or '' }
end
local reply = { 'ok', int(s.now), s.epoch, result }
local bodies = {}
for i, entry in ipairs(entries) do
  bodies[i] = head(tenant, 'revocations', shard, s, entry.seq, entry.kind, entry.ack) .. table.concat(entry.events, ',') .. ']}'
end
for i, entry in ipairs(entries) do
  local id = int(s.term) .. '-' .. entry.text
  if entry.w then redis.call('XADD', KEYS[5], id, 'b', bodies[i], 't', entry.w)
  else redis.call('XADD', KEYS[5], id, 'b', bodies[i]) end
  redis.call('ZADD', KEYS[6], int(s.now), id)
  reply[#reply + 1] = entry.text
  reply[#reply + 1] = bodies[i]
end
-- Many of one kind are written by one command, which costs a fraction of as many commands.
local function write(command, key, args)
  for i = 1, #args, MAX_ARGS do redis.call(command, key, unpack(args, i, math.min(i + MAX_ARGS - 1, #args))) end
end
local rows, untils, ids = {}, {}, {}
for _, m in ipairs(order) do
  local rule = rules[m]
  if rule.dirty then
    rows[#rows + 1], rows[#rows + 2] = m, rule.epoch .. '-' .. rule.seq .. '\\n' .. rule.wire .. '\\n' .. rule.rest
    untils[#untils + 1], untils[#untils + 2] = rule.u and int(rule.u) or '+inf', m
    if rule.h then redis.call('ZADD', KEYS[9], int(rule.h.b), m)
    elseif rule.wasHeld then redis.call('ZREM', KEYS[9], m) end
    if string.find(m, '"kid":', 1, true) then
      if #rule.c > 0 or rule.h then redis.call('HSET', KEYS[8], m, '1') else redis.call('HDEL', KEYS[8], m) end
    end
  end
end
for m, sec in pairs(again) do
  if sec and rules[m].h then redis.call('ZADD', KEYS[9], int(sec), m)
  elseif not rules[m].h then redis.call('ZREM', KEYS[9], m) end
end
for _, pair in ipairs(newIds) do ids[#ids + 1], ids[#ids + 2] = pair[1], pair[2] end
write('HSET', KEYS[2], rows)
write('ZADD', KEYS[3], untils)
write('HSET', KEYS[4], ids)
for _, plan in ipairs(planned) do
  redis.call('HSET', KEYS[10], plan[1], plan[3])
  redis.call('ZADD', KEYS[11], int(plan[2]), plan[1])
end
for id in pairs(gone) do
  redis.call('HDEL', KEYS[10], id)
  redis.call('ZREM', KEYS[11], id)
end
for _, one in ipairs(late) do
  redis.call('HSET', KEYS[10], one[1], one[2])
  redis.call('ZADD', KEYS[11], int(s.sec + AGAIN), one[1])
end
for _, act in ipairs(acts) do addRecord(KEYS[12], unpack(act)) end
for key, record in pairs(records) do redis.call('SET', key, record, 'PX', 600000, 'NX') end
redis.call('HSET', META, 'rev', int(seq))
redis.call('SET', KEYS[7], result, 'PX', 60000)
return reply
`
