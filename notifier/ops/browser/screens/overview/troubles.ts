import { fill, h } from '../../dom.ts'
import type { Part } from '../../parts/part.ts'
import { mark, type Tone } from '../../parts/status.ts'
import type { Context } from '../../screen.ts'
import type { Health } from '../../types.ts'

interface Trouble {
  readonly tone: Tone
  readonly title: string
  readonly detail: string
}

/** What is wrong with the engines, and what that means; nothing at all while all is well. */
export function troubles({ stream }: Context): Part {
  const element = h('div', { class: 'troubles', role: 'status' })
  let shown = ''
  const end = stream.on('health', (data) => {
    const found = troublesOf(data)
    const key = JSON.stringify(found)
    if (key === shown) return
    shown = key
    fill(
      element,
      ...found.map(({ tone, title, detail }) =>
        h(
          'div',
          { class: `trouble trouble-${tone}` },
          mark(tone),
          h('div', {}, h('p', { class: 'trouble-title' }, title), h('p', {}, detail)),
        ),
      ),
    )
  })
  return { element, end }
}

function troublesOf({ store, broker }: Health): Trouble[] {
  const found: Trouble[] = []
  if (!store.ok) {
    found.push({
      tone: 'bad',
      title: 'The store (Redis) is away',
      detail: `Nothing can be revoked or registered, and nothing below is new. Services go on by their views, until these are stale. ${store.problem ?? ''}`,
    })
  }
  if (broker.blocked) {
    found.push({
      tone: 'attention',
      title: 'RabbitMQ takes no messages',
      detail:
        'It has raised an alarm: no memory or no disk is left. Revocations are kept and reach services by pull, more slowly.',
    })
  } else if (!broker.ok) {
    found.push({
      tone: 'attention',
      title: 'RabbitMQ is away',
      detail: `Revocations are kept and reach services by pull, more slowly. Nothing is lost. ${broker.problem ?? ''}`,
    })
  }
  return found
}
