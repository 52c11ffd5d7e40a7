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

/** Routing keys of the control exchange. */
export function beatKey(tenant: string): string {
  return `${tenant}.beat`
}

export function ackKey(tenant: string, service: string): string {
  return `${tenant}.ack.${service}`
}
