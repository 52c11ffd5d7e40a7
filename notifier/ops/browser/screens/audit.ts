import { call, download, explain } from '../api.ts'
import { auditTable } from '../audit-table.ts'
import { field, select } from '../actions/fields.ts'
import { fill, h } from '../dom.ts'
import { book } from '../icons.ts'
import { empty, panel } from '../parts/panel.ts'
import type { Screen } from '../screen.ts'
import type { AuditRecord } from '../types.ts'

const ACTIONS = [
  'revoke',
  'hold',
  'release',
  'restore',
  'schedule',
  'unschedule',
  'hold-ended',
  'scheduled-fired',
  'max-token-ttl',
  'rotate-key',
  'revoke-key',
  'add-key',
  'reuse',
  'remove-subscriber',
  'replay',
  'sweep',
  'login',
  'logout',
  'authenticate',
  'register',
]
const PAGE = '50'

interface Page {
  readonly audit: readonly AuditRecord[]
  readonly next?: string
}

/** Who did what, when, why, from where, with which result. */
export const audit: Screen = {
  path: 'audit',
  title: 'Audit',
  icon: book,
  mount(root, { tenant, session }) {
    const action = select(
      'What',
      [['', 'everything'], ...ACTIONS.map((name) => [name, name] as const)],
      '',
    )
    const who = h('input', {
      autocomplete: 'off',
      spellcheck: 'false',
      placeholder: 'key or person',
    })
    const since = h('input', { type: 'datetime-local' })
    const save = h('button', { type: 'button', onclick: () => void exportAll() }, 'Export (NDJSON)')
    const message = h('p', { class: 'hint', role: 'status' })
    const { element, body } = panel('Audit trail')
    const more = h(
      'button',
      { type: 'button', class: 'small', onclick: () => void read(true) },
      'Older',
    )
    const rows = auditTable('Audit trail')
    let shown: AuditRecord[] = []
    let next: string | undefined
    let asked = 0
    root.append(
      h(
        'form',
        {
          class: 'filters',
          onsubmit: (event: Event) => {
            event.preventDefault()
            void read(false)
          },
        },
        action.element,
        field('Who', who),
        field('Since', since),
        h(
          'div',
          { class: 'filter-buttons' },
          h('button', { type: 'submit', class: 'primary' }, 'Show'),
          save,
        ),
      ),
      message,
      element,
    )
    action.element.addEventListener('change', () => void read(false))
    void read(false)

    function query(extra: Record<string, string>): URLSearchParams {
      // A key of all tenants also sees what concerns no single one, such as sweeps.
      const all: Record<string, string> =
        session.ofAllTenants && session.tenants.length === 1 ? {} : { tenant }
      if (action.value() !== '') all['action'] = action.value()
      if (who.value.trim() !== '') all['who'] = who.value.trim()
      if (since.value !== '') all['after'] = String(new Date(since.value).getTime())
      return new URLSearchParams({ ...all, ...extra })
    }

    async function read(isOlder: boolean): Promise<void> {
      asked += 1
      const mine = asked
      const from = isOlder && next !== undefined ? { cursor: next } : {}
      const answer = await call<Page>('GET', `/v1/audit?${query({ limit: PAGE, ...from })}`)
      if (mine !== asked) return
      if (!answer.ok) return fill(body, h('p', { class: 'part-problem' }, explain(answer.problem)))
      shown = isOlder ? [...shown, ...answer.body.audit] : [...answer.body.audit]
      ;({ next } = answer.body)
      rows.show(shown)
      fill(
        body,
        shown.length === 0
          ? empty(
              'Nothing found',
              'Everything that is revoked, held, undone or changed is kept here, with who did it and why.',
            )
          : rows.element,
        next === undefined ? null : h('div', { class: 'panel-foot' }, more),
      )
      return undefined
    }

    async function exportAll(): Promise<void> {
      fill(message, 'Exporting …')
      save.disabled = true
      const answer = await download(
        `/v1/audit?${query({ format: 'ndjson' })}`,
        'application/x-ndjson',
      )
      save.disabled = false
      if (!answer.ok) return fill(message, explain(answer.problem))
      const href = URL.createObjectURL(answer.body)
      h('a', { href, download: 'knell-audit.ndjson' }).click()
      URL.revokeObjectURL(href)
      return fill(message, 'Exported. Its last line says how many records there are.')
    }

    return () => {
      asked = -1
    }
  },
}
