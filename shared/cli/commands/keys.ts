import { Option, type Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { reasons } from '../../domain/reasons.ts'
import { clientOf, withConnection } from '../client/connection-options.ts'
import { withExamples } from '../examples.ts'
import { confirm } from '../terminal/confirm.ts'
import { answer, harmless } from '../terminal/print.ts'
import { toTable } from '../terminal/table.ts'
import { showSeconds } from '../terminal/time.ts'
import { UsageError } from '../usage-error.ts'

interface Key {
  readonly kid: string
  readonly alg: string
  readonly state: string
  readonly createdAt: number
  readonly activeAt?: number
  readonly endedAt?: number
  readonly retiresAt?: number
}

interface Ring {
  readonly tenant: string
  readonly keys: readonly Key[]
}

interface Words {
  readonly json?: boolean
  readonly by?: string
  readonly note?: string
}

/** `knell keys`: the keys that Knell signs tokens with, where it issues them. */
export function addKeysCommand(program: Command): void {
  const keys = program
    .command('keys')
    .description('the keys that tokens are signed with: see, rotate, revoke, add')
  addList(keys)
  addRotate(keys)
  addRevoke(keys)
  addAdd(keys)
}

function withAuditWords(command: Command): Command {
  return command
    .option('--by <who>', 'who wants it, for the audit trail')
    .option('--note <text>', 'a remark, for the audit trail')
}

function addList(keys: Command): void {
  const list = withConnection(
    keys.command('ls', { isDefault: true }).description('every key and its state'),
  )
  withExamples(list, [['knell keys', 'which key signs?']])
  list.action(async ({ json }: Words) => {
    const client = clientOf(list)
    const { tenant } = client.connection
    answer(json, await client.call<Ring>('/v1/keys', { query: { tenant } }), show)
  })
}

function addRotate(keys: Command): void {
  const rotate = withAuditWords(
    withConnection(
      keys.command('rotate').description('let the next key sign; the last one goes on verifying'),
    ),
  ).option('--force', 'also where the next key is so new that verifiers may not know it')
  withExamples(rotate, [
    ['knell keys rotate --force --note "before the audit"', 'nobody is logged out'],
  ])
  rotate.action(async ({ json, by, note, force }: Words & { force?: boolean }) => {
    const client = clientOf(rotate)
    const body = { tenant: client.connection.tenant, by, note, force }
    answer(json, await client.call<Ring>('/v1/keys/rotate', { body }), show)
  })
}

function addRevoke(keys: Command): void {
  const revoke = withAuditWords(
    withConnection(
      keys
        .command('revoke')
        .description('end a key now: every token it has signed is dead, another key signs')
        .argument('<kid>'),
    ),
  )
    .addOption(
      new Option('--reason <why>', 'why, as services are told')
        .choices(reasons)
        .default('key-compromise'),
    )
    .option('-y, --yes', 'do not ask')
  withExamples(revoke, [
    [
      'knell keys revoke "$KID" --yes',
      'it was stolen: whoever has a token of it refreshes or logs in anew',
    ],
  ])
  revoke.action(
    async (
      kid: string,
      { json, by, note, reason, yes }: Words & { reason: string; yes?: boolean },
    ) => {
      const client = clientOf(revoke)
      await confirm(
        harmless(`Every token signed with "${kid}" dies everywhere, for ever. Go on?`),
        yes,
      )
      const body = { tenant: client.connection.tenant, kid, reason, by, note }
      answer(json, await client.call<Ring>('/v1/keys/revoke', { body }), show)
    },
  )
}

function addAdd(keys: Command): void {
  const add = withAuditWords(
    withConnection(
      keys
        .command('add')
        .description('take a private key or secret made elsewhere as the next one')
        .argument('<kid>')
        .argument('<file>', 'a private JWK (RFC 7517)'),
    ),
  )
  withExamples(add, [
    ['knell keys add own-2027 secret.jwk', 'an HMAC secret that the services have already'],
  ])
  add.action(async (kid: string, file: string, { json, by, note }: Words) => {
    const client = clientOf(add)
    const jwk = await readJwk(file)
    const body = { tenant: client.connection.tenant, kid, jwk, by, note }
    answer(json, await client.call<Ring>('/v1/keys', { body }), show)
  })
}

/** @throws UsageError, which quotes nothing of the file */
async function readJwk(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new UsageError(`${file} cannot be read as a JWK.`, { cause })
  }
}

function show({ keys }: Ring): string {
  if (keys.length === 0) return 'There is no key yet: the first token that is issued makes one.'
  return toTable(
    ['kid', 'alg', 'state', 'made', 'signs since', 'ended', 'retired at'],
    keys.map(({ kid, alg, state, createdAt, activeAt, endedAt, retiresAt }) => [
      kid,
      alg,
      state,
      showSeconds(createdAt),
      ...[activeAt, endedAt, retiresAt].map((at) => (at === undefined ? '' : showSeconds(at))),
    ]),
  )
}
