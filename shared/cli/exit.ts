import type { DecisionCode } from '../domain/decision.ts'

/** The exit codes of `knell`, and what each means. The docs are compared with this table. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  dead: 3,
  unknown: 4,
  unreachable: 5,
  config: 78,
  interrupted: 130,
} as const

export type ExitName = keyof typeof exitCodes

/** Ends a command with a code of the table and a message for the user, who needs no stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exit: ExitName
  /** What the API answered, for `--json`. */
  readonly problem: Readonly<Record<string, unknown>> | undefined

  constructor(
    exit: ExitName,
    message: string,
    options: { cause?: unknown; problem?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.exit = exit
    this.problem = options.problem
  }
}

/** Where a command has done what it was to do, and the answer itself is the exit code. */
export function exitWith(name: ExitName): void {
  process.exitCode = exitCodes[name]
}

/** The code under which a decision is told to a script: let it in, do not, or nobody can say. */
export function exitOfDecision(code: DecisionCode): ExitName {
  return exitsOfDecisions[code] ?? 'dead'
}

/** Codes of the verification of a token (`token_*`) are not among them: a check verifies nothing. */
const exitsOfDecisions: Readonly<Partial<Record<DecisionCode, ExitName>>> = {
  active: 'ok',
  revoked: 'dead',
  held: 'dead',
  expired: 'dead',
  token_too_long_lived: 'dead',
  stale: 'unknown',
  not_ready: 'unknown',
  header_needed: 'unknown',
  iat_required: 'unknown',
  iat_in_future: 'unknown',
  exp_required: 'unknown',
  too_many_audiences: 'unknown',
  unknown_issuer: 'unknown',
}
