import { parseJson, parseOutline } from '../shared/domain/entry.ts'
import type { Process } from '../shared/process/create-services.ts'
import { Loop } from '../shared/relay/loop.ts'
import { EventVerifier } from '../shared/signing/event-verifier.ts'
import type { StoredEntry } from '../shared/store/rule-commit.ts'
import { EnforcementWatch } from './enforcement-watch.ts'
import { History, SLOT_MS } from './history.ts'
import { Recents } from './recents.ts'
import { RevocationEar } from './revocation-ear.ts'

/** The totals may be as old as another reader of this moment has them. */
const MAX_AGE_MS = 1000

/** Measures what becomes of revocations, whichever process committed them: pushed, enforced, per second. */
export class Observer {
  readonly recents: Recents
  readonly watch: EnforcementWatch
  readonly history: History = new History(Date.now())
  readonly #shared: Process
  readonly #loop: Loop
  readonly #onCommitted = (entries: readonly StoredEntry[]): void => {
    for (const { body } of entries) this.recents.committed(parseOutline(parseJson(body)))
  }

  constructor(shared: Process) {
    this.#shared = shared
    const { settings, log, names, store, instances, acks, broker, metrics } = shared
    const { eventSigningKeys, namespace } = settings
    const tenants = [...settings.tenants.keys()]
    this.watch = new EnforcementWatch({
      store,
      instances,
      ear: acks,
      tenants,
      onEnforced: ({ isAsked, enforcedMs }) => {
        // Of others it is known only when the next beat has come round.
        if (!isAsked || enforcedMs === null) return
        metrics.observe('knell_revocation_enforced_seconds', enforcedMs / 1000)
      },
    })
    this.recents = new Recents({
      store,
      watch: this.watch,
      tenants,
      onNew: (revocations) => this.history.revoked(revocations),
      onPushed: (ms) => {
        this.history.pushed(ms)
        metrics.observe('knell_push_seconds', ms / 1000)
      },
    })
    const isSigning = eventSigningKeys.length > 0
    const verifier = isSigning ? new EventVerifier(eventSigningKeys, namespace) : undefined
    const ear = new RevocationEar({ broker, names, verifier, log })
    ear.on('heard', (outline) => this.recents.heard(outline))
    shared.committed.on('entries', this.#onCommitted)
    this.#loop = new Loop('history', SLOT_MS, () => this.runOnce(), log)
  }

  start(): void {
    this.#loop.start()
  }

  /** Ends a slot of the history. */
  async runOnce(): Promise<void> {
    const totals = await this.#shared.totals.read(MAX_AGE_MS).catch(() => undefined)
    this.history.turn(Date.now(), totals?.expired)
  }

  async stop(): Promise<void> {
    this.#shared.committed.off('entries', this.#onCommitted)
    this.watch.stop()
    await this.#loop.stop()
  }
}
