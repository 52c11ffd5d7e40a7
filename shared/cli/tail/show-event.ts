import type { Kind } from '../../domain/entry.ts'
import { showMatch } from '../arguments/match-options.ts'
import { showRule } from '../changes/show-change.ts'
import { paint } from '../terminal/colours.ts'
import { harmless } from '../terminal/print.ts'
import { showSeconds } from '../terminal/time.ts'
import type { LiveEvent } from './live-event.ts'

const colours: Readonly<Record<Kind, Parameters<typeof paint>[0]>> = {
  revoked: 'red',
  held: 'yellow',
  released: 'green',
  restored: 'green',
  expired: 'dim',
  expiring: 'dim',
}

/** An event in one line: when, where, what, of whom. */
export function showEvent({ at, tenant, kind, event }: LiveEvent): string {
  const time = new Date(at).toISOString().slice(11, 23)
  const what = paint(colours[kind], kind.padEnd(8))
  return `${time}  ${harmless(tenant)}  ${what}  ${harmless(about(kind, event))}`
}

function about(kind: Kind, event: LiveEvent['event']): string {
  if (kind !== 'expired' && kind !== 'expiring') {
    return `${showMatch(event['match'])}  ${showRule(event)}`
  }
  const { exp, inSeconds, ...claims } = event
  const when = inSeconds === undefined ? '' : ` (in ${Number(inSeconds)} s)`
  return `${showMatch(claims)}  exp ${showSeconds(Number(exp))}${when}`
}
