import { askRelease, askRestore } from '../../actions/undo.ts'
import { fill, h, setText } from '../../dom.ts'
import { nameOf, toneOf } from '../../enforcement.ts'
import { count, fullTime, matchText } from '../../format.ts'
import { panel } from '../../parts/panel.ts'
import type { Part } from '../../parts/part.ts'
import { badge } from '../../parts/status.ts'
import { hasApplied, type Place } from '../../positions.ts'
import { cutoffsOf, cutoffWords, ruleWords, stands, type Cutoff, type Rule } from '../../rules.ts'
import type { Context } from '../../screen.ts'
import { mayDo } from '../../session.ts'
import { isRefused, type Instance } from '../../types.ts'
import { whenMade } from '../../when.ts'

/** One rule: what it does, since when, who has applied it, and what can be done about it. */
export function rulePanel(context: Context, rule: Rule): Part {
  const { session, stream } = context
  const isLive = stands(rule)
  const { element, body, aside } = panel(`Rule of ${matchText(rule.match)}`, {
    class: 'panel-text',
  })
  aside.append(
    isLive
      ? badge('bad', rule.held === true && cutoffsOf(rule).length === 0 ? 'holds' : 'stands')
      : badge('unknown', 'lifted or over'),
  )
  const mayUndo = mayDo(session, 'revocations:undo')
  const applied = h('div', { class: 'applied' })
  fill(
    body,
    h('ul', { class: 'rule-words' }, ...ruleWords(rule).map((text) => h('li', {}, text))),
    rule.reason === undefined ? null : h('p', {}, 'Reason: ', h('strong', {}, rule.reason)),
    ...cutoffsOf(rule).map((cutoff) => cutoffRow(context, rule, cutoff, mayUndo)),
    rule.held === true ? holdRow(context, rule, mayUndo) : null,
    h('h3', {}, 'Applied by'),
    applied,
  )
  const { shard, epoch, seq } = rule
  const place =
    shard === undefined || epoch === undefined || seq === undefined
      ? undefined
      : { shard, epoch, seq }
  const summary = h('p')
  const list = h('ul', { class: 'applied-list' })
  fill(applied, summary, list)
  let shown = ''
  const end = stream.on('subscribers', (data) => {
    if (isRefused(data) || place === undefined)
      return setText(summary, 'Who has applied it is not known.')
    const live = data.subscribers.filter(({ state }) => state !== 'gone')
    const done = live.filter((each) => hasApplied(each, place))
    const words =
      live.length === 0
        ? 'Nobody listens, so nothing enforces it yet.'
        : `${count(done.length)} of ${count(live.length)} live instances.`
    setText(summary, words)
    const key = live
      .map((each) => `${each.instance} ${hasApplied(each, place)} ${toneOf(each)}`)
      .join()
    if (key === shown) return undefined
    shown = key
    return fill(list, ...live.map((each) => appliedItem(each, place)))
  })
  return { element, end }
}

function appliedItem(instance: Instance, place: Place): HTMLElement {
  const isDone = hasApplied(instance, place)
  return h(
    'li',
    {},
    badge(isDone ? 'good' : 'attention', isDone ? 'applied' : 'not yet'),
    h('span', { class: 'mono' }, nameOf(instance)),
  )
}

function cutoffRow(context: Context, rule: Rule, cutoff: Cutoff, mayUndo: boolean): HTMLElement {
  const since = h('span', { class: 'muted' }, 'since: looking …')
  void tellSince(context, cutoff.id, since)
  return h(
    'div',
    { class: 'cutoff' },
    h(
      'div',
      {},
      h('p', {}, `Revocation of ${cutoffWords(cutoff)}`),
      h('p', { class: 'small-text' }, since, ' · ', h('span', { class: 'mono muted' }, cutoff.id)),
    ),
    mayUndo
      ? h(
          'button',
          {
            type: 'button',
            class: 'small',
            onclick: () => askRestore(context, rule.match, cutoff.id),
          },
          'Restore …',
        )
      : null,
  )
}

function holdRow(context: Context, rule: Rule, mayUndo: boolean): HTMLElement {
  const since = h('span', { class: 'muted' }, 'since: looking …')
  void tellSince(context, rule.holdId ?? '', since)
  return h(
    'div',
    { class: 'cutoff' },
    h(
      'div',
      {},
      h('p', {}, 'Hold'),
      h(
        'p',
        { class: 'small-text' },
        since,
        ' · ',
        h('span', { class: 'mono muted' }, rule.holdId ?? ''),
      ),
    ),
    mayUndo
      ? h(
          'button',
          { type: 'button', class: 'small', onclick: () => askRelease(context, rule.match) },
          'Release …',
        )
      : null,
  )
}

async function tellSince(
  { stream, tenant }: Context,
  id: string,
  into: HTMLElement,
): Promise<void> {
  const known = stream.last('subscribers')
  const shards = known === undefined || isRefused(known) ? 4 : known.tails.length
  const at = await whenMade(id, tenant, shards)
  setText(
    into,
    at === undefined
      ? 'since: longer ago than the feed goes back; see the audit trail'
      : `since ${fullTime(at)}`,
  )
}
