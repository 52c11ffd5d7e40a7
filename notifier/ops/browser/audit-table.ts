import { h } from './dom.ts'
import { fullTime, matchText, time } from './format.ts'
import { badge } from './parts/status.ts'
import { table, type Cell, type Table } from './parts/table.ts'
import type { AuditRecord } from './types.ts'

/** Records of the audit trail, newest first. */
export function auditTable(caption: string): Table<AuditRecord> {
  return table<AuditRecord>(
    caption,
    [
      { title: 'When', cell: ({ at }) => titled(time(at), fullTime(at)) },
      { title: 'What', cell: ({ action }) => action },
      { title: 'Whom', cell: matchCell },
      { title: 'Result', cell: resultCell },
      { title: 'Who', cell: whoText },
      {
        title: 'From',
        cell: ({ from }) => [from.via, from.address ?? ''].join(' '),
      },
      {
        title: 'Why',
        cell: ({ reason, note }) => [reason, note].filter(Boolean).join(': ') || '–',
      },
    ],
    ({ id, tenant }) => `${tenant ?? ''} ${id}`,
  )
}

function titled(text: string, title: string): Cell {
  return { key: text, make: () => h('span', { title }, text) }
}

function whoText({ who }: AuditRecord): string {
  const name = who.key ?? who.client ?? 'Knell itself'
  return who.by === undefined ? name : `${name} (${who.by})`
}

function matchCell({ match, details, cause }: AuditRecord): Cell {
  if (match === undefined) return detailText(details) || cause || '–'
  const text = matchText(match)
  const query = new URLSearchParams({ match: JSON.stringify(match) })
  return { key: text, make: () => h('a', { href: `#/token?${query}`, class: 'mono' }, text) }
}

function detailText(details: AuditRecord['details'] = {}): string {
  return Object.entries(details)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}

function resultCell({ result }: AuditRecord): Cell {
  const { ok, code, changed } = result
  const word = ok ? (changed === false ? 'changed nothing' : 'done') : (code ?? 'refused')
  return {
    key: word,
    make: () => badge(ok ? (changed === false ? 'unknown' : 'good') : 'bad', word),
  }
}
