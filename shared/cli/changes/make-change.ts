import process from 'node:process'
import type { Match } from '../../domain/claims.ts'
import { isMass } from '../../domain/reach.ts'
import type { ApiClient } from '../client/api-client.ts'
import { exitCodes, exitWith } from '../exit.ts'
import { onInterrupt } from '../interrupt.ts'
import { confirm } from '../terminal/confirm.ts'
import { answer, harmlessValue, note } from '../terminal/print.ts'
import { showMatch } from '../arguments/match-options.ts'
import type { ChangeBody } from './change-options.ts'
import { showDryRun, showMade, type DryRun, type Made } from './show-change.ts'

/** More than the API itself waits for instances. */
const MARGIN_MS = 30_000

export interface MakeOptions {
  readonly yes?: boolean
  readonly json?: boolean
}

/**
 * Revokes, holds or schedules. What reaches beyond one user, session or token is shown first, with how
 * many registered tokens it would hit, and asked about.
 */
export async function makeChange(
  client: ApiClient,
  change: ChangeBody,
  { yes, json }: MakeOptions,
): Promise<void> {
  const { tenant } = client.connection
  const body = { ...change, ...(tenant === undefined ? {} : { tenant }) }
  if (change['dryRun'] === true) {
    const found = await client.call<DryRun>('/v1/revocations', { body })
    answer(json, found, showDryRun)
    return
  }
  await confirmReach(client, body, yes)
  const wait = change['wait'] as { timeoutMs: number } | undefined
  onInterrupt(() => {
    note(
      'Interrupted: it was sent and may be committed; nobody waited for it.' +
        ' Look with "knell check" for the same tokens, and with "knell audit --limit 5".',
    )
    process.exit(exitCodes.interrupted)
  })
  const made = await client.call<Made>('/v1/revocations', {
    body,
    timeoutMs: (wait?.timeoutMs ?? 0) + MARGIN_MS,
  })
  answer(json, made, (shown) => showMade(shown, change['match'] as Match | undefined))
  // Committed it is all the same; the code says that the proof is not there.
  if (made.enforced !== undefined && !made.enforced.done) exitWith('unknown')
}

async function confirmReach(
  client: ApiClient,
  body: ChangeBody,
  yes: boolean | undefined,
): Promise<void> {
  const match = body['match'] as Match | undefined
  if (yes === true || match === undefined || !isMass(match)) return
  const question = `This reaches every token of ${showMatch(match)}. Go on?`
  if (process.stdin.isTTY && process.stderr.isTTY) {
    const { wait: _, ...asked } = body as { wait?: unknown }
    const found = await client.call<DryRun>('/v1/revocations', {
      body: { ...asked, dryRun: true },
    })
    note(showDryRun(harmlessValue(found)))
  }
  await confirm(question, yes)
}
