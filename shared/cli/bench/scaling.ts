import { warningOf, type Run } from './page.ts'
import { markdownTable } from './markdown-table.ts'
import { show } from './statistics.ts'

/** What the page reckons for. */
const LIVE = 1_000_000_000
const LOGINS = 100_000
const INSTANCES = 10_000
/** One login in a hundred ends by a revocation. */
const REVOKED_SHARE = 0.01
/** What is written of an expiry in the feed, and of a plain rule in a snapshot, in runs. */
const FEED_BYTES = 190
const SNAPSHOT_BYTES = 58
const FEED_HOURS = 1
/** A node that is asked for more than this share of what it can do has no room for a bad minute. */
const BUSY = 0.5
const NODE_BYTES = 32e9
/** Deliveries a second of one RabbitMQ node, whatever the number of queues (durable classic, a broker of two cores). */
const DELIVERIES = 15_000
const PER_BROKER = 200

/** The measured unit costs, and what follows from them, of docs/scaling.md. */
export function scalingOf(run: Run): string {
  const costs = costsOf(run)
  const { token, jti, announced, registered, revoked, boot, notifierShare, redisShare } = costs
  const life = LIVE / LOGINS
  const rules = LOGINS * REVOKED_SHARE * life
  const stored = (LIVE * token) / 1e9
  const feed = (LOGINS * 3600 * FEED_HOURS * FEED_BYTES) / 1e9
  return [
    ...warningOf(run.head),
    '### Unit costs',
    markdownTable([
      ['', 'measured', 'case'],
      ['Redis per live token, B', show(token), 'bytes'],
      ['Memory of a view per revoked jti, B', show(jti), 'check'],
      ['Tokens registered in bulk by one notifier, /s', show(registered), 'expiry'],
      ['Expiries announced by one notifier, /s', show(announced), 'expiry'],
      ['Single revocations by one notifier, /s', show(revoked), 'revoke'],
      ['A view of a million rules ready, s', show(boot), 'boot'],
      ['An instance at rest: notifier, % of a core', show(100 * notifierShare), 'crowd'],
      ['An instance at rest: Redis, % of a core', show(100 * redisShare), 'crowd'],
    ]),
    '### What follows',
    markdownTable([
      ['', 'arithmetic'],
      ['Life of a token', `${show(LIVE)} / ${show(LOGINS)} = ${show(life)} s`],
      ['Tokens in Redis', `${show(LIVE)} × ${show(token)} B = ${show(stored)} GB`],
      [
        `Feed of expiries, ${FEED_HOURS} h kept`,
        `${show(LOGINS)}/s × ${3600 * FEED_HOURS} s × ${FEED_BYTES} B = ${show(feed)} GB`,
      ],
      [
        'Redis masters, by memory',
        `(${show(stored)} + ${show(feed)}) GB / (${NODE_BYTES / 1e9} GB × 0.8) = ${Math.ceil((stored + feed) / ((NODE_BYTES / 1e9) * 0.8))}, each with a replica`,
      ],
      ['Notifiers that register, in bulk', nodesFor(LOGINS, registered)],
      ['Notifiers that announce', nodesFor(LOGINS, announced)],
      ['Notifiers that revoke', nodesFor(LOGINS * REVOKED_SHARE, revoked)],
      [
        'Live rules',
        `${show(LOGINS * REVOKED_SHARE)}/s × ${show(life)} s = ${show(rules)}: ${show((rules * jti) / 1e6)} MB in each view`,
      ],
      [
        'A view ready',
        `${show(rules / 1e6)} × ${show(boot)} s = ${show((rules / 1e6) * boot)} s, ${show((rules * SNAPSHOT_BYTES) / 1e9)} GB of snapshot`,
      ],
      [
        'All instances at once',
        `${show(INSTANCES)} × ${show((rules * SNAPSHOT_BYTES) / 1e9)} GB = ${show((INSTANCES * rules * SNAPSHOT_BYTES) / 1e12)} TB`,
      ],
      [
        'Acks and beats of all instances',
        `${show(INSTANCES)} × ${show(100 * notifierShare)} % of a core = ${show(INSTANCES * notifierShare)} for notifiers, ${show(INSTANCES * redisShare)} for Redis (shard 0 alone)`,
      ],
      [
        'One RabbitMQ node for all views',
        `${show(DELIVERIES)} deliveries/s / ${show(INSTANCES)} queues = ${show(DELIVERIES / INSTANCES)} messages/s`,
      ],
      [
        `RabbitMQ nodes of ${PER_BROKER} views each`,
        `${show(INSTANCES)} / ${PER_BROKER} = ${INSTANCES / PER_BROKER}, each for ${show(DELIVERIES)} / ${PER_BROKER} = ${show(DELIVERIES / PER_BROKER)} messages/s`,
      ],
    ]),
  ].join('\n\n')
}

/** How many it takes where each can do so much. */
function nodesFor(rate: number, each: number): string {
  return `${show(rate)} / (${show(each)} × ${BUSY}) = ${Math.ceil(rate / (each * BUSY))}`
}

type Cost =
  'token' | 'jti' | 'registered' | 'announced' | 'revoked' | 'boot' | 'notifierShare' | 'redisShare'

/** NaN for what the run did not measure. */
function costsOf({ lines }: Run): Readonly<Record<Cost, number>> {
  const figure = (name: string, member: string): number => {
    const line = lines.find((one) => one.case === name)
    const value = line !== undefined && 'knell' in line ? line.knell[member] : undefined
    return typeof value === 'number' ? value : Number.NaN
  }
  const instances = figure('crowd', 'instances')
  return {
    token: figure('bytes', 'perToken'),
    jti: figure('check', 'bytesPerJti'),
    registered: figure('expiry', 'registeredPerSecond'),
    announced: figure('expiry', 'perSecond'),
    revoked: figure('revoke', 'accepted'),
    boot: figure('boot', 'fullMs') / (figure('boot', 'rules') / 1e6) / 1000,
    notifierShare: figure('crowd', 'instancesNotifierCpu') / instances,
    redisShare: figure('crowd', 'instancesRedisCpu') / instances,
  }
}
