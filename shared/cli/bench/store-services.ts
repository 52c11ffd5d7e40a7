import { once } from 'node:events'
import { pino } from 'pino'
import { declareInstanceQueue } from '../../broker/topology.ts'
import { loadSettings } from '../../config/settings.ts'
import { createServices, type Process } from '../../process/create-services.ts'
import type { TokenStore } from '../../store/token-store.ts'
import { DEFAULT_TENANT } from '../../domain/tenant.ts'
import type { Scope } from './scope.ts'
import { tokenOf } from './tokens.ts'

/** What a poller is made of, in this process, with one queue that takes expiries. */
export async function openServices(
  env: Readonly<Record<string, string>>,
  scope: Scope,
): Promise<Process> {
  const settings = loadSettings(env, 'poller')
  const services = createServices(settings, pino({ level: 'silent' }))
  const { broker, store, names, storeChecked } = services
  scope.defer(() => store.close())
  broker.use(async (link) => {
    const channel = await link.createChannel()
    await channel.bindQueue(await declareInstanceQueue(channel), names.expiries, '#')
  })
  const up = once(broker, 'up')
  scope.defer(() => broker.close())
  await broker.start()
  await Promise.all([up, storeChecked])
  return services
}

const AT_ONCE = 4000
const WAITING = 3

/** Puts tokens on the wheel as the notifier does, but without HTTP: what is stored is the same. */
export async function storeTokens(
  tokens: TokenStore,
  first: number,
  count: number,
  expOf: (index: number) => number,
): Promise<void> {
  const waiting: Promise<unknown>[] = []
  for (let from = 0; from < count; from += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - from)
    const batch = Array.from({ length: size }, (_, i) => {
      const index = first + from + i
      return tokens.register(DEFAULT_TENANT, tokenOf(index, expOf(index)))
    })
    waiting.push(Promise.all(batch))
    if (waiting.length >= WAITING) await waiting.shift()
  }
  await Promise.all(waiting)
}
