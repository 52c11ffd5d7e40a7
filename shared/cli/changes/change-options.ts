import { Option, type Command } from 'commander'
import { isReason, reasons } from '../../domain/reasons.ts'
import { isService } from '../../domain/tenant.ts'
import { durationOf, parseMoment } from '../arguments/moment.ts'
import { claimsOf, collect, matchOf, type MatchOptions } from '../arguments/match-options.ts'
import { readToken } from '../arguments/read-token.ts'
import { UsageError } from '../usage-error.ts'

/** What a revocation or a hold may be given besides its match. */
export interface ChangeOptions extends MatchOptions {
  readonly token?: string
  readonly reason?: string
  readonly by?: string
  readonly note?: string
  readonly except?: readonly string[]
  readonly issuedBefore?: string
  readonly at?: string
  readonly reviewBy?: string
  readonly outcome?: string
  readonly wait?: string | true
  readonly timeout?: string
  readonly service?: readonly string[]
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

/** The body of `POST /v1/revocations`. */
export type ChangeBody = Readonly<Record<string, unknown>>

/** Adds `--reason`, `--by`, `--note`, `--dry-run` and `--yes`. */
export function withWords(command: Command): Command {
  return command
    .addOption(new Option('--reason <why>', 'why, as services are told').choices(reasons))
    .option('--by <who>', 'who wants it, for the audit trail')
    .option('--note <text>', 'a remark, for the audit trail')
    .option('--dry-run', 'only say what it would do')
    .option('-y, --yes', 'do not ask, however far it reaches')
}

/** Adds `--wait` and what belongs to it. */
export function withWait(command: Command): Command {
  return command
    .option('--wait [instances]', 'wait until "all" live instances, or so many, refuse the tokens')
    .option('--timeout <duration>', 'how long to wait at most', '5s')
    .addOption(
      new Option('--service <name>', 'wait for this service only; repeatable').argParser(collect),
    )
}

/** The token of `--token -`, or the match; nothing of both. @throws UsageError */
export async function aimOf(options: ChangeOptions): Promise<ChangeBody> {
  const match = matchOf(options)
  if (options.token === undefined) {
    if (match !== undefined) return { match }
    throw new UsageError(
      'Say of whom: --sub, --sid, --jti, --client-id, --aud, --kid, --claim, --token - or --all.',
    )
  }
  if (match !== undefined) throw new UsageError('Give either --token or a match.')
  return { token: await readToken(options.token) }
}

/** Everything of the body but whom it is about. @throws UsageError */
export function detailsOf(options: ChangeOptions, nowMs: number): ChangeBody {
  const { reason, by, note, issuedBefore, at, dryRun } = options
  if (reason !== undefined && !isReason(reason)) throw new UsageError(`"${reason}" is no reason.`)
  const except = claimsOf(options.except, '--except')
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(by === undefined ? {} : { by }),
    ...(note === undefined ? {} : { note }),
    ...(except === undefined ? {} : { except }),
    ...(issuedBefore === undefined
      ? {}
      : { issuedBefore: issuedBefore === 'any' ? null : parseMoment(issuedBefore, nowMs) }),
    ...(at === undefined ? {} : { at: parseMoment(at, nowMs) }),
    ...holdOf(options, nowMs),
    ...waitOf(options),
    ...(dryRun === true ? { dryRun } : {}),
  }
}

function holdOf({ reviewBy, outcome }: ChangeOptions, nowMs: number): ChangeBody {
  if (reviewBy === undefined) return {}
  return { hold: { reviewBy: parseMoment(reviewBy, nowMs), outcome } }
}

function waitOf({ wait, timeout, service, at, dryRun }: ChangeOptions): ChangeBody {
  if (wait === undefined) return {}
  if (at !== undefined || dryRun === true) {
    throw new UsageError('Only what is done now can be waited for: no --at and no --dry-run.')
  }
  const stranger = service?.find((name) => !isService(name))
  if (stranger !== undefined) throw new UsageError(`"${String(stranger)}" is no name of a service.`)
  const named = wait === true ? 'all' : wait
  if (named !== 'all' && !/^[1-9]\d{0,5}$/.test(named)) {
    throw new UsageError('--wait is for "all" or a number of instances.')
  }
  return {
    wait: {
      for: named === 'all' ? named : Number(named),
      timeoutMs: durationOf(timeout ?? '5s'),
      ...(service === undefined ? {} : { services: service }),
    },
  }
}
