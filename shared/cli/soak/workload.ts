import { randomUUID } from 'node:crypto'
import { matchKey, type Claims, type Match } from '../../domain/claims.ts'
import { call, type Outcome } from './client.ts'
import type { Dice } from './dice.ts'
import type { RunRecord } from './run-record.ts'
import { BRIEF_TENANT, BRIEF_TTL, LASTING_TENANT, type Stage } from './stage.ts'
import { probe, probeAll } from './probe.ts'

/** Calls a second. */
const RATE = 30
/** Whoever gets no answer for so long sends no more, as a caller with so many workers would. */
const MOST_UNDER_WAY = 200

const weights = {
  register: 25,
  revoke: 30,
  hold: 5,
  release: 5,
  restore: 5,
  wait: 5,
  brief: 10,
  spare: 5,
  probe: 10,
} as const

/** Random calls to random notifiers, each match used once, so that what must hold at the end is known. */
export class Workload {
  readonly #stage: Stage
  readonly #record: RunRecord
  readonly #dice: Dice
  readonly #underWay = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #last = 0

  constructor(stage: Stage, record: RunRecord, dice: Dice) {
    this.#stage = stage
    this.#record = record
    this.#dice = dice
  }

  start(): void {
    this.#timer = setInterval(() => this.#step(), 1000 / RATE)
  }

  /** Resolves when all calls have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
  }

  #step(): void {
    if (this.#underWay.size >= MOST_UNDER_WAY) return
    const what = this.#dice.weighed(weights)
    const done = this.#do(what)
      .catch((error: unknown) => {
        this.#record.found.push(`The workload failed at ${what}: ${String(error)}`)
      })
      .finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async #do(what: keyof typeof weights): Promise<void> {
    this.#record.count(what)
    switch (what) {
      case 'register':
        return this.#register()
      case 'revoke':
        return this.#revoke(LASTING_TENANT)
      case 'brief':
        return this.#revoke(BRIEF_TENANT)
      case 'wait':
        return this.#wait()
      case 'hold':
        return this.#hold()
      case 'release':
        return this.#release()
      case 'restore':
        return this.#restore()
      case 'spare':
        return this.#spare()
      case 'probe':
        return probe(this.#stage, this.#record, this.#dice)
    }
  }

  async #call(path: string, body: unknown): Promise<Outcome> {
    const { url } = this.#dice.pick(this.#stage.notifiers)
    const outcome = await call(`${url}${path}`, this.#stage.apiKey, body)
    if (outcome.kind === 'unknown') this.#record.count('without an answer')
    if (outcome.kind === 'refused') {
      const { status, text } = outcome
      this.#record.found.push(`${path} ${JSON.stringify(body)} was refused: ${status} ${text}`)
    }
    return outcome
  }

  #name(prefix: string): string {
    return `${prefix}-${++this.#last}`
  }

  /** A match that nobody else uses, and a token of it. */
  #aim(tenant: string): { match: Match; claims: Claims } {
    const { life } = this.#record
    const iat = Math.floor(Date.now() / 1000) - 1
    const times = tenant === BRIEF_TENANT ? { iat, exp: iat + BRIEF_TTL } : life
    const kind = this.#dice.pick(['jti', 'sub', 'sid', 'both'] as const)
    const match: Match =
      kind === 'both'
        ? { sub: this.#name('user'), client_id: 'app' }
        : { [kind]: kind === 'jti' ? randomUUID() : this.#name(kind) }
    return { match, claims: { ...match, ...times } }
  }

  async #revoke(tenant: string): Promise<void> {
    const { match, claims } = this.#aim(tenant)
    const outcome = await this.#call('/v1/revocations', { tenant, match, reason: 'logout' })
    if (outcome.kind === 'acknowledged') this.#record.stands(tenant, 'revoked', match, claims)
    else if (tenant === LASTING_TENANT) this.#record.unknown.push({ match })
  }

