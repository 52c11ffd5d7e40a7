import { call, explain } from '../../api.ts'
import { auditTable } from '../../audit-table.ts'
import { fill, h } from '../../dom.ts'
import type { Match } from '../../format.ts'
import { empty, panel } from '../../parts/panel.ts'
import type { Context } from '../../screen.ts'
import type { AuditRecord } from '../../types.ts'

/** Who did what about these claims. */
export function auditPanel({ tenant }: Context, match: Match): HTMLElement {
  const { element, body } = panel('What was done about it')
  fill(body, h('p', { class: 'empty' }, 'Reading the audit trail …'))
  void read()
  return element

  async function read(): Promise<void> {
    const claims = Object.fromEntries(
      Object.entries(match).map(([name, value]) => [name, String(value)]),
    )
    const query = new URLSearchParams({ ...claims, tenant, limit: '50' })
    const answer = await call<{ audit: AuditRecord[] }>('GET', `/v1/audit?${query}`)
    if (!answer.ok) return fill(body, h('p', { class: 'part-problem' }, explain(answer.problem)))
    const { audit } = answer.body
    if (audit.length === 0) return fill(body, empty('Nothing that the audit trail still knows'))
    const rows = auditTable('What was done about it')
    rows.show(audit)
    return fill(body, rows.element)
  }
}
