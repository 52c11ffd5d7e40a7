import type { ConsumeMessage } from 'amqplib'
import { MAX_ENTRY_BYTES } from '../domain/entry.ts'
import type { KnellError } from '../domain/errors.ts'
import type { Names } from '../domain/names.ts'
import { SIGNATURE_HEADER } from '../signing/detached-jws.ts'
import type { EventVerifier, SignatureVerdict } from '../signing/event-verifier.ts'
import { refusal } from './refusals.ts'

/** A beat of a tenant with very many shards is the largest message besides entries. */
export const MAX_MESSAGE_BYTES: number = 4 * MAX_ENTRY_BYTES
/** So many forged signatures are verified at once, and so many more each second, before nobody is believed for a while. */
const BURST = 200
const PER_SECOND = 100
/** After a message that was dropped unlooked at, pushing counts as down for so long. */
const OVERWHELMED_MS = 3000

export const texts: Readonly<Record<Exclude<SignatureVerdict, 'good'>, string>> = {
  unsigned: 'it has no signature, though event keys are pinned',
  malformed: 'its signature is not a detached ES256 JWS of this kind and namespace',
  unknown_key: 'its signature names a key that is not pinned',
  forged: 'its signature is not of these bytes',
}

/**
 * Bounds the work that forgeries cost: verifying takes some hundred times longer than anything else
 * a message needs, and a forger can name a key that is pinned. While it is used up, nothing is
 * verified and nothing believed; what was good among it is pulled.
 */
class Patience {
  #goneAt = -Infinity
  #left = BURST
  #at = performance.now()

  get isGone(): boolean {
    const now = performance.now()
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * PER_SECOND)
    this.#at = now
    if (this.#left >= 1) return false
    this.#goneAt = now
    return true
  }

  get wasGone(): boolean {
    return performance.now() - this.#goneAt < OVERWHELMED_MS
  }

  lose(): void {
    this.#left -= 1
  }
}

/** Decides whether a pushed message may be believed to come from Knell, and for the tenant whose key it came by. */
export class Gate {
  readonly #verifier: EventVerifier | undefined
  readonly #names: Names
  /** Apart, so that forged entries do not silence the beats. */
  readonly #patience = { entry: new Patience(), beat: new Patience() }

  constructor(names: Names, verifier: EventVerifier | undefined) {
    this.#names = names
    this.#verifier = verifier
  }

  /** Whether good messages may have been dropped with forged ones lately: then nothing but pulling is certain. */
  get isOverwhelmed(): boolean {
    return this.#patience.entry.wasGone || this.#patience.beat.wasGone
  }

  /** To be asked before anything inside the message is looked at. */
  refusesSignature({ fields, content, properties }: ConsumeMessage): KnellError | undefined {
    if (this.#verifier === undefined) return undefined
    if (content.length > MAX_MESSAGE_BYTES) {
      return refusal('altered', `A message of ${content.length} bytes is too large.`)
    }
    const kind = fields.exchange === this.#names.control ? 'beat' : 'entry'
    const patience = this.#patience[kind]
    if (patience.isGone) return refusal('altered', 'Too many forged messages: none is verified.')
    const signature: unknown = properties.headers?.[SIGNATURE_HEADER]
    const verdict = this.#verifier.verify(kind, content, signature)
    if (verdict === 'good') return undefined
    if (verdict === 'forged') patience.lose()
    const why = verdict === 'unsigned' ? 'unsigned' : 'altered'
    return refusal(why, `A pushed ${kind} was refused: ${texts[verdict]}.`)
  }

  /** Whether a message came by another way than its own: its exchange's log, its tenant's key. */
  refusesWay(
    { fields }: ConsumeMessage,
    said: { readonly tenant: string; readonly log?: 'revocations' | 'expiries' },
  ): KnellError | undefined {
    const exchange = said.log === undefined ? this.#names.control : this.#names[said.log]
    if (fields.exchange === exchange && fields.routingKey.startsWith(`${said.tenant}.`)) {
      return undefined
    }
    const key = `${fields.exchange} ${fields.routingKey}`.slice(0, 120)
    return refusal('foreign', `A message of the tenant ${said.tenant} came by "${key}".`)
  }
}
