import { call } from '../api.ts'
import { fill, h } from '../dom.ts'
import { enforcementOf } from '../enforcement.ts'
import { matchText, type Match } from '../format.ts'
import { openDialog } from '../parts/dialog.ts'
import { isMass } from '../rules.ts'
import type { Context } from '../screen.ts'
import { isRefused } from '../types.ts'
import { blast } from './blast.ts'
import { confirm, dryRun } from './confirm.ts'
import { field, noteField, reasonField, select } from './fields.ts'
import { matchFields } from './match-fields.ts'
import { outcomeOf, WAIT, type Done } from './outcome.ts'

export type Kind = 'revoke' | 'hold'

type Work = Pick<Context, 'session' | 'stream'> & { readonly tenant: string }

const REVIEW_HOURS = [1, 4, 24, 72, 168]

/** Asks what to revoke or hold, and goes on to what that would do. */
export function askRevoke(context: Work, kind: Kind, preset?: Match): void {
  const claims = matchFields(preset)
  const reason = reasonField(context.session.reasons, kind === 'hold' ? 'anomaly' : 'admin')
  const review = select(
    'Review within',
    REVIEW_HOURS.map((hours) => [
      String(hours),
      hours < 48 ? `${hours} hours` : `${hours / 24} days`,
    ]),
    '24',
  )
  const outcome = select(
    'If nobody reviews it',
    [
      ['revoke', 'revoke'],
      ['release', 'release'],
    ],
    'revoke',
  )
  const spare = h('input', { autocomplete: 'off', spellcheck: 'false' })
  const note = noteField()
  const problem = h('p', { class: 'form-problem', role: 'alert' })
  const form = h(
    'form',
    { class: 'form', onsubmit: go },
    h(
      'p',
      { class: 'muted' },
      kind === 'revoke'
        ? 'Every token that carries these claims, and was issued until now, dies.'
        : 'Every token that carries these claims is refused until the hold is released or reviewed.',
    ),
    claims.element,
    ...(kind === 'hold'
      ? [h('div', { class: 'field-row' }, review.element, outcome.element)]
      : [field('Spare the session (sid), if one is to live on', spare)]),
    h('div', { class: 'field-row' }, reason.element, note.element),
    problem,
    h(
      'div',
      { class: 'form-foot' },
      h('button', { type: 'submit', class: 'primary' }, 'Show what it would do'),
    ),
  )
  const dialog = openDialog(kind === 'revoke' ? 'Revoke' : 'Hold', form)
  claims.focus()

  function go(event: Event): void {
    event.preventDefault()
    const read = claims.read()
    if (typeof read === 'string') return fill(problem, read)
    const spared = spare.value.trim()
    const how =
      kind === 'hold'
        ? {
            hold: {
              reviewBy: Math.floor(Date.now() / 1000) + Number(review.value()) * 3600,
              outcome: outcome.value(),
            },
          }
        : spared === ''
          ? {}
          : { except: { sid: spared } }
    const said = note.value()
    const body = {
      tenant: context.tenant,
      match: read,
      reason: reason.value(),
      ...how,
      ...(said === '' ? {} : { note: said }),
    }
    dialog.close()
    confirmRevoke(context, kind, read, body)
    return undefined
  }
}

function confirmRevoke(context: Work, kind: Kind, match: Match, body: object): void {
  const what = kind === 'revoke' ? 'Revoked' : 'Held'
  confirm<Done>({
    title: `${kind === 'revoke' ? 'Revoke' : 'Hold'} ${matchText(match)}?`,
    preview: () => dryRun('/v1/revocations', body, (found) => blast(found, liveOf(context))),
    act: kind === 'revoke' ? 'Revoke' : 'Hold',
    isDanger: true,
    word: isMass(match) ? wordOf(match, context.tenant) : undefined,
    run: () => call<Done>('POST', '/v1/revocations', { ...body, wait: WAIT }),
    result: (done) => outcomeOf(done, `${what}: ${matchText(match)}`),
  })
}

/** What has to be typed where a change reaches across users. */
function wordOf(match: Match, tenant: string): string {
  const [value] = Object.values(match)
  return value === undefined ? tenant : String(value)
}

export function liveOf({ stream }: Pick<Context, 'stream'>): number {
  const known = stream.last('subscribers')
  if (known === undefined || isRefused(known)) return 0
  return enforcementOf(known.subscribers).live.length
}
