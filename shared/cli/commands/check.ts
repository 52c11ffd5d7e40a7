import type { Command } from 'commander'
import type { Claims, Header, Match } from '../../domain/claims.ts'
import type { Decision } from '../../domain/decision.ts'
import { isRecord } from '../../domain/entry.ts'
import { isKnellError } from '../../domain/errors.ts'
import { readUnverified } from '../../tokens/read-unverified.ts'
import { matchOf, showMatch, withMatch, type MatchOptions } from '../arguments/match-options.ts'
import { parseMoment } from '../arguments/moment.ts'
import { readToken } from '../arguments/read-token.ts'
import { showRule, type RuleShown } from '../changes/show-change.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { exitOfDecision, exitWith } from '../exit.ts'
import { answer } from '../terminal/print.ts'
import { toList } from '../terminal/table.ts'
import { showMs, showSeconds } from '../terminal/time.ts'
import { UsageError } from '../usage-error.ts'

interface CheckOptions extends MatchOptions {
  readonly claims?: string
  readonly header?: string
  readonly token?: string
  readonly iat?: string
  readonly exp?: string
  readonly json?: boolean
}

/** Of whom nothing but a claim is known is judged as the holder of a token issued a minute ago. */
const AGE_SECONDS = 60

/** `knell check`: asks the store whether a token is dead. */
export function addCheckCommand(program: Command): void {
  const command = withMatch(
    program
      .command('check')
      .description(
        'ask the store whether a token is dead: exit 0 active, 3 dead, 4 nobody can say',
      ),
  )
    .option('--claims <json>', 'the payload of the token')
    .option('--header <json>', 'its header, with --claims', '{}')
    .option('--token <->', 'the token, read from standard input; its signature is not checked')
    .option('--iat <time>', 'when it was issued, with a match (default: a minute ago)')
    .option('--exp <time>', 'when it expires, with a match (default: a minute ahead)')
  withConnection(command)
  withExamples(command, [
    ['knell check --sub bob', 'would a token of his be let in?'],
    ['knell check --jti "$JTI" --json', 'the decision, for a machine'],
    [`knell check --claims '{"sub":"bob","iat":'$NOW',"exp":'$((NOW + 60))'}'`, 'known claims'],
    ['printf %s "$TOKEN" | knell check --token -', 'a token that is at hand'],
  ])
  command.action(async (options: CheckOptions) => {
    const client = clientOf(command)
    const { claims, header, match } = await askedOf(options)
    const { tenant } = client.connection
    const decision = await client.call<Decision>('/v1/check', {
      body: { claims, header, ...(tenant === undefined ? {} : { tenant }) },
    })
    const rule = match === undefined ? undefined : await ruleOf(match)
    answer(options.json, rule === undefined ? decision : { ...decision, rule }, () =>
      show(decision, claims, match, rule),
    )
    exitWith(exitOfDecision(decision.code))

    async function ruleOf(about: Match): Promise<RuleShown | null> {
      const query = { match: JSON.stringify(about), tenant }
      return (await client.call<{ rule: RuleShown | null }>('/v1/revocations', { query })).rule
    }
  })
}

interface Asked {
  readonly claims: Claims
  readonly header: Header
  readonly match?: Match
}

/** What stands for the token: its claims, the token itself, or a match and two times. @throws UsageError */
async function askedOf(options: CheckOptions): Promise<Asked> {
  const match = matchOf(options)
  const given = [options.claims, options.token, match].filter((way) => way !== undefined)
  if (given.length !== 1) throw new UsageError('Give either --claims, --token - or a match.')
  if (options.token !== undefined) {
    try {
      return readUnverified(await readToken(options.token))
    } catch (error) {
      if (isKnellError(error)) throw new UsageError(error.message, { cause: error })
      throw error
    }
  }
  if (match === undefined) {
    return { claims: parse('--claims', options.claims), header: parse('--header', options.header) }
  }
  const nowMs = Date.now()
  const now = Math.floor(nowMs / 1000)
  const { kid, ...claims } = match
  return {
    match,
    claims: {
      ...claims,
      iat: options.iat === undefined ? now - AGE_SECONDS : parseMoment(options.iat, nowMs),
      exp: options.exp === undefined ? now + AGE_SECONDS : parseMoment(options.exp, nowMs),
    },
    header: kid === undefined ? {} : { kid },
  }
}

function parse(option: string, text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    if (isRecord(value)) return value
  } catch {
    // Told below.
  }
  throw new UsageError(`${option} must be a JSON object.`)
}

function show(
  decision: Decision,
  claims: Claims,
  match: Match | undefined,
  rule: RuleShown | null | undefined,
): string {
  const { active, code, reason, asOf } = decision
  const times = `issued ${showSeconds(Number(claims['iat']))}, expires ${showSeconds(Number(claims['exp']))}`
  return toList([
    [{ text: code, style: active ? 'green' : 'red' }, reason ?? ''],
    ['token', match === undefined ? undefined : `${showMatch(match)}, ${times}`],
    ['rule', match === undefined ? undefined : showRule(rule)],
    ['as of', showMs(asOf)],
  ])
}
