/** Every AMQP name two processes must agree on. `namespace` is `knell` but where several systems share a vhost. */
export interface Names {
  readonly namespace: string
  readonly revocations: string
  readonly expiries: string
  readonly control: string
  readonly retry: string
  readonly dead: string
}

export const DEFAULT_NAMESPACE = 'knell'

export function namesOf(namespace: string = DEFAULT_NAMESPACE): Names {
  return {
    namespace,
    revocations: `${namespace}.revocations`,
    expiries: `${namespace}.expiries`,
    control: `${namespace}.control`,
    retry: `${namespace}.retry`,
    dead: `${namespace}.dead`,
  }
}

/** BullMQ's queues: the tick of each second, and the sweeps. */
export const bullQueueNames = { expiry: 'knell-expiry', sweep: 'knell-sweep' } as const

/** Routing keys of the control exchange. */
export function beatKey(tenant: string): string {
  return `${tenant}.beat`
}

export function ackKey(tenant: string, service: string): string {
  return `${tenant}.ack.${service}`
}

/** How long a failed event waits before each further attempt, in ms; the last one serves all that follow. */
export const RETRY_STEPS_MS: readonly number[] = [1000, 4000, 16_000, 64_000, 256_000]

/** The queues of one service's handlers, and the keys they are reached by through the retry and dead exchanges. */
export interface ServiceNames {
  readonly queue: string
  readonly deadQueue: string
  /** Of a retry step, counted from 1. */
  readonly retryQueue: (step: number) => string
  readonly retryKey: (step: number) => string
  readonly nowKey: string
  readonly resendKey: string
  readonly deadKey: string
}

export function serviceNamesOf({ namespace }: Names, service: string): ServiceNames {
  const queue = `${namespace}.service.${service}`
  return {
    queue,
    deadQueue: `${queue}.dead`,
    retryQueue: (step) => `${queue}.retry.${step}`,
    retryKey: (step) => `${service}.${step}`,
    nowKey: `${service}.now`,
    resendKey: `${service}.resend`,
    deadKey: service,
  }
}
