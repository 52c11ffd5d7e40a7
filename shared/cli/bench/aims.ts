/** Everything that the bench aims at, named `<case>.<what>`. */
export type AimName =
  | 'push.p50'
  | 'push.p99'
  | 'signing.p50'
  | 'proof.p50'
  | 'revoke.accepted'
  | 'revoke.applied'
  | 'expiry.perSecond'
  | 'expiry.jobs'
  | 'expiry.late'
  | 'check.miss'
  | 'check.exists'
  | 'check.verify'
  | 'check.judge'
  | 'check.bytes'
  | 'bytes.hour'
  | 'bytes.second'
  | 'boot.rules'
  | 'boot.ready'
  | 'signals.watchBytes'
  | 'signals.signalBytes'
  | 'sweep.ratio'

interface Aim {
  /** What is measured, in a few words. */
  readonly what: string
  readonly is: 'at most' | 'at least'
  readonly limit: number
  readonly unit: string
}

function atMost(what: string, limit: number, unit: string): Aim {
  return { what, is: 'at most', limit, unit }
}

function atLeast(what: string, limit: number, unit: string): Aim {
  return { what, is: 'at least', limit, unit }
}

const bare = '× a bare confirmed publish → consume'

/** In the order in which the page lists them. */
export const aims: Readonly<Record<AimName, Aim>> = {
  'push.p50': atMost('Revoke call → applied in the view, p50', 2, bare),
  'push.p99': atMost('Revoke call → applied in the view, p99', 3, bare),
  'signing.p50': atMost('The same with signed events, p50', 1.2, '× unsigned'),
  'proof.p50': atMost('Waiting until 10 instances have applied it, p50', 4, '× one way'),
  'revoke.accepted': atLeast('Single revocations by group commit, acknowledged', 20_000, '/s'),
  'revoke.applied': atLeast('Single revocations by group commit, applied in a view', 20_000, '/s'),
  'expiry.perSecond': atLeast('Tokens of one second announced, end to end', 150_000, '/s'),
  'expiry.jobs': atLeast('The same', 25, '× one BullMQ delayed job per token'),
  'expiry.late': atMost('Lateness with 10,000 due each second, p99', 250, 'ms'),
  'check.miss': atMost('Check of a good token, 1 million revoked', 250, 'ns'),
  'check.exists': atLeast('The same', 100, '× as fast as a Redis EXISTS'),
  'check.verify': atMost('verify with check, ES256', 1.05, '× a bare jwt.verify'),
  'check.judge': atMost('Check with freshness and policy', 1.3, '× the rules alone'),
  'check.bytes': atMost('Memory per revoked jti in a view', 24, 'B'),
  'bytes.hour': atMost('Stored token, 1 million over an hour', 1.25, '× its payload'),
  'bytes.second': atMost('Stored token, 1 million in one second', 1.7, '× its payload'),
  'boot.rules': atMost('View of 1 million rules ready', 3, 's'),
  'boot.ready': atMost(
    'Consuming process ready, empty store',
    1.25,
    '× a bare amqplib connect-and-consume',
  ),
  'signals.watchBytes': atMost('Memory per watched token', 400, 'B'),
  'signals.signalBytes': atMost('Memory per signal above Node’s own', 400, 'B'),
  'sweep.ratio': atMost('Sweep with 10 million stored', 1.2, '× with 10 thousand'),
}

/** An aim, and what has come of it. */
export interface Outcome extends Aim {
  readonly name: AimName
  readonly value: number
  readonly met: boolean
}

export function judgeAim(name: AimName, value: number): Outcome {
  const aim = aims[name]
  const met = aim.is === 'at most' ? value <= aim.limit : value >= aim.limit
  return { name, ...aim, value, met }
}

/** As `≤ 2 × floor`. */
export function showAim({ is, limit, unit }: Aim): string {
  return `${is === 'at most' ? '≤' : '≥'} ${limit.toLocaleString('en-US')} ${unit}`.replace(
    ' /s',
    '/s',
  )
}
