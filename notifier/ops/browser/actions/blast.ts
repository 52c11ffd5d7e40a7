import { h, type Child } from '../dom.ts'
import { matchText } from '../format.ts'
import { countLive, hitsWords, ruleWords, type DryRun, type Rule } from '../rules.ts'

/** What a change would reach: how much, what stands now, and what would stand then. */
export function blast({ match, current, rule, hits }: DryRun, live: number): readonly Child[] {
  return [
    h('p', { class: 'blast-match' }, h('span', { class: 'mono' }, matchText(match))),
    h('p', { class: 'blast-hits' }, hitsWords(hits)),
    h('p', { class: 'muted' }, `It reaches ${countLive(live)} of services.`),
    h(
      'div',
      { class: 'before-after' },
      h('div', {}, h('h3', {}, 'Now'), sentences(current)),
      h('div', {}, h('h3', {}, 'Then'), sentences(rule)),
    ),
  ]
}

function sentences(rule: Rule | null): HTMLElement {
  return h('ul', {}, ...ruleWords(rule).map((text) => h('li', {}, text)))
}
