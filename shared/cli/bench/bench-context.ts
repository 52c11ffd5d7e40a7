import { randomBytes } from 'node:crypto'
import type { Engines } from '../engines/engines.ts'
import { spawnKnell, type KnellProcess } from '../processes.ts'
import type { CaseResult } from './result.ts'
import type { Scope } from './scope.ts'
import type { Sizes } from './sizes.ts'

/** What a case works with. */
export interface Bench {
  readonly engines: Engines
  readonly sizes: Sizes
  /** Whatever the case opens is released from here, also after an interrupt. */
  readonly scope: Scope
  /** Tells the user, on standard error, what is being done. */
  readonly say: (line: string) => void
}

export interface Case {
  readonly name: string
  readonly title: string
  readonly run: (bench: Bench) => Promise<CaseResult>
}

/** The secret of the one API key of this run. */
export const secret: string = randomBytes(18).toString('base64url')

/** The environment of the two processes. */
export function knellEnv({ engines }: Bench): Readonly<Record<string, string>> {
  return {
    AMQP_URL: engines.amqpUrl,
    REDIS_URL: engines.redisUrl,
    NAMESPACE: engines.namespace,
    API_KEYS: `bench=${secret}:*`,
    LOG_LEVEL: 'error',
  }
}

/** A notifier of this case, as `npm start` would run it. */
export async function openNotifier(
  bench: Bench,
  env: Readonly<Record<string, string>> = {},
): Promise<KnellProcess> {
  const onLine = (line: string): void => bench.say(`notifier: ${line}`)
  const notifier = await spawnKnell('notifier', { ...knellEnv(bench), ...env }, { onLine })
  bench.scope.defer(() => notifier.stop())
  return notifier
}

/** The exchange that bare messages travel over. */
export function bareExchangeOf({ engines }: Bench): string {
  return `${engines.namespace}.bench`
}
