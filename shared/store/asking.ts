/** Lets commits that nobody waits for ask for acks now and then. */
export interface Asking {
  /** Whether a commit of this tenant may ask now. Where it may, it counts as having asked. */
  mayAsk(tenant: string): boolean
  /** The commit made no entry that asks. */
  giveBack(tenant: string): void
}

/** Whether an entry's body asks for acks: it stands in the head, before the events. */
export function isAsking(body: string): boolean {
  return body.slice(0, body.indexOf('"events":[')).includes('"ack":true')
}
