import { RETRY_STEPS_MS, serviceNamesOf, type Names } from '../domain/names.ts'
import { isService } from '../domain/tenant.ts'

export type QueueKind = 'service' | 'retry' | 'dead'

/** Which queue of which service a name stands for. */
export interface NamedQueue {
  readonly name: string
  readonly service: string
  readonly kind: QueueKind
}

/** The queues that a service with handlers has, its own first. */
export function queuesOf(names: Names, service: string): NamedQueue[] {
  const { queue, deadQueue, retryQueue } = serviceNamesOf(names, service)
  return [
    { name: queue, service, kind: 'service' },
    { name: deadQueue, service, kind: 'dead' },
    ...RETRY_STEPS_MS.map((_, i): NamedQueue => {
      return { name: retryQueue(i + 1), service, kind: 'retry' }
    }),
  ]
}

/** What every queue of a service begins with. */
export function queuePrefixOf(names: Names): string {
  return serviceNamesOf(names, '').queue
}

/** The queue that a name stands for; undefined where it is none of this namespace's services. */
export function queueOf(names: Names, name: string): NamedQueue | undefined {
  const prefix = queuePrefixOf(names)
  if (!name.startsWith(prefix)) return undefined
  const [service = ''] = name.slice(prefix.length).split('.')
  if (!isService(service)) return undefined
  return queuesOf(names, service).find((queue) => queue.name === name)
}
