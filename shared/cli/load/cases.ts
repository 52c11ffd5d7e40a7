import { runAway } from './away.ts'
import { runBurst } from './burst.ts'
import type { LoadCase } from './load-case.ts'
import { runOneSecond } from './one-second.ts'
import { runQueues } from './queues.ts'
import { runReconnect } from './reconnect.ts'
import { runTenants } from './tenants.ts'

export const loadCases: readonly LoadCase[] = [
  { name: 'one-second', title: 'One second: a million tokens expire at once', run: runOneSecond },
  { name: 'burst', title: 'Burst: 100,000 revocations beside single ones', run: runBurst },
  {
    name: 'reconnect',
    title: 'Reconnect: 500 instances after a restart of RabbitMQ',
    run: runReconnect,
  },
  { name: 'tenants', title: 'Tenants: 1,000 of them', run: runTenants },
  { name: 'queues', title: 'Queues: up to 3,000 bound ones', run: runQueues },
  { name: 'away', title: 'Away: an instance that missed an hour', run: runAway },
]
