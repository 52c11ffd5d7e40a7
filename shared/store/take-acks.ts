import type { Ack } from '../domain/ack.ts'
import type { HandlerStore } from './handler-store.ts'
import type { InstanceStore, Sender } from './instance-store.ts'

/**
 * Takes acks of one tenant: where the instances stand, what their services handle and what they have
 * handled. Returns those that were refused: of an instance that somebody else is, or one too many of
 * its service; and those of services of which the store does not know that they handle anything.
 * @throws KnellError `too_many_services`, `store_*`
 */
export async function takeAcks(
  stores: { readonly instances: InstanceStore; readonly handlers: HandlerStore },
  tenant: string,
  acks: readonly Ack[],
  sender: (ack: Ack) => Sender,
): Promise<{ refused: ReadonlySet<Ack>; unknown: ReadonlySet<Ack> }> {
  const refused = new Set(await stores.instances.take(tenant, acks, sender))
  const unknown = new Set<Ack>()
  for (const ack of acks) {
    if (refused.has(ack)) continue
    const { service, handles, handled = [] } = ack
    if (handles !== undefined) {
      const { kinds, maxAttempts } = handles
      await stores.handlers.register(tenant, service, kinds, maxAttempts, handled)
    }
    if (handled.length === 0) continue
    const { known } = await stores.handlers.report(tenant, service, handled)
    if (!known) unknown.add(ack)
  }
  return { refused, unknown }
}