  async #wait(): Promise<void> {
    const { match, claims } = this.#aim(LASTING_TENANT)
    const wait = { for: 'all', timeoutMs: 5000 }
    const outcome = await this.#call('/v1/revocations', { match, wait })
    if (outcome.kind !== 'acknowledged') {
      this.#record.unknown.push({ match })
      return
    }
    const { done } = outcome.body['enforced'] as { done: boolean }
    if (done) {
      this.#record.count('proved')
      await probeAll(this.#stage, this.#record, claims)
    }
    this.#record.stands(LASTING_TENANT, 'revoked', match, claims)
  }

  /** A hold that stays until long after the run. */
  async #hold(): Promise<void> {
    const { match, claims } = this.#aim(LASTING_TENANT)
    const held = await this.#call('/v1/revocations', { match, hold: this.#review() })
    if (held.kind === 'acknowledged') {
      this.#record.stands(LASTING_TENANT, 'held', match, claims)
    } else this.#record.unknown.push({ match })
  }

  #review(): { reviewBy: number; outcome: 'revoke' } {
    return { reviewBy: this.#record.life.exp, outcome: 'revoke' }
  }

  async #release(): Promise<void> {
    const { match, claims } = this.#aim(LASTING_TENANT)
    const held = await this.#call('/v1/revocations', { match, hold: this.#review() })
    if (held.kind === 'acknowledged') this.#record.owes(LASTING_TENANT, 'held', matchKey(match))
    await this.#undo(held, '/v1/revocations/release', { match }, match, claims)
  }

  async #restore(): Promise<void> {
    const { match, claims } = this.#aim(LASTING_TENANT)
    const made = await this.#call('/v1/revocations', { match })
    if (made.kind === 'acknowledged') this.#record.owes(LASTING_TENANT, 'revoked', matchKey(match))
    // An id is one tenant's.
    const [tenant, id] = [
      LASTING_TENANT,
      made.kind === 'acknowledged' ? made.body['id'] : undefined,
    ]
    await this.#undo(made, '/v1/revocations/restore', { tenant, id }, match, claims)
  }

  async #undo(
    made: Outcome,
    path: string,
    body: unknown,
    match: Match,
    claims: Claims,
  ): Promise<void> {
    if (made.kind === 'acknowledged') {
      const undone = await this.#call(path, body)
      if (undone.kind === 'acknowledged') {
        this.#record.spared.push({ claims })
        return
      }
    }
    this.#record.unknown.push({ match })
  }

  async #register(): Promise<void> {
    const tenant = this.#dice.pick([LASTING_TENANT, BRIEF_TENANT])
    const iat = Math.floor(Date.now() / 1000)
    const tokens = Array.from({ length: this.#dice.whole(1, 10) }, () => ({
      tenant,
      claims: {
        jti: randomUUID(),
        sub: this.#name('holder'),
        iat,
        exp: iat + this.#dice.whole(2, BRIEF_TTL),
      },
    }))
    const outcome = await this.#call('/v1/tokens', tokens)
    if (outcome.kind !== 'acknowledged') return
    const refused = (outcome.body['rejected'] ?? []) as { index: number; code: string }[]
    const strange = refused.filter(({ code }) => code !== 'token_expired')
    if (strange.length > 0) this.#record.found.push(`Refused: ${JSON.stringify(strange)}`)
    const kept = tokens.filter((_, i) => refused.every(({ index }) => index !== i))
    for (const { claims } of kept) {
      this.#record.registered.push({ tenant, jti: claims.jti, exp: claims.exp })
      this.#record.owes(tenant, 'expired', claims.jti)
    }
    this.#record.count('tokens', kept.length)
  }

  /** A token that no call will ever name. */
  async #spare(): Promise<void> {
    const claims = { jti: randomUUID(), sub: this.#name('spared'), ...this.#record.life }
    this.#record.untouched.push(claims)
    this.#record.spared.push({ claims })
  }
}
