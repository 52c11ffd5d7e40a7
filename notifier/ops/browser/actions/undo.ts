import { call } from '../api.ts'
import { matchText, type Match } from '../format.ts'
import type { Context } from '../screen.ts'
import { blast } from './blast.ts'
import { confirm, dryRun } from './confirm.ts'
import { noteField } from './fields.ts'
import { liveOf } from './revoke.ts'

interface Undone {
  readonly lifted: readonly string[]
}

/** Lifts a hold. */
export function askRelease(context: Context, match: Match): void {
  undo(context, 'release', `Release ${matchText(match)}?`, { match })
}

/** Undoes one revocation, or all of a match. */
export function askRestore(context: Context, match: Match, id?: string): void {
  const what = id === undefined ? { match } : { id }
  undo(context, 'restore', `Restore ${matchText(match)}?`, what)
}

function undo(
  context: Context,
  kind: 'release' | 'restore',
  title: string,
  what: { match: Match } | { id: string },
): void {
  const note = noteField()
  const path = `/v1/revocations/${kind}`
  const body = { ...what, tenant: context.tenant }
  confirm<Undone>({
    title,
    preview: () => dryRun(path, body, (found) => blast(found, liveOf(context))),
    fields: [note.element],
    act: kind === 'release' ? 'Release' : 'Restore',
    run: () => {
      const said = note.value()
      return call<Undone>('POST', path, { ...body, ...(said === '' ? {} : { note: said }) })
    },
    result: ({ lifted }) => ({
      tone: 'good',
      text:
        kind === 'release'
          ? 'Released. Its tokens are let in again as soon as each instance hears of it.'
          : `Restored: ${lifted.length === 1 ? 'one revocation is' : `${lifted.length} revocations are`} lifted.`,
    }),
  })
}
