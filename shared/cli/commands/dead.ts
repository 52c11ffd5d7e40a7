import type { Command } from 'commander'
import { parseCount } from '../arguments/count.ts'
import type { ApiClient } from '../client/api-client.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { CommandError, exitWith } from '../exit.ts'
import { answer, sayJson } from '../terminal/print.ts'
import { openProgress } from '../terminal/progress.ts'
import { toTable } from '../terminal/table.ts'
import { showMs } from '../terminal/time.ts'
import { UsageError } from '../usage-error.ts'

interface Letter {
  readonly key: string
  readonly tenant?: string
  readonly kind?: string
  readonly attempts?: number
  readonly deadAt?: number
  readonly error?: { readonly code?: string; readonly message: string }
}

interface Letters {
  readonly dead: readonly Letter[]
  readonly more: boolean
  readonly total?: number
}

interface Replayed {
  readonly replayed: number
  readonly skipped: number
  readonly more: boolean
}

/** A call puts back so many at most, so that there is progress to show. */
const CHUNK = 500
const REPLAY_MS = 120_000

/** `knell dead`: what handlers gave up. */
export function addDeadCommand(program: Command): void {
  const dead = program
    .command('dead')
    .description('what a service’s handlers gave up: look, put back')
  addList(dead)
  addShow(dead)
  addReplay(dead)
}

function addList(dead: Command): void {
  const list = withConnection(
    dead.command('ls').description('dead letters, oldest first').argument('<service>'),
  ).option('--limit <count>', 'so many at most', '100')
  withExamples(list, [['knell dead ls orders', 'what did orders give up?']])
  list.action(async (service: string, { json, limit }: { json?: boolean; limit: string }) => {
    const found = await read(clientOf(list), service, parseCount('--limit', limit, 1000))
    answer(json, found, show)
  })
}

function read(client: ApiClient, service: string, limit: number): Promise<Letters> {
  return client.call<Letters>('/v1/dead', { query: { service, limit } })
}

function show({ dead, more, total }: Letters): string {
  if (dead.length === 0) return 'There are no dead letters.'
  const table = toTable(
    ['dead since', 'kind', 'tenant', 'attempts', 'why', 'id'],
    dead.map(({ key, tenant, kind, attempts, deadAt, error }) => [
      deadAt === undefined ? null : showMs(deadAt),
      kind ?? 'poison',
      tenant,
      attempts,
      error?.code ?? error?.message.slice(0, 60),
      key,
    ]),
  )
  const all = total === undefined ? '' : ` of ${total}`
  return more ? `${table}\n${dead.length}${all}; --limit shows more.` : table
}

function addShow(dead: Command): void {
  const command = withConnection(
    dead
      .command('show')
      .description('one dead letter, whole')
      .argument('<service>')
      .argument('<id>', 'as "dead ls" shows it'),
  )
  withExamples(command, [['knell dead show orders "$LETTER"', 'everything that is known of it']])
  command.action(async (service: string, id: string) => {
    const { dead: letters, more } = await read(clientOf(command), service, 1000)
    const letter = letters.find(({ key }) => key === id)
    if (letter !== undefined) return sayJson(letter)
    const where = more ? ' among the oldest 1,000' : ''
    throw new CommandError('failed', `There is no dead letter "${id}" of ${service}${where}.`)
  })
}

function addReplay(dead: Command): void {
  const replay = withConnection(
    dead
      .command('replay')
      .description('put dead letters back, each once')
      .argument('<service>')
      .argument('[id...]', 'as "dead ls" shows them'),
  ).option('--all', 'all of them, or the oldest --limit')
  replay.option('--limit <count>', 'so many at most, with --all')
  withExamples(replay, [
    ['knell dead replay orders "$LETTER"', 'one of them'],
    ['knell dead replay orders --all', 'all, once the fault is mended'],
  ])
  replay.action(
    async (
      service: string,
      ids: readonly string[],
      { json, all, limit }: { json?: boolean; all?: boolean; limit?: string },
    ) => {
      if ((all === true) === ids.length > 0) throw new UsageError('Give either ids or --all.')
      if (ids.length > 1000) throw new UsageError('Give at most 1,000 ids at a time.')
      const client = clientOf(replay)
      const done =
        all === true
          ? await replayAll(
              client,
              service,
              limit === undefined ? Infinity : parseCount('--limit', limit),
            )
          : await put(client, { service, ids })
      answer(json, done, () => {
        const rest = done.skipped > 0 ? `; ${done.skipped} cannot be put back and stay` : ''
        return `put back ${done.replayed}${rest}`
      })
      if (ids.length > done.replayed) exitWith('failed')
    },
  )
}

function put(client: ApiClient, body: object): Promise<Replayed> {
  return client.call<Replayed>('/v1/dead/replay', { body, timeoutMs: REPLAY_MS })
}

/** Puts back as many as there were at the beginning: what fails again meanwhile is not put back again. */
async function replayAll(client: ApiClient, service: string, limit: number): Promise<Replayed> {
  const { total } = await read(client, service, 1)
  const most = Math.min(limit, total ?? Infinity)
  const progress = openProgress('put back', Number.isFinite(most) ? most : undefined)
  let replayed = 0
  let skipped = 0
  let more = true
  try {
    while (more && replayed < most) {
      const chunk = { service, all: true, limit: Math.min(CHUNK, most - replayed) }
      const done = await put(client, chunk)
      replayed += done.replayed
      // What cannot be put back is met again by each call, so the last count is the count.
      skipped = done.skipped
      more = done.more && done.replayed > 0
      progress.update(replayed)
    }
  } finally {
    progress.stop()
  }
  return { replayed, skipped, more }
}
